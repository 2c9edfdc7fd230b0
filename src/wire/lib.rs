//! The binary protocol between nodes, and between nodes and their clients, as bytes:
//! docs/WIRE.md draws every one of them.
//!
//! - [`write_frame`] appends a frame to a buffer of the caller's, [`Decoder`] takes a stream's
//!   bytes as they come and yields its frames, [`Frame::decode`] reads a datagram that is one.
//! - A frame's payload is one [`Message`], made of [`tlv`] fields: a reader skips the tags that it
//!   does not know and fills in what an older writer left out.
//!
//! Invariants:
//! - nothing that a peer sends makes this crate panic, read over an end or allocate more than the
//!   frame it was allowed to send;
//! - a frame is yielded whole and checked, or not at all; after the first fault a stream yields
//!   nothing more;
//! - what is decoded borrows the bytes that it was decoded from: nothing is copied;
//! - a message has one encoding.

mod checksum;
mod decoder;
mod frame;
mod header;
mod kind;
mod list;
mod message;
mod messages;
pub mod rpc;
pub mod tlv;

pub use decoder::{Decoder, READ_BYTES_MAX, READ_BYTES_MIN};
pub use frame::{Frame, FrameError, Head, TRACE_BYTES, write_frame};
pub use header::{Flags, HEADER_BYTES, Header, MAGIC, VERSION};
pub use kind::Kind;
pub use list::{List, ListIter};
pub use message::{FieldInfo, FieldType, Message, MessageError, Record};
pub use messages::*;

#[cfg(test)]
mod tests;
