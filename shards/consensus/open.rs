//! The start: the newest snapshot, then the journal, handed to the shards as it is read.

use crate::DmaBuffers;
use crate::Sink;
use crate::files::{Files, VOTE, VOTE_BYTES, name, slot};
use crate::snapshots::{SnapshotFiles, newest};
use base::{Address, BootId, CoreId, NodeId, Outbox, StoreId};
use bytes::Bytes;
use engine::message::{Committed, Packet, ToShard};
use engine::{ConsensusConfig, ConsensusCore, Membership, Replay, Start};
use journal::{BLOCK_BYTES, Config, Journal, Recovery};
use runtime::{LocalNotify, LogDirectory, LogError, LogFile, offload};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the journal lives below the data directory.
const JOURNAL: &str = "journal";
/// Segments kept for reuse at most: 2 GiB of the default size.
const SPARE_MAX: usize = 32;

/// Entries on their way to the shards while the journal is read. Unit: bytes. Two segments: one is
/// applied while the next is read.
const AHEAD_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What a node is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// This run of it.
    pub boot: BootId,
    /// The members that its cluster was founded with; nobody for a node that was added later.
    pub founded: Membership,
    /// Where the other coordinators reach it.
    pub address: Option<Address>,
    /// How many shards it has.
    pub shards: u16,
    /// Decides every random choice of the mind.
    pub seed: u64,
    /// The journal's segments. Unit: bytes.
    pub segment_bytes: u64,
    /// A snapshot is due above this. Unit: bytes.
    pub snapshot_journal_bytes: u64,
}

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk said no.
    #[error(transparent)]
    Disk(#[from] LogError),
    /// What is there does not check.
    #[error("{0}")]
    Damaged(String),
}

/// An open journal and the mind that goes on with it.
pub struct Opened {
    pub(crate) mind: ConsensusCore<DmaBuffers>,
    pub(crate) files: Files,
    pub(crate) snapshots: SnapshotFiles,
    /// Whether this node alone is the group, as far as its log is known to be committed.
    pub is_alone: bool,
    /// What an operator should know about the disk or the journal.
    pub notices: Vec<String>,
}

/// How far each shard has applied while the journal is read.
#[derive(Debug, Default)]
pub struct Progress {
    applied: RefCell<BTreeMap<CoreId, u64>>,
    changed: LocalNotify,
}

impl Progress {
    /// A shard has applied everything up to `index`.
    pub fn on_applied(&self, core: CoreId, index: u64) {
        self.applied.borrow_mut().insert(core, index);
        self.changed.notify();
    }

    async fn reached(&self, shards: u16, index: u64) {
        let behind = || {
            let applied = self.applied.borrow();
            (0..shards).any(|core| applied.get(&CoreId(core)).is_none_or(|at| *at < index))
        };
        while behind() {
            self.changed.notified().await;
        }
    }
}

