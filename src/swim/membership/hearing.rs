//! What is received.

use super::{Effect, MEMBERS_MAX, Membership, age};
use crate::bridge::write_packet;
use crate::data::Said;
use crate::datagram::{DATAGRAM_BYTES_MAX, Dropped, Incoming, Talk, decode};
use crate::identity::Update;
use crate::member::{Happened, State};
use base::{BootId, Now, Outbox};
use std::net::SocketAddr;
use std::sync::Arc;
use wire::{Frame, Kind};

/// How a member's data came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Somebody told what he had heard lately.
    News,
    /// By a comparison, of the one that began it: it may have just come.
    Greeting,
    /// By a comparison: what all others may know for long.
    View,
}

/// Where a datagram came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// At this member's own address.
    Own,
    /// At the group's.
    Group,
}

impl Membership {
    /// A datagram came.
    pub fn on_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Outbox<Effect>,
    ) {
        self.take_in(now, from, Door::Own, datagram, out);
    }

    /// A datagram came by the group. Nothing but searches is heard there.
    pub fn on_group_datagram(
        &mut self,
        now: Now,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Outbox<Effect>,
    ) {
        self.take_in(now, from, Door::Group, datagram, out);
    }

    fn take_in(
        &mut self,
        now: Now,
        from: SocketAddr,
        door: Door,
        datagram: &[u8],
        out: &mut Outbox<Effect>,
    ) {
        self.see_stall(now);
        if let Err(dropped) = self.receive(now, from, door, datagram, out) {
            *self.counts.dropped.entry(dropped).or_default() += 1;
            self.dropped_from.insert(dropped, from);
        }
        self.settle(now, out);
    }

    fn receive(
        &mut self,
        now: Now,
        from: SocketAddr,
        door: Door,
        datagram: &[u8],
        out: &mut Outbox<Effect>,
    ) -> Result<(), Dropped> {
        if self.goodbyes.is_some() {
            return Err(Dropped::Gone);
        }
        let read = |bytes| Frame::decode(bytes, DATAGRAM_BYTES_MAX).map_err(|_| Dropped::Malformed);
        let mut frame = read(datagram)?;
        let opened;
        match &self.keys {
            Some(keys) => {
                opened = keys.open(&frame)?;
                frame = read(&opened)?;
            }
            None if frame.header.kind == Kind::GOSSIP_SEALED => return Err(Dropped::Key),
            None => {}
        }
        let incoming = decode(&frame)?;
        match (door, incoming.kind == Kind::GOSSIP_SEARCH) {
            (Door::Own, false) => {
                self.check(from, &incoming, out)?;
                self.hear(now, &incoming, out)
            }
            (Door::Group, true) => self.on_search(now, from, &incoming, out),
            _ => Err(Dropped::Addressee),
        }
    }

    /// Whether it is for this member, and of one that it can hear.
    fn check(
        &mut self,
        from: SocketAddr,
        incoming: &Incoming<'_>,
        out: &mut Outbox<Effect>,
    ) -> Result<(), Dropped> {
        let is_asking = incoming.kind == Kind::GOSSIP_SYNC && incoming.cluster == 0;
        if self.config.cluster.is_some_and(|own| own != incoming.cluster) && !is_asking {
            return Err(Dropped::Cluster);
        }
        let sender = incoming.from.identity;
        if sender.address != SocketAddr::new(from.ip().to_canonical(), from.port()) {
            return Err(Dropped::Address);
        }
        let own = *self.foca.identity();
        if sender.member == own.member {
            self.see_namesake(&incoming.from, out);
            return Err(Dropped::Own);
        }
        let to = incoming.to;
        let is_ours = match incoming.kind {
            Kind::GOSSIP_SYNC => to.member == 0 || to.member == own.member,
            _ => to.member == own.member && (to.boot, to.renewal) == own.age(),
        };
        if !is_ours {
            return Err(Dropped::Addressee);
        }
        if self.is_too_many(sender.member) {
            return Err(Dropped::Full);
        }
        if self.config.cluster.is_none() && incoming.cluster != 0 {
            self.config.cluster = Some(incoming.cluster);
            out.push(Effect::Found { cluster: incoming.cluster });
        }
        Ok(())
    }

    pub(super) fn is_too_many(&self, member: u64) -> bool {
        self.table.len() >= MEMBERS_MAX && self.table.get(member).is_none()
    }

    /// Somebody has this member's id. Said once for each run of it.
    pub(super) fn see_namesake(&mut self, update: &Update, out: &mut Outbox<Effect>) {
        let own = self.foca.identity();
        let theirs = update.identity;
        let is_known = self.usurper.is_some_and(|boot| boot >= theirs.boot);
        if theirs.boot > own.boot && !is_known {
            self.usurper = Some(theirs.boot);
            out.push(Effect::Usurped { boot: BootId(theirs.boot), address: theirs.address });
        }
    }

    fn hear(
        &mut self,
        now: Now,
        incoming: &Incoming<'_>,
        out: &mut Outbox<Effect>,
    ) -> Result<(), Dropped> {
        let sender = incoming.from;
        // Who talks is alive; foca concludes the same from the packet.
        if self.table.is_news(&sender) {
            self.note(now, &sender, out);
        }
        let is_heard = self.table.is_active(&sender.identity);
        let is_page = incoming.kind == Kind::MEMBERSHIP_UPDATE && incoming.flag;
        let updates = if is_heard && !is_page {
            self.sift(now, &incoming.updates, false, out)
        } else {
            Vec::new()
        };
        let talk = Talk {
            kind: incoming.kind,
            from: sender,
            to: *self.foca.identity(),
            probe: incoming.probe,
            other: incoming.other,
            flag: incoming.flag,
        };
        let mut packet = Vec::with_capacity(256);
        write_packet(&mut packet, &talk, talk.to, &updates);
        // To one that is taken for failed it answers so.
        let told = self.foca.handle_data(&packet, &mut self.collected);
        self.settle(now, out);
        told.map_err(|_| Dropped::Malformed)?;
        if !is_heard {
            return Ok(());
        }
        if is_page {
            let updates = self.sift(now, &incoming.updates, true, out);
            // One that is only just joining learns what all others know.
            let aloud = self.joining.has_joined();
            self.teach(&updates, aloud);
        }
        let source = match incoming.kind {
            _ if is_page => Source::View,
            Kind::GOSSIP_SYNC if incoming.flag => Source::View,
            Kind::GOSSIP_SYNC => Source::Greeting,
            _ => Source::News,
        };
        for record in &incoming.data {
            self.hear_data(now, record, source, out);
        }
        self.answer(now, incoming, out);
        Ok(())
    }

    /// What of these updates is new; the view has it afterwards.
    fn sift(
        &mut self,
        now: Now,
        updates: &[Update],
        is_page: bool,
        out: &mut Outbox<Effect>,
    ) -> Vec<Update> {
        let mut news = Vec::new();
        for update in updates {
            let own = self.foca.identity();
            if update.identity.member == own.member {
                self.see_namesake(update, out);
                let own = self.foca.identity();
                // That this member is in doubt is foca's to answer. What is said of earlier names
                // is of no use to anyone.
                if update.identity == *own && update.state != State::Alive {
                    news.push(*update);
                }
                continue;
            }
            // What one node has forgotten already another may still remember.
            let is_forgotten = is_page
                && !update.state.is_active()
                && self.table.get(update.identity.member).is_none();
            let is_new = self.table.is_news(update) && !is_forgotten;
            if is_new && !self.is_too_many(update.identity.member) {
                self.note(now, update, out);
                news.push(*update);
            }
        }
        news
    }

    fn hear_data(&mut self, now: Now, record: &[u8], source: Source, out: &mut Outbox<Effect>) {
        let Some(said) = Said::decode(record) else {
            *self.counts.dropped.entry(Dropped::Malformed).or_default() += 1;
            return;
        };
        let (member, at) = (said.member, said.at);
        if member == self.config.member.0 || !self.table.hear(Arc::new(said)) {
            return;
        }
        if source == Source::News {
            out.push(Effect::Heard { took: age(now.wall, at) });
        }
        if source != Source::View || self.joining.has_joined() {
            self.news.put(member, self.transmissions);
        }
        if self.table.get(member).is_some_and(|known| known.state.is_active()) {
            self.changed(Happened::Updated, member, out);
        }
    }

    /// What is not foca's to answer.
    fn answer(&mut self, now: Now, incoming: &Incoming<'_>, out: &mut Outbox<Effect>) {
        let sender = incoming.from;
        match (incoming.kind, &incoming.other) {
            (Kind::GOSSIP_ACK, _) => self.probes.answered(sender.identity.member, incoming.probe),
            (Kind::GOSSIP_FORWARDED_ACK, Some(other)) => {
                self.probes.answered(other.identity.member, incoming.probe);
            }
            (Kind::GOSSIP_SUSPICION, Some(suspect)) => {
                self.on_suspicion(now, &sender, suspect, incoming.flag, out);
            }
            (Kind::GOSSIP_SYNC, _) => {
                self.on_sync(now, &sender, incoming.digests, incoming.flag, out);
            }
            _ => {}
        }
    }
}
