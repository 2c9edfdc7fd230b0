//! Words that every crate of the house shares: identifiers, instants, a seeded generator, the
//! outbox a pure core writes its effects to, a hasher that is the same on every node, limits, the
//! calendar; addresses as people write them, what a mistyped word may have meant, and a bound on how
//! often something is done.
//!
//! Nothing here reads a clock, opens a file or rolls a die.

mod address;
mod bucket;
pub mod calendar;
mod hash;
mod ids;
pub mod limits;
mod outbox;
mod prng;
mod suggest;
mod time;

pub use address::{Address, AddressError, AddressFault, HOST_NAME_BYTES_MAX, Host, HostName};
pub use bucket::{TokenBucket, TokenError};
pub use hash::{FixedHasher, FixedState, hash64};
pub use ids::{
    BootId, CoreId, InstanceId, MessageId, NodeId, ParseIdError, PartitionId, StoreId, WorkerId,
};
pub use outbox::Outbox;
pub use prng::Prng;
pub use suggest::did_you_mean;
pub use time::{Instant, Now, UnixMicros};
