//! What nodes hold, read once: another node has the same bytes, and a later look finds them again, so
//! each text is parsed and looked at when it is first seen, and known by its hash from then on.

use crate::checker::check_instance;
use base::hash64;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A workflow and a key.
pub(crate) type Key = (String, String);

/// By the hash of what was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// What messages say.
    nonces: BTreeMap<u64, Option<u64>>,
    /// Instances that ended well or badly, as they should: the key of those that have one.
    instances: BTreeMap<u64, Option<Key>>,
    /// Messages as clients see them: what they asked for by a key.
    asked: BTreeMap<u64, Vec<Key>>,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn parsed(what: &str, json: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(json)
        .map_err(|error| format!("{what} is no JSON: {error}: {}", String::from_utf8_lossy(json)))
}

impl Read {
    /// What a message says, if it is one that clients send.
    pub(crate) fn nonce(&mut self, payload: &[u8]) -> Option<u64> {
        *self.nonces.entry(hash64(payload)).or_insert_with(|| {
            let message: Value = serde_json::from_slice(payload).ok()?;
            message["nonce"].as_u64()
        })
    }

    /// An instance at rest, and its key, if it has one.
    pub(crate) fn instance(&mut self, json: &[u8]) -> Result<Option<&Key>, String> {
        let place = match self.instances.entry(hash64(json)) {
            Entry::Occupied(place) => return Ok(place.into_mut().as_ref()),
            Entry::Vacant(place) => place,
        };
        let instance = parsed("an instance", json)?;
        check_instance(&instance)?;
        let key = instance["key"].as_str();
        let key = key.map(|key| (text(&instance, "workflow"), key.to_owned()));
        Ok(place.insert(key).as_ref())
    }

    /// What a message asked for by a key, as its view tells it.
    pub(crate) fn asked(&mut self, view: &[u8]) -> Result<&[Key], String> {
        let place = match self.asked.entry(hash64(view)) {
            Entry::Occupied(place) => return Ok(place.into_mut()),
            Entry::Vacant(place) => place,
        };
        let shown = parsed("a message's view", view)?;
        let starts = shown["keyed"].as_array().into_iter().flatten();
        let keys = starts.map(|start| (text(start, "workflow"), text(start, "key")));
        Ok(place.insert(keys.collect()))
    }
}