/// Reads what the data directory holds. Images and committed entries go to the shards through
/// `sink`; `progress` says how far they are, so that a long journal is never in memory at once.
pub async fn open(
    data: &Path,
    options: &Options,
    sink: &Sink,
    progress: &Progress,
) -> Result<Opened, OpenError> {
    let directory = LogDirectory::open(&data.join(JOURNAL)).await?;
    let mut notices: Vec<String> = directory.notice().map(str::to_owned).into_iter().collect();
    let path = data.to_owned();
    let snapshot = offload(move || newest(&path))
        .map_err(|error| OpenError::Damaged(error.to_string()))?
        .await
        .map_err(OpenError::Damaged)?;
    let founded = options.founded.clone();
    if let Some(snapshot) = &snapshot {
        for core in 0..options.shards {
            let message = snapshot.restore(core, options.shards);
            sink(CoreId(core), Packet::Shard(message));
        }
    }
    let at = snapshot.as_ref().map_or((0, 0), |snapshot| (snapshot.index, snapshot.term));
    let was_sent = snapshot.as_ref().is_some_and(|snapshot| snapshot.was_sent);
    let (vote, segments) = open_files(&directory).await?;
    let mut config = Config::new(options.store);
    config.segment_bytes = options.segment_bytes;
    // What a snapshot frees is enough for the growth until the next: no new file, no zeros.
    let spare = options.snapshot_journal_bytes / options.segment_bytes + 2;
    config.spare_segments_max = usize::try_from(spare).unwrap_or(usize::MAX).clamp(4, SPARE_MAX);
    let recovery = if was_sent { Recovery::of_installed } else { Recovery::new };
    let mut recovery = recovery(config.clone(), at);
    let vote_bytes = usize::try_from(vote.size().await?).expect("a small file");
    recovery.on_vote_file(&vote.read_at(0, vote_bytes).await?);
    for (slot, file) in &segments {
        recovery.on_header(*slot, &file.read_at(0, BLOCK_BYTES).await?);
    }
    let mut reading = Reading {
        replay: Replay::new(snapshot.as_ref(), &founded),
        sink,
        progress,
        shards: options.shards,
        ahead: 0,
        sent: at.0,
    };
    let mut entries = Vec::new();
    while let Some(slot) = recovery.next_segment() {
        let file = &segments[&slot];
        let bytes = usize::try_from(file.size().await?).expect("a segment fits memory");
        let bytes = file.read_at(0, bytes).await?;
        recovery.on_segment(slot, &bytes, &mut entries);
        let commit = recovery.commit();
        reading.hand_out(&mut entries, commit).await.map_err(OpenError::Damaged)?;
    }
    let recovered = recovery.finish(&mut entries);
    let recovered = recovered.map_err(|error| OpenError::Damaged(error.to_string()))?;
    if let Some(cut) = &recovered.cut {
        notices.push(format!(
            "the journal's end was torn by the last stop: {} frames ({} bytes) from entry {} on \
             were cut; none of them had been answered",
            cut.dropped_frames, cut.dropped_bytes, cut.at_index
        ));
    }
    reading.hand_out(&mut entries, recovered.commit).await.map_err(OpenError::Damaged)?;
    let left = reading.replay.finish(entries).map_err(OpenError::Damaged)?;
    let members = &left.membership;
    let is_alone = members.members().len() == 1 && members.is_lone_voter(options.node);
    let (term, vote_for, commit) = (recovered.term, recovered.vote, recovered.commit);
    let mut first = Outbox::new();
    let journal = Journal::resume(config, DmaBuffers, recovered, &mut first);
    let start = Start {
        journal,
        first,
        term,
        vote: vote_for,
        commit,
        left,
        snapshot: snapshot.map(|snapshot| (snapshot.mark(&founded), snapshot.bytes)),
        whole_through: 0,
    };
    let mind_config = ConsensusConfig {
        node: options.node,
        store: options.store,
        boot: options.boot,
        founded,
        address: options.address.clone(),
        shards: options.shards,
        seed: options.seed,
        snapshot_journal_bytes: options.snapshot_journal_bytes,
    };
    Ok(Opened {
        mind: ConsensusCore::new(mind_config, start, runtime::now()),
        files: Files::new(directory, vote, segments),
        snapshots: SnapshotFiles::new(data),
        is_alone,
        notices,
    })
}

async fn open_files(
    directory: &LogDirectory,
) -> Result<(LogFile, BTreeMap<u32, LogFile>), OpenError> {
    let mut segments = BTreeMap::new();
    let mut has_vote = false;
    for (file_name, _) in directory.list().await? {
        has_vote |= file_name == VOTE;
        if let Some(slot) = slot(&file_name) {
            segments.insert(slot, directory.open_file(&name(slot)).await?);
        }
    }
    let vote = if has_vote {
        directory.open_file(VOTE).await?
    } else {
        directory.create(VOTE, VOTE_BYTES).await?
    };
    Ok((vote, segments))
}

struct Reading<'a> {
    replay: Replay,
    sink: &'a Sink,
    progress: &'a Progress,
    shards: u16,
    ahead: usize,
    sent: u64,
}

impl Reading<'_> {
    async fn hand_out(
        &mut self,
        entries: &mut Vec<journal::Entry>,
        commit: u64,
    ) -> Result<(), String> {
        let committed = self.replay.on_entries(entries, commit)?;
        let Some(last) = committed.last().map(|entry: &Committed| entry.index) else {
            return Ok(());
        };
        let bytes: usize = committed.iter().map(|entry| Bytes::len(&entry.data)).sum();
        if self.ahead > 0 && self.ahead + bytes > AHEAD_BYTES_MAX {
            self.progress.reached(self.shards, self.sent).await;
            self.ahead = 0;
        }
        self.ahead += bytes;
        self.sent = last;
        for core in 0..self.shards {
            let message = ToShard::Committed(committed.clone());
            (self.sink)(CoreId(core), Packet::Shard(message));
        }
        Ok(())
    }
}
