//! Shuts a plugin's process in, before a line of the plugin runs.
//!
//! | what | by | when the kernel cannot |
//! | --- | --- | --- |
//! | new processes, other programs, other processes' memory and signals | seccomp | the plugin is refused |
//! | changing files: creating, writing, renaming, removing | seccomp, `RLIMIT_FSIZE` 0 | the plugin is refused |
//! | sockets | seccomp | the plugin is refused |
//! | `io_uring`, which would go around seccomp; namespaces, mounts, bpf, keys, ... | seccomp | the plugin is refused |
//! | capabilities, set-user-id programs | dropped, `no_new_privs` | the plugin is refused |
//! | memory, open files, core dumps | rlimits | the plugin is refused |
//! | reading files that are neither libraries nor the manifest's | landlock | it can read what the node's user can, and the log says so |
//!
//! Invariants:
//! - what is not enforced is told: the words that [`enter`] returns are the node's log line.

use super::crash;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use plugin::frame::Load;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getpid, set_dumpable_behavior, setpriority_process,
    setrlimit,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use std::fs;

mod filter;

/// How far a plugin gives way to the node's cores, which answer clients.
const NICE: i32 = 5;

/// Under want of memory the kernel ends a plugin before its node. From -1,000 to 1,000.
const OOM_SCORE: &str = "500";

/// Files that a process may have open at once.
const FILES_MAX: u64 = 256;

/// Stack of a thread that runs tasks. Unit: bytes.
pub(crate) const STACK_BYTES: usize = 2 << 20;

/// What this program itself may need beside the plugin: frames, per thread and in all. Unit: bytes.
const OWN_BYTES_PER_THREAD: u64 = 8 << 20;
const OWN_BYTES: u64 = 16 << 20;

/// Address space that is only reserved: libraries, and 64 MiB for each thread's part of the heap.
/// Unit: bytes.
const RESERVED_BYTES: u64 = 512 << 20;
const RESERVED_BYTES_PER_THREAD: u64 = 144 << 20;

/// What every program reads: libraries, the time zone, the machine's shape.
const READ: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/sys/devices/system/cpu",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
];

/// What looking up a name, and trusting who answers, reads.
const READ_FOR_NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/run/systemd/resolve",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ssl",
    "/etc/pki",
    "/usr/share/ca-certificates",
];

/// Why a process cannot be shut in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    /// A limit, a capability, a file of /proc.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// Seccomp.
    #[error("seccomp: {0}")]
    Filter(String),
    /// Landlock, where it is there and refuses.
    #[error("landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
}

fn system<E: Into<std::io::Error>>(what: &'static str) -> impl FnOnce(E) -> SandboxError {
    move |error| SandboxError::System { what, source: error.into() }
}

