//! Who a data directory is: drawn at random once, then kept; and how often it was started.

use anyhow::{Context, Result, bail};
use base::{BootId, NodeId, StoreId};
use runtime::DataDirectory;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;

const FILE: &str = "identity";
/// The file is a few numbers. Unit: bytes.
const FILE_BYTES_MAX: usize = 4096;

/// A data directory's identity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) node: NodeId,
    pub(crate) store: StoreId,
    /// For a cluster that is yet to be born in this directory.
    pub(crate) cluster: u64,
    /// This run: one more than the last.
    pub(crate) boot: BootId,
}

/// Reads the identity, or makes it, and counts this start. It is durable before anything is done
/// under the new boot.
pub(crate) fn claim(directory: &DataDirectory) -> Result<Identity> {
    let identity = match directory.read(FILE, FILE_BYTES_MAX)? {
        Some(bytes) => {
            let was = parse(&bytes).with_context(|| {
                format!("the file {FILE} in {} is damaged", directory.path().display())
            })?;
            Identity { boot: BootId(was.boot.0 + 1), ..was }
        }
        None => Identity {
            node: NodeId(1),
            store: StoreId(random()?),
            cluster: random()?,
            boot: BootId(1),
        },
    };
    let text = json!({
        "format": 1,
        "node": identity.node.0,
        "store": format!("{:016x}", identity.store.0),
        "cluster": format!("{:016x}", identity.cluster),
        "boot": identity.boot.0,
    });
    directory.replace(FILE, text.to_string().as_bytes())?;
    Ok(identity)
}

fn parse(bytes: &[u8]) -> Result<Identity> {
    let value: Value = serde_json::from_slice(bytes)?;
    let number = |key: &str| value[key].as_u64().with_context(|| format!("it lacks `{key}`"));
    let hex = |key: &str| {
        let text = value[key].as_str().with_context(|| format!("it lacks `{key}`"))?;
        u64::from_str_radix(text, 16).with_context(|| format!("`{key}` is no hexadecimal number"))
    };
    let format = number("format")?;
    if format != 1 {
        bail!("it has format {format}, this program knows format 1; start a newer release");
    }
    Ok(Identity {
        node: NodeId(number("node")?),
        store: StoreId(hex("store")?),
        cluster: hex("cluster")?,
        boot: BootId(number("boot")?),
    })
}

/// 64 bits that no other directory has.
pub(crate) fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read random numbers from /dev/urandom")?;
    Ok(u64::from_le_bytes(bytes))
}
