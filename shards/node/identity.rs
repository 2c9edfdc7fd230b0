//! Who a data directory is: drawn at random once, then kept; which cluster it belongs to; and how
//! often it was started.

use anyhow::{Context, Result, bail};
use base::{BootId, NodeId, StoreId};
use engine::founding::Foundation;
use engine::{Member, Membership};
use runtime::DataDirectory;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;

const FILE: &str = "identity";
/// The file is a few numbers, and seven addresses at most. Unit: bytes.
const FILE_BYTES_MAX: usize = 16 * 1024;

/// A data directory's identity.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    pub(crate) store: StoreId,
    /// This run: one more than the last. In a cluster the first one of a new directory is greater than
    /// any of a directory that the same node had before: its sessions are told apart by it.
    pub(crate) boot: BootId,
    /// How often the directory was started, for people.
    pub(crate) starts: u64,
    /// The cluster it belongs to, if it does.
    pub(crate) foundation: Option<Foundation>,
}

/// Reads the identity, or makes it, and counts this start. It is durable before anything is done
/// under the new boot. A new directory of a node that has no peers founds a cluster alone, at once.
pub(crate) fn claim(
    directory: &DataDirectory,
    node: Option<NodeId>,
    has_peers: bool,
) -> Result<Identity> {
    let identity = if let Some(bytes) = directory.read(FILE, FILE_BYTES_MAX)? {
        let path = directory.path().display();
        let was = parse(&bytes).with_context(|| format!("the file {FILE} in {path} is damaged"))?;
        if let Some(wanted) = node.filter(|wanted| *wanted != was.node) {
            bail!(
                "the data directory {path} is node {}'s, and --node says {wanted}: give each node \
                 a directory of its own",
                was.node
            );
        }
        check_peers(&was, has_peers)?;
        Identity { boot: BootId(was.boot.0 + 1), starts: was.starts + 1, ..was }
    } else {
        let (node, store) = (node.unwrap_or(NodeId(1)), StoreId(random()?));
        let foundation = if has_peers { None } else { Some(alone(node, store, random()?)?) };
        let boot = if has_peers { BootId(microseconds()) } else { BootId(1) };
        Identity { node, store, boot, starts: 1, foundation }
    };
    keep(directory, &identity)?;
    Ok(identity)
}

/// Makes an identity durable.
pub(crate) fn keep(directory: &DataDirectory, identity: &Identity) -> Result<()> {
    let foundation = identity.foundation.as_ref();
    let cluster = foundation.map(|foundation| format!("{:016x}", foundation.cluster));
    let founded = foundation.map(|foundation| hex(&foundation.founded.to_bytes()));
    let text = json!({
        "format": 2,
        "node": identity.node.0,
        "store": format!("{:016x}", identity.store.0),
        "cluster": cluster,
        "founded": founded,
        "boot": identity.boot.0,
        "starts": identity.starts,
    });
    directory.replace(FILE, text.to_string().as_bytes())?;
    Ok(())
}

/// What one node founds without anybody else.
fn alone(node: NodeId, store: StoreId, cluster: u64) -> Result<Foundation> {
    let founded = Membership::founded([(node, Member { store, address: None })])?;
    Ok(Foundation { cluster, founded })
}

/// Who waits for a cluster cannot do without its peers. Whether a member can is known once its log is
/// read: the others may have been removed.
fn check_peers(was: &Identity, has_peers: bool) -> Result<()> {
    if was.foundation.is_none() && !has_peers {
        bail!(without_peers(was.node));
    }
    Ok(())
}

/// What is said of a node that is not alone and was started without peers.
pub(crate) fn without_peers(node: NodeId) -> String {
    format!(
        "node {node} of this data directory belongs to a cluster, or waits for one: start it with \
         --peer ADDRESS, where the other coordinators reach it"
    )
}

fn parse(bytes: &[u8]) -> Result<Identity> {
    let value: Value = serde_json::from_slice(bytes)?;
    let number = |key: &str| value[key].as_u64().with_context(|| format!("it lacks `{key}`"));
    let text = |key: &str| value[key].as_str().with_context(|| format!("it lacks `{key}`"));
    let id = |key: &str| {
        u64::from_str_radix(text(key)?, 16)
            .with_context(|| format!("`{key}` is no hexadecimal number"))
    };
    let (node, store) = (NodeId(number("node")?), StoreId(id("store")?));
    let foundation = match number("format")? {
        // Of releases that knew nothing but groups of one.
        1 => Some(alone(node, store, id("cluster")?)?),
        2 if value["cluster"].is_null() => None,
        2 => {
            let founded = unhex(text("founded")?).context("`founded` is not hexadecimal")?;
            let founded = Membership::from_bytes(&founded).context("`founded` is unreadable")?;
            Some(Foundation { cluster: id("cluster")?, founded })
        }
        format => bail!(
            "it has format {format}, this program knows formats 1 and 2; start a newer release"
        ),
    };
    let boot = number("boot")?;
    let starts = value["starts"].as_u64().unwrap_or(boot);
    Ok(Identity { node, store, boot: BootId(boot), starts, foundation })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes everything");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Since 1970. Finer than starts can follow each other, and than a directory can be wiped and made
/// anew; what it counts up to within centuries is a whole number in JSON everywhere.
fn microseconds() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let [seconds, nanoseconds] = [now.tv_sec, now.tv_nsec].map(|n| u64::try_from(n).unwrap_or(0));
    (seconds * 1_000_000 + nanoseconds / 1_000).max(1)
}

/// 64 bits that no other directory has. Never 0, which stands for nobody and nothing.
pub(crate) fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read random numbers from /dev/urandom")?;
    Ok(u64::from_le_bytes(bytes).max(1))
}

#[cfg(test)]
mod tests;