/// Closes every descriptor but the first three and one: what the node may have open is nobody's
/// here. To be called before anything else is opened.
#[allow(unsafe_code, reason = "descriptors that nobody here owns have no safe form")]
pub(crate) fn close_all_but(kept: &OwnedFd) {
    let kept = kept.as_raw_fd().cast_unsigned();
    for (first, last) in [(3, kept - 1), (kept + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: this is the start of the process: nothing but the first three and `kept` has an
            // owner in it. A kernel that does not know the call leaves what is marked close-on-exec
            // closed, which is all that a node opens.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// What a process may take beside its plugin's `memory_max`. Unit: bytes.
pub(crate) fn own_bytes(threads: u32) -> u64 {
    OWN_BYTES + u64::from(threads) * (OWN_BYTES_PER_THREAD + STACK_BYTES as u64)
}

/// Shuts this process in, for good. Returns how, in words.
pub(crate) fn enter(load: &Load) -> Result<String, SandboxError> {
    crash::prepare().map_err(system("/proc/self/statm"))?;
    // Neither is a matter of safety: a process that cannot give way still works.
    let _ = setpriority_process(None, NICE);
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    limit(load)?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, none).map_err(system("dropping capabilities"))?;
    rustix::thread::set_no_new_privs(true).map_err(system("no_new_privs"))?;
    let files = restrict_files(load)?;
    if !has_landlock() {
        hide_memory()?;
    }
    let own = getpid().as_raw_nonzero().get().cast_unsigned();
    filter::install(own, load.network).map_err(SandboxError::Filter)?;
    Ok(format!(
        "seccomp: no new processes, no other programs, no changes to files, {}; {files}; {} MiB of \
         memory per process, and {} MiB for its threads; no capabilities",
        if load.network { "network allowed" } else { "no network" },
        load.memory_max >> 20,
        own_bytes(load.threads) >> 20,
    ))
}

/// Keeps the node's memory and environment from its plugins, where landlock does not: they may open files
/// of the node's user, and those of `/proc` are its memory. A node as root needs none of it, as a plugin
/// has no capabilities. To be called before the first process is started.
pub(crate) fn hide_node() {
    if !has_landlock()
        && let Err(error) = hide_memory()
    {
        tracing::error!(%error, "plugins may read this process's memory");
    }
}

/// Whether the kernel restricts files: in all versions of landlock it keeps `/proc` of others closed.
#[allow(unsafe_code, reason = "the call has no safe form")]
fn has_landlock() -> bool {
    let version: libc::c_uint = 1; // LANDLOCK_CREATE_RULESET_VERSION
    // SAFETY: with this flag and no attributes it only tells a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, version)
    };
    version > 0
}

/// Nobody of the same user reads this process's memory, or traces it; nor is it dumped.
fn hide_memory() -> Result<(), SandboxError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system("PR_SET_DUMPABLE"))
}

fn limit(load: &Load) -> Result<(), SandboxError> {
    let set = |resource, most: u64, what| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(system(what))
    };
    let threads = u64::from(load.threads);
    let page = rustix::param::page_size() as u64;
    let statm = fs::read_to_string("/proc/self/statm").map_err(system("/proc/self/statm"))?;
    let pages = |index: usize| {
        let number = statm.split_whitespace().nth(index).and_then(|word| word.parse::<u64>().ok());
        number.unwrap_or(0).saturating_mul(page)
    };
    let own = own_bytes(load.threads);
    let data = pages(5) + own + load.memory_max;
    let space =
        pages(0) + own + load.memory_max + RESERVED_BYTES + threads * RESERVED_BYTES_PER_THREAD;
    set(Resource::Data, data, "RLIMIT_DATA")?;
    set(Resource::As, space, "RLIMIT_AS")?;
    set(Resource::Nofile, FILES_MAX, "RLIMIT_NOFILE")?;
    set(Resource::Core, 0, "RLIMIT_CORE")?;
    set(Resource::Fsize, 0, "RLIMIT_FSIZE")?;
    set(Resource::Memlock, 0, "RLIMIT_MEMLOCK")
}

/// Leaves it only the files that it needs. Says how far that goes here.
fn restrict_files(load: &Load) -> Result<String, SandboxError> {
    // What a later kernel knows more is asked for as soon as this list says so, and this release is
    // tested with it.
    let abi = ABI::V6;
    let network: &[&str] = if load.network { READ_FOR_NETWORK } else { &[] };
    let given = load.read.iter().map(String::as_str).chain([load.file.as_str()]);
    let paths = READ.iter().copied().chain(network.iter().copied()).chain(given);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        // A path that is not there is left out.
        .add_rules(path_beneath_rules(paths, AccessFs::from_read(abi)))?
        .restrict_self()?;
    Ok(match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => {
            "landlock: NOT there, it can read whatever the node's user can but the node's memory"
                .to_owned()
        }
        (kept, LandlockStatus::Available { effective_abi, .. }) => {
            let part = if kept == RulesetStatus::FullyEnforced { "" } else { ", in part" };
            format!(
                "landlock {effective_abi:?}{part}: reads only libraries and its manifest's paths"
            )
        }
        _ => "landlock: reads only libraries and its manifest's paths".to_owned(),
    })
}
