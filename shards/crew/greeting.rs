//! How a worker and a coordinator greet each other.

use base::{Address, BootId, StoreId, WorkerId};
use rpc::{ChannelError, ChannelOptions, Introduced, call_channel};
use runtime::resolve;
use std::net::SocketAddr;
use std::time::Duration;
use wire::{Hello, PEER_BYTES_MAX, VERSION};

/// How connections behave. A leader that is only slow must not be left: what matters is the lease.
pub(crate) const OPTIONS: ChannelOptions = ChannelOptions {
    payload_bytes_max: PEER_BYTES_MAX,
    // All that a worker may keep for the leader, once more, and what is on its way.
    output_bytes_max: engine::workers::KEPT_BYTES_MAX + 32 * 1024 * 1024,
    hello_within: Duration::from_secs(2),
    ping_after: Duration::from_secs(1),
    ping_patience: Duration::from_secs(3),
};

/// What a worker says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Which worker.
    pub(crate) worker: WorkerId,
    /// Its data directory.
    pub(crate) store: StoreId,
    /// This run of its process.
    pub(crate) boot: BootId,
    /// The cluster that it belongs to.
    pub(crate) cluster: u64,
    /// Its program and version.
    pub(crate) program: String,
}

impl Caller {
    fn hello(&self) -> Hello<'_> {
        Hello {
            node: self.worker.0,
            program: &self.program,
            payload_bytes_max: u32::try_from(PEER_BYTES_MAX).unwrap_or(u32::MAX),
            cluster: self.cluster,
            store: self.store.0,
            boot: self.boot.0,
            ..Hello::of(Hello::WORKER)
        }
    }
}

/// Connects to a coordinator's door and greets it. What comes back belongs to the same cluster.
pub(crate) async fn call(address: &Address, caller: &Caller) -> Result<Introduced, ChannelError> {
    let lost = |reason: String| ChannelError::Lost { address: address.to_string(), reason };
    let found = resolve(address).await.map_err(|error| lost(error.to_string()))?;
    let first: SocketAddr = *found.first().ok_or_else(|| lost("it has no address".into()))?;
    let introduced = call_channel(first, &caller.hello(), OPTIONS).await?;
    let cluster = coordinator(&introduced).map_err(lost)?;
    if cluster != caller.cluster {
        return Err(lost(format!(
            "it belongs to cluster {cluster:016x}, and this worker to cluster {:016x}",
            caller.cluster
        )));
    }
    Ok(introduced)
}

/// The cluster of the coordinator at the other end.
fn coordinator(introduced: &Introduced) -> Result<u64, String> {
    let hello = introduced.hello().map_err(|error| error.to_string())?;
    check_version(&hello)?;
    if !matches!(hello.role, Hello::COORDINATOR | Hello::BOTH) {
        return Err("no coordinator is there".to_owned());
    }
    match hello.cluster {
        0 => Err("the coordinator there belongs to no cluster yet".to_owned()),
        cluster => Ok(cluster),
    }
}

pub(crate) fn check_version(hello: &Hello<'_>) -> Result<(), String> {
    if (hello.version_min..=hello.version_max).contains(&VERSION) {
        return Ok(());
    }
    Err(format!(
        "it speaks versions {} to {} of the protocol, this program version {VERSION}",
        hello.version_min, hello.version_max
    ))
}
