//! One node of the world: what its minds order is carried out at once, on disks that are never late.

use super::{Event, Minds, Node};
use crate::message::Packet;
use crate::peer::PeerMessage;
use crate::{ConsensusEffect, FetchEffect, ShardEffect, SnapshotEffect, snapshot};
use base::{CoreId, NodeId, Now};
use bytes::Bytes;
use journal::{Effect, File};
use std::collections::BTreeMap;

impl Minds {
    pub(super) fn drain_shard(&mut self, core: CoreId, replies: &mut BTreeMap<u64, (u16, String)>) {
        while !self.shard_out.is_empty() {
            for effect in self.shard_out.take() {
                match effect {
                    ShardEffect::ToConsensus(message) => {
                        let packet = Packet::Consensus(message);
                        self.events.push_back(Event::Packet(core, CoreId(0), packet));
                    }
                    ShardEffect::ToShard { to, message } => {
                        self.events.push_back(Event::Packet(core, to, Packet::Shard(message)));
                    }
                    ShardEffect::Reply { request, response } => {
                        let body = String::from_utf8(response.body).unwrap();
                        let before = replies.insert(request.0, (response.status, body));
                        assert!(before.is_none(), "a request is answered once");
                    }
                    ShardEffect::Work(work) => {
                        let shard = &mut self.shards[usize::from(core.0)];
                        shard.on_worked(work.run(), &mut self.shard_out);
                    }
                    ShardEffect::ToWorker { link, message } => {
                        assert_eq!(core, CoreId(0), "workers hear of the first core alone");
                        self.to_workers.push((link, message));
                    }
                    ShardEffect::Fatal(reason) => panic!("{reason}"),
                    _ => {}
                }
            }
        }
    }
}

impl Node {
    /// Carries out what its minds order, until they order nothing more.
    pub(super) fn work(&mut self, now: Now, sent: &mut Vec<(NodeId, PeerMessage)>) {
        let Some(mut minds) = self.minds.take() else { return };
        loop {
            self.drain_consensus(&mut minds, sent);
            if let Some(event) = minds.events.pop_front() {
                self.on_event(now, &mut minds, event);
                continue;
            }
            for core in 0..self.cores {
                minds.shards[usize::from(core)].on_flush(&mut minds.shard_out);
                minds.drain_shard(CoreId(core), &mut self.replies);
            }
            minds.consensus.on_flush(now, &mut minds.consensus_out);
            self.drain_consensus(&mut minds, sent);
            if minds.events.is_empty() {
                break;
            }
        }
        self.minds = Some(minds);
    }

    fn on_event(&mut self, now: Now, minds: &mut Minds, event: Event) {
        let (mind, out) = (&mut minds.consensus, &mut minds.consensus_out);
        match event {
            Event::Packet(from, _, Packet::Consensus(message)) => {
                mind.on_packet(now, from, message, out);
            }
            Event::Packet(from, to, Packet::Shard(message)) => {
                let shard = &mut minds.shards[usize::from(to.0)];
                shard.on_packet(now, from, message, &mut minds.shard_out);
                minds.drain_shard(to, &mut self.replies);
            }
            Event::Journal(token) => mind.on_journal_done(now, token, out),
            Event::NoRoom(token) => mind.on_prepare_failed(now, token, out),
            Event::Snapshot => mind.on_snapshot_done(now, Ok(()), out),
            Event::Fetch(done) => mind.on_fetch_done(now, done, out),
            Event::Read(wanted, bytes) => mind.on_entries_read(now, &wanted, Ok(&bytes), out),
            Event::Piece(to, at, read) => mind.on_snapshot_read(now, to, at, read, out),
        }
    }

