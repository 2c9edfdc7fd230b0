//! The only door to glommio: cores, mesh, listeners, streams, log files, timers, shutdown.
//!
//! | what | where |
//! | --- | --- |
//! | which CPUs | [`CoreSpec`] (`--cores 0-3,6`) -> [`Placement`] (with a notice when cores share CPUs) |
//! | start and end | [`launch`] one body per core, each calls [`CoreContext::ready`]; [`Running::join`]; [`Shutdown`]; [`stop_on_signals`] |
//! | tests and tools | [`block_on`], [`block_on_core`] |
//! | tasks | [`spawn_local`] -> [`Task`] (dropping cancels), [`TaskSet`], [`yield_if_needed`] |
//! | within a core | [`LocalOneshot`], [`LocalNotify`], [`LocalEvent`] |
//! | between cores | [`Mesh::new`] -> [`MeshEnd::split`] -> [`MeshSender`], [`MeshReceiver`] |
//! | time | [`now`], [`instant`], [`sleep`], [`sleep_until`], [`timeout`]; coarse and cheap: [`sleep_coarse`], [`timeout_coarse`] |
//! | TCP | [`probe_port`], [`Listener`], [`Stream`] |
//! | UDP | [`Udp`], at most [`DATAGRAM_BYTES_MAX`] a datagram, counted by [`UdpMetrics`] |
//! | names and networks | [`resolve`], [`Resolver`]; [`interfaces`] |
//! | HTTP | [`http_io::HttpIo`], [`http_io::HttpTimer`] for hyper |
//! | disk | [`DataDirectory`] (lock, small files), [`LogDirectory`] -> [`LogFile`], [`DmaBuffer`] |
//! | blocking work | [`offload`] |
//! | work that takes the CPU for long | [`offload_aside`] |
//! | limits | [`raise_open_files`], [`use_small_pages`] |
//!
//! A role's loop waits for its mailbox, its sockets or its deadline, hands what came to a pure core
//! and carries out the effects. Everything that runs on a core is `!Send`; what crosses cores goes
//! through the mesh, by value.
//!
//! Invariants:
//! - No other crate names glommio, and no type of glommio's is in this crate's interface.
//! - Nothing here runs detached: whoever starts a task holds it, and it ends with its handle.
//! - No executor spins: one without work sleeps in the kernel.

mod core_state;
mod cores;
mod directory;
mod guard;
pub mod http_io;
mod interfaces;
mod launch;
mod local;
mod log_file;
mod mesh;
mod net;
mod offload;
mod resolver;
mod shutdown;
mod signals;
mod task;
mod timer;
mod trouble;
mod udp;
mod wheel;

pub use cores::{CORES_MAX, CoreSpec, CoreSpecError, Placement};
pub use directory::{DataDirectory, DirectoryError};
pub use interfaces::{Interface, interfaces};
pub use launch::{
    CoreContext, CoreError, CoreErrorKind, CoreFailure, LaunchError, Running, block_on,
    block_on_core, launch,
};
pub use local::{
    EventWait, LocalEvent, LocalNotify, LocalOneshot, LocalReceiver, LocalSender, SenderGone,
};
pub use log_file::{BLOCK_BYTES, DmaBuffer, LogDirectory, LogError, LogFile};
pub use mesh::{Closed, MESH_CAPACITY_MIN, Mesh, MeshEnd, MeshReceiver, MeshSender, SendError};
pub use net::{Listener, Port, PortError, Stream, is_out_of_files, probe_port};
pub use offload::{Offload, OffloadFull, offload, offload_aside};
pub use resolver::{Lookup, ResolveError, Resolver, resolve};
pub use shutdown::{Shutdown, ShutdownWait};
pub use signals::{SignalThread, stop_on_signals};
pub use task::{Task, TaskSet, spawn_local, yield_if_needed, yield_now};
pub use timer::{Sleep, TimedOut, instant, now, sleep, sleep_until, timeout};
pub use trouble::{raise_open_files, use_small_pages};
pub use udp::{
    DATAGRAM_BYTES_MAX, DATAGRAM_OVERHEAD_BYTES, Udp, UdpError, UdpMetrics, UdpOptions, UdpRate,
};
pub use wheel::{COARSE_TICK, CoarseSleep, sleep_coarse, timeout_coarse};
