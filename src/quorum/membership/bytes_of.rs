//! Memberships and changes as bytes. The tables are in the parent.

use super::{Change, LEARNERS_MAX, Member, Membership, STEPS_MAX, Step, VOTERS_MAX};
use base::{Address, NodeId, StoreId};
use bytes::{BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;
const VOTER: u8 = 1;
const OUTGOING: u8 = 2;
const LEARNER: u8 = 4;

/// Everybody that joint majorities can name.
const MEMBERS_MAX: usize = 2 * VOTERS_MAX + LEARNERS_MAX;

/// Bytes are no membership, or no change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It ends too early.
    #[error("it ends after {bytes} bytes, in the middle")]
    Short {
        /// How long it is.
        bytes: usize,
    },
    /// It goes on behind its end.
    #[error("{bytes} bytes are left behind its end")]
    Long {
        /// How many.
        bytes: usize,
    },
    /// Written by a later release.
    #[error("its version is {version}; this release reads version {VERSION}")]
    Version {
        /// Which.
        version: u8,
    },
    /// A step of no known kind.
    #[error("step kind {kind} is unknown")]
    Kind {
        /// Which.
        kind: u8,
    },
    /// More than there can be.
    #[error("{count} in a list of at most {max}")]
    Count {
        /// How many.
        count: usize,
        /// How many there can be.
        max: usize,
    },
    /// Not a standing that a member can have.
    #[error("node {node} has the standing {standing}")]
    Standing {
        /// Whose.
        node: NodeId,
        /// Which.
        standing: u8,
    },
    /// The nodes are not in the order of their numbers, or one is there twice, or one is 0.
    #[error("node {node} is out of order")]
    Order {
        /// Which.
        node: NodeId,
    },
    /// An address that is none.
    #[error("the address of node {node} is not readable: {why}")]
    Address {
        /// Whose.
        node: NodeId,
        /// Why.
        why: String,
    },
    /// Nobody votes.
    #[error("no voter")]
    NoVoter,
}

impl Membership {
    /// As bytes, for a snapshot.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u8(u8::try_from(self.members.len()).expect("members are few"));
        for (node, member) in &self.members {
            bytes.put_u64_le(node.0);
            bytes.put_u64_le(member.store.0);
            let standing =
                [(VOTER, &self.voters), (OUTGOING, &self.outgoing), (LEARNER, &self.learners)];
            let standing = standing.into_iter().filter(|(_, set)| set.contains(node));
            let standing = standing.map(|(bit, _)| bit).sum();
            bytes.put_u8(standing);
            put_address(&mut bytes, member.address.as_ref());
        }
        bytes.freeze()
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::open(bytes)?;
        let mut read = Self::default();
        let mut before = NodeId(0);
        for _ in 0..reader.count(MEMBERS_MAX)? {
            let node = NodeId(reader.u64()?);
            if node <= before {
                return Err(ReadError::Order { node });
            }
            before = node;
            let store = StoreId(reader.u64()?);
            let standing = reader.u8()?;
            // A voter of both majorities is one; a learner is nothing else.
            if !matches!(standing, 1..=4) {
                return Err(ReadError::Standing { node, standing });
            }
            for (bit, set) in [
                (VOTER, &mut read.voters),
                (OUTGOING, &mut read.outgoing),
                (LEARNER, &mut read.learners),
            ] {
                if standing & bit != 0 {
                    set.insert(node);
                }
            }
            let address = reader.address(node)?;
            read.members.insert(node, Member { store, address });
        }
        reader.close()?;
        if read.voters.is_empty() && !read.members.is_empty() {
            return Err(ReadError::NoVoter);
        }
        for (count, max) in [
            (read.voters.len(), VOTERS_MAX),
            (read.outgoing.len(), VOTERS_MAX),
            (read.learners.len(), LEARNERS_MAX),
        ] {
            if count > max {
                return Err(ReadError::Count { count, max });
            }
        }
        Ok(read)
    }
}

const LEARN: u8 = 1;
const PROMOTE: u8 = 2;
const REMOVE: u8 = 3;
const MOVE: u8 = 4;

impl Change {
    /// As bytes, for an entry.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        bytes.put_u8(u8::try_from(self.steps.len()).expect("steps are few"));
        for step in &self.steps {
            bytes.put_u8(match step {
                Step::Learn { .. } => LEARN,
                Step::Promote { .. } => PROMOTE,
                Step::Remove { .. } => REMOVE,
                Step::Move { .. } => MOVE,
            });
            bytes.put_u64_le(step.node().0);
            match step {
                Step::Learn { member, .. } => {
                    bytes.put_u64_le(member.store.0);
                    put_address(&mut bytes, member.address.as_ref());
                }
                Step::Move { address, .. } => put_address(&mut bytes, Some(address)),
                Step::Promote { .. } | Step::Remove { .. } => {}
            }
        }
        bytes.freeze()
    }

    /// Reads what [`Self::to_bytes`] wrote. Whether the change can be made is another question:
    /// [`Membership::changed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Reader::open(bytes)?;
        let mut steps = Vec::new();
        for _ in 0..reader.count(STEPS_MAX)? {
            let kind = reader.u8()?;
            let node = NodeId(reader.u64()?);
            steps.push(match kind {
                LEARN => {
                    let store = StoreId(reader.u64()?);
                    let address = reader.address(node)?;
                    Step::Learn { node, member: Member { store, address } }
                }
                PROMOTE => Step::Promote { node },
                REMOVE => Step::Remove { node },
                MOVE => {
                    let why = || "it is empty".to_owned();
                    let address =
                        reader.address(node)?.ok_or(ReadError::Address { node, why: why() })?;
                    Step::Move { node, address }
                }
                kind => return Err(ReadError::Kind { kind }),
            });
        }
        reader.close()?;
        Ok(Self { steps })
    }
}

fn put_address(bytes: &mut BytesMut, address: Option<&Address>) {
    let text = address.map(ToString::to_string).unwrap_or_default();
    bytes.put_u16_le(u16::try_from(text.len()).expect("an address is short"));
    bytes.put_slice(text.as_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    total: usize,
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let mut reader = Self { bytes, total: bytes.len() };
        match reader.u8()? {
            VERSION => Ok(reader),
            version => Err(ReadError::Version { version }),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let short = ReadError::Short { bytes: self.total };
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        Ok(self.take(N)?.try_into().expect("as many bytes as were taken"))
    }

    fn u8(&mut self) -> Result<u8, ReadError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, ReadError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self, max: usize) -> Result<usize, ReadError> {
        let count = usize::from(self.u8()?);
        if count > max {
            return Err(ReadError::Count { count, max });
        }
        Ok(count)
    }

    fn address(&mut self, node: NodeId) -> Result<Option<Address>, ReadError> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        if length == 0 {
            return Ok(None);
        }
        let fault = |why: String| ReadError::Address { node, why };
        let text =
            std::str::from_utf8(self.take(length)?).map_err(|error| fault(error.to_string()))?;
        Address::parse(text).map(Some).map_err(|error| fault(error.to_string()))
    }

    fn close(self) -> Result<(), ReadError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(ReadError::Long { bytes: self.bytes.len() })
        }
    }
}