    fn drain_consensus(&mut self, minds: &mut Minds, sent: &mut Vec<(NodeId, PeerMessage)>) {
        for effect in minds.consensus_out.take() {
            let event = match effect {
                ConsensusEffect::ToShard { to, message } => {
                    Some(Event::Packet(CoreId(0), to, Packet::Shard(message)))
                }
                ConsensusEffect::Journal(effect) => self.on_journal(effect),
                ConsensusEffect::Snapshot(effect) => self.on_snapshot(effect),
                ConsensusEffect::Fetch(effect) => self.on_fetch(effect),
                ConsensusEffect::ReadEntries(wanted) => {
                    self.read_back += 1;
                    let file = &self.disk.files[&wanted.stretch.file()];
                    let at = usize::try_from(wanted.stretch.offset()).unwrap();
                    let end = at + usize::try_from(wanted.stretch.bytes()).unwrap();
                    let bytes = file[at..end].to_vec();
                    Some(Event::Read(wanted, bytes))
                }
                ConsensusEffect::ReadSnapshot { to, index, offset, .. } => {
                    // Small pieces, so that there are several.
                    let file = self.disk.snapshot.clone().map(Bytes::from);
                    let at = usize::try_from(offset).unwrap();
                    let read = file.map(|file| {
                        let end = file.len().min(at + 5_000);
                        (file.slice(at.min(end)..end), file.len() as u64)
                    });
                    Some(Event::Piece(to, (index, offset), read))
                }
                ConsensusEffect::Peer { to, message } => {
                    sent.push((to, message));
                    None
                }
                ConsensusEffect::Probe { ticket, address } => {
                    self.probes.push((ticket, address));
                    None
                }
                ConsensusEffect::Members(members) => {
                    self.members = members;
                    None
                }
                ConsensusEffect::Notice(text) if self.is_full => {
                    self.notices.push(text);
                    None
                }
                ConsensusEffect::Notice(text) => panic!("{text}"),
            };
            minds.events.extend(event);
        }
    }

    fn on_journal(&mut self, effect: Effect<Vec<u8>>) -> Option<Event> {
        let files = &mut self.disk.files;
        let done = match effect {
            Effect::Write { token, file, offset, bytes } => {
                let at = usize::try_from(offset).unwrap();
                files.get_mut(&file).unwrap()[at..at + bytes.len()].copy_from_slice(&bytes);
                token
            }
            Effect::Sync { token, .. } => token,
            Effect::Prepare { token, .. } if self.is_full => return Some(Event::NoRoom(token)),
            Effect::Prepare { token, slot, bytes } => {
                let bytes = vec![0; usize::try_from(bytes).unwrap()];
                files.insert(File::Segment(slot), bytes);
                token
            }
            Effect::Remove { slot } => {
                files.remove(&File::Segment(slot));
                return None;
            }
            Effect::Durable { .. } | Effect::VoteDurable => unreachable!("the mind keeps these"),
        };
        Some(Event::Journal(done))
    }

    fn on_snapshot(&mut self, effect: SnapshotEffect) -> Option<Event> {
        match effect {
            SnapshotEffect::Begin { bytes } => self.disk.unnamed = bytes,
            SnapshotEffect::Write { bytes } => self.disk.unnamed.extend(bytes),
            SnapshotEffect::Finish { bytes, .. } => {
                self.disk.unnamed.extend(bytes);
                self.disk.snapshot = Some(std::mem::take(&mut self.disk.unnamed));
            }
            SnapshotEffect::Abandon => return None,
        }
        Some(Event::Snapshot)
    }

    fn on_fetch(&mut self, effect: FetchEffect) -> Option<Event> {
        let fetched = &mut self.disk.fetched;
        Some(Event::Fetch(match effect {
            FetchEffect::Write { offset, bytes } => {
                fetched.truncate(usize::try_from(offset).unwrap());
                fetched.extend(bytes);
                Ok(None)
            }
            FetchEffect::Check { bytes } => {
                fetched.extend(bytes);
                let read = snapshot::read(&Bytes::from(fetched.clone()));
                read.map(|read| Some(Box::new(read))).map_err(|error| error.to_string())
            }
            FetchEffect::Keep { .. } => {
                self.installed += 1;
                self.disk.snapshot = Some(std::mem::take(fetched));
                Ok(None)
            }
            FetchEffect::Abandon => return None,
        }))
    }
}
