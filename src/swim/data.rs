//! What members say of themselves, as records that are handed on as they came: what a newer version
//! adds to them passes through this one.

use crate::member::{MemberData, Roles};
use base::{UnixMicros, WorkerId};
use wire::Record;
use wire::tlv::TlvReader;

/// The longest record: all numbers, and three texts of 128 bytes, with room for what newer versions
/// add. Unit: bytes.
pub(crate) const DATA_BYTES_MAX: usize = 640;

/// What a member said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) member: u64,
    pub(crate) boot: u64,
    pub(crate) version: u64,
    pub(crate) at: UnixMicros,
    pub(crate) data: MemberData,
    /// As it travels.
    pub(crate) record: Vec<u8>,
}

impl Said {
    pub(crate) fn new(
        (member, boot): (u64, u64),
        version: u64,
        at: UnixMicros,
        data: MemberData,
    ) -> Self {
        let mut record = Vec::new();
        wire::MemberData {
            member,
            boot,
            version,
            said_at: at.0,
            roles: data.roles.0,
            name: &data.name,
            zone: &data.zone,
            http_address: &data.http_address,
            version_min: data.version_min,
            version_max: data.version_max,
            capacity: data.capacity,
            load: data.load_permille,
            leader_term: data.leader_term,
            worker: data.worker.map_or(0, |worker| worker.0),
        }
        .write_fields(&mut record);
        assert!(record.len() <= DATA_BYTES_MAX, "a record of {} bytes", record.len());
        Self { member, boot, version, at, data, record }
    }

    /// Reads a record; nothing when it is none, or breaks a bound.
    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        if record.len() > DATA_BYTES_MAX {
            return None;
        }
        let read = wire::MemberData::read_fields(TlvReader::new(record)).ok()?;
        let data = MemberData {
            roles: Roles(read.roles),
            name: read.name.to_owned(),
            zone: read.zone.to_owned(),
            http_address: read.http_address.to_owned(),
            version_min: read.version_min,
            version_max: read.version_max,
            capacity: read.capacity,
            load_permille: read.load,
            leader_term: read.leader_term,
            worker: Some(read.worker).filter(|worker| *worker != 0).map(WorkerId),
        };
        let is_fine = read.member != 0 && read.version != 0 && data.check().is_ok();
        is_fine.then(|| Self {
            member: read.member,
            boot: read.boot,
            version: read.version,
            at: UnixMicros(read.said_at),
            data,
            record: record.to_vec(),
        })
    }

    /// The higher overrides.
    pub(crate) fn age(&self) -> (u64, u64) {
        (self.boot, self.version)
    }
}
