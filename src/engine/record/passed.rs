//! The record that passes an order from one partition to another.

use super::{BadBody, RecordType, bad};
use base::InstanceId;
use rkyv::rancor::Error as Rancor;
use rkyv::with::{InlineAsBox, Map};
use rkyv::{Archive, Deserialize, Serialize};

/// What an order asks of the partition that takes it: an instance for a key, unless there is one.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct KeyedStart {
    /// The message and which of its matched actions.
    pub cause: InstanceId,
    /// The namespace of workflow and key.
    pub namespace: String,
    /// The workflow.
    pub workflow: String,
    /// The key.
    pub key: String,
    /// The hash of the definition that was in force where the message is in the log.
    pub definition: u64,
    /// What the instance is given, as JSON.
    pub input: Vec<u8>,
    /// What the rule's action hands over, as JSON.
    pub params: Vec<u8>,
    /// The action's timeout. Unit: microseconds.
    pub timeout_us: Option<u64>,
    /// The action's retry.
    pub retry: Option<u32>,
    /// Trace and span that the instance's tasks go on with.
    pub trace: Option<(u128, u64)>,
}

/// An order of one partition to another, with its number. The record's header names the two.
#[derive(Archive, Serialize)]
pub struct Passed<'a> {
    /// The order's number, from 1, among those from the one partition to the other.
    pub number: u64,
    /// The definition's text, where the catalogue has it no longer.
    #[rkyv(with = Map<InlineAsBox>)]
    pub source: Option<&'a str>,
    /// What is asked.
    #[rkyv(with = InlineAsBox)]
    pub start: &'a KeyedStart,
}

/// A checked view of a [`Passed`] record's body, without a copy.
#[derive(Clone, Copy)]
pub struct PassedView<'a> {
    /// See [`Passed::number`].
    pub number: u64,
    /// See [`Passed::source`].
    pub source: Option<&'a str>,
    start: &'a ArchivedKeyedStart,
}

impl Passed<'_> {
    /// Appends the body's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        rkyv::api::high::to_bytes_in::<_, Rancor>(self, out)
            .expect("writing to memory cannot fail");
    }
}

impl<'a> PassedView<'a> {
    /// Reads a body, checking every byte.
    pub fn read(bytes: &'a [u8]) -> Result<Self, BadBody> {
        let body =
            rkyv::access::<ArchivedPassed<'a>, Rancor>(bytes).map_err(bad(RecordType::Passed))?;
        Ok(Self {
            number: body.number.to_native(),
            source: body.source.as_ref().map(|text| &**text),
            start: &body.start,
        })
    }

    /// What is asked.
    pub fn start(&self) -> KeyedStart {
        rkyv::deserialize::<KeyedStart, Rancor>(self.start).expect("plain values are read back")
    }
}
