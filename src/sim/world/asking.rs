//! What clients ask, and where.

use super::{SEND_AGAIN_MAX, World};
use crate::catalogue::Changing;
use crate::clients::{Post, Produced};
use crate::marks::Mark;
use api::{Method, Request};
use base::{CoreId, MessageId};
use engine::{Origin, RequestId, Submission};

impl World {
    /// A node whose process answers, if there is one: who finds none tries another.
    pub(super) fn choose(&mut self) -> Option<usize> {
        let count = self.machines.len();
        let first = usize::try_from(self.clients.prng.below(count as u64)).expect("few");
        for place in (first..count).chain(0..first) {
            if self.machines[place].is_answering(self.instant) {
                return Some(place);
            }
            self.report.marks.reach(Mark::ConnectionRefused);
        }
        None
    }

    /// A client sends a message, or a producer several: new ones or old ones.
    pub(super) fn send(&mut self) -> Result<(), String> {
        let Some(place) = self.choose() else { return Ok(()) };
        if self.clients.is_producers_turn() {
            let produced = self.clients.produce(place);
            return self.submit(place, &produced);
        }
        let post = self.clients.post(place, &mut self.report.marks);
        self.post(place, &post)
    }

    /// A client sends a message.
    pub(super) fn post(&mut self, place: usize, post: &Post) -> Result<(), String> {
        let key = post.key.as_deref().map(str::as_bytes);
        let request = Request {
            idempotency_key: key,
            content_type: None,
            ..request(Method::Post, "/api/v1/messages", &post.body)
        };
        self.ask(place, post.request, &request)
    }

    /// Somebody reads a message, somewhere.
    pub(super) fn read(&mut self) -> Result<(), String> {
        let Some(id) = self.readers.choose(&self.clients) else { return Ok(()) };
        let Some(place) = self.choose() else { return Ok(()) };
        self.read_at(place, id)
    }

    pub(super) fn read_at(&mut self, place: usize, id: MessageId) -> Result<(), String> {
        let asked = self.clients.request();
        self.readers.ask(place, asked, id, &self.clients);
        let path = format!("/api/v1/messages/{id}");
        self.ask(place, asked, &request(Method::Get, &path, ""))
    }

    pub(super) fn submit(&mut self, place: usize, sent: &Produced) -> Result<(), String> {
        let messages: Vec<&[u8]> = sent.bodies.iter().map(String::as_bytes).collect();
        let (producer, sequence) = (sent.producer, sent.sequence);
        let origin = Origin::Producer { producer, sequence };
        // Some are recorded: their records have all that a record can have.
        let trace = (sequence % 3 == 0)
            .then_some(api::TraceContext { trace: u128::from(producer), span: sequence });
        let submission = Submission { origin, messages: &messages, trace };
        let (instant, core) = (self.instant, self.core(place));
        let id = sent.request;
        self.with(place, |machine, schedule| {
            machine.submit(instant, (core, id), &submission, schedule);
        })
    }

    /// Producers send what they have no answer for until they have all answers.
    pub(super) fn send_what_is_left(&mut self) -> Result<(), String> {
        for round in 0..SEND_AGAIN_MAX {
            let (count, round) = (self.machines.len(), usize::try_from(round).expect("few"));
            let left = self.clients.left(|at| (at + round) % count);
            if left.is_empty() {
                return Ok(());
            }
            for (at, produced) in left.iter().enumerate() {
                self.submit((at + round) % count, produced)?;
            }
            self.rest()?;
        }
        Err("producers have no answer to all that they sent".into())
    }

    pub(super) fn change_catalogue(&mut self) -> Result<(), String> {
        let Some(place) = self.choose() else { return Ok(()) };
        let Changing { method, path, body } = self.catalogue.next();
        self.report.catalogue_changes += 1;
        let request = Request { by: Some(b"somebody"), ..request(method, &path, &body) };
        let id = self.clients.request();
        self.ask(place, id, &request)
    }

    pub(super) fn ask(
        &mut self,
        place: usize,
        id: RequestId,
        request: &Request<'_>,
    ) -> Result<(), String> {
        let (instant, core) = (self.instant, self.core(place));
        self.with(place, |machine, schedule| {
            machine.request(instant, (core, id), request, schedule);
        })
    }

    /// The core that a client's connection reaches.
    pub(super) fn core(&mut self, place: usize) -> CoreId {
        let core = self.clients.prng.below(u64::from(self.machines[place].config.shards));
        CoreId(u16::try_from(core).expect("a core's number"))
    }
}

/// A request of nobody in particular, with a body of JSON.
pub(super) fn request<'a>(method: Method, path: &'a str, body: &'a str) -> Request<'a> {
    Request {
        method,
        path,
        query: "",
        content_type: Some("application/json"),
        idempotency_key: None,
        by: None,
        trace: None,
        body: body.as_bytes(),
    }
}
