//! Somebody who changes the rules all the time: puts, deletes, flips, goes back, replaces all; and
//! now and then a definition.
//!
//! Some changes are refused, as their author knows little of the catalogue: of versions that are
//! there already, or of rules that are not.

use api::Method;
use base::Prng;
use std::collections::BTreeMap;

/// Rules that are changed one by one.
const RULES: u64 = 12;
/// The most rules of a set that replaces all: more than a merge of the compiled rules needs.
const SET_RULES_MAX: u64 = 150;

/// A request.
pub(crate) struct Changing {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
}

/// Who changes the catalogue.
pub(crate) struct CatalogueUser {
    prng: Prng,
    /// Versions given so far: greater ones are taken.
    version: u64,
    /// The versions of the rules of the last set.
    set: Vec<u64>,
    /// The versions given to each rule that is changed alone, to go back to.
    given: BTreeMap<u64, Vec<u64>>,
}

impl CatalogueUser {
    pub(crate) fn new(prng: Prng) -> Self {
        Self { prng, version: 1, set: Vec::new(), given: BTreeMap::new() }
    }

    pub(crate) fn next(&mut self) -> Changing {
        self.version += 1;
        let at = self.prng.below(RULES);
        let id = format!("changing-{at}");
        let path = format!("/api/v1/rules/{id}");
        let post = |verb: &str, body: String| Changing {
            method: Method::Post,
            path: format!("{path}/{verb}"),
            body,
        };
        match self.prng.below(20) {
            0..10 => {
                // Now and then an older version, which is refused if there is a newer one.
                let version = self.version - self.prng.below(self.version.min(4));
                self.given.entry(at).or_default().push(version);
                Changing { method: Method::Put, path, body: Self::rule(&id, version) }
            }
            10..12 => Changing { method: Method::Delete, path, body: String::new() },
            // Orders for it may be on their way.
            12 => {
                let path = "/api/v1/definitions/by-key".into();
                Changing { method: Method::Put, path, body: Self::definition(self.version) }
            }
            13 | 14 => post("disable", String::new()),
            15 | 16 => post("enable", String::new()),
            17 | 18 => {
                // One of the last, or one that never was.
                let given = self.given.get(&at).map_or(&[][..], Vec::as_slice);
                let back = usize::try_from(self.prng.below(4)).expect("few");
                let version = given.iter().rev().nth(back).copied().unwrap_or(1);
                post("rollback", format!("{{\"version\":{version}}}"))
            }
            _ => {
                // Most of a set is as in the last one.
                let count = usize::try_from(self.prng.below(SET_RULES_MAX)).expect("few");
                let version = self.version;
                self.set.resize(count, version);
                for (place, at) in self.set.iter_mut().zip(0..) {
                    if at < RULES || self.prng.chance(1, 4) {
                        *place = version;
                    }
                }
                let rules = (self.set.iter().zip(0..))
                    .map(|(version, at)| Self::rule(&format!("changing-{at}"), *version));
                let rules: Vec<String> = rules.collect();
                let body = format!("{{\"rules\":[{}]}}", rules.join(","));
                Changing { method: Method::Put, path: "/api/v1/rules".into(), body }
            }
        }
    }

    /// A rule for one of the kinds of messages that the world's clients send.
    fn rule(id: &str, version: u64) -> String {
        let at: u64 = id.bytes().map(u64::from).sum::<u64>() + version;
        // Most wake nothing, so that a large set does not drown the node in instances.
        let kinds = ["a", "b", "c", "x", "x", "x", "x", "x"];
        let kind = kinds[usize::try_from(at % 8).expect("below eight")];
        let (priority, bound) = (at % 3, at * 97 % 1_000);
        // Every other one by a key, one of a few.
        let action = if bound % 2 == 0 {
            "{\"workflow\":\"by-key\",\"params\":{\"by\":\"${ msg.amount }\"},\
             \"key\":\"c${ msg.nonce % 9 }\"}"
        } else {
            "{\"workflow\":\"pure\"}"
        };
        format!(
            "{{\"id\":\"{id}\",\"version\":{version},\"priority\":{priority},\"conditions\":[\
             {{\"field\":\"kind\",\"op\":\"equals\",\"value\":\"{kind}\"}},\
             {{\"field\":\"amount\",\"op\":\"less_than\",\"value\":{bound}}}],\
             \"actions\":[{action}]}}"
        )
    }

    fn definition(version: u64) -> String {
        format!(
            "{{\"id\":\"by-key\",\"version\":{version},\"tasks\":[{{\"id\":\"one\",\
             \"type\":\"transform\",\"with\":{{\"version\":{version}}}}}]}}"
        )
    }
}
