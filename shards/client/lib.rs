//! A client of DistriC's binary protocol: what a Rust program links to send messages to a node.
//!
//! ```no_run
//! use client::{Client, Options};
//!
//! let client = Client::connect(Options::to("127.0.0.1:8081"))?;
//!
//! // One message, and what became of it: it is durable and applied when `wait` returns.
//! let receipt = client.submit(br#"{"event_type":"payment_received","amount":15000}"#)?;
//! let submitted = receipt.wait()?;
//! println!("{} started {:?}", submitted.id, submitted.workflows);
//!
//! // Many: they share submits, and submits are sent ahead of the answers.
//! let bodies = (0..1_000).map(|n| format!(r#"{{"event_type":"reading","n":{n}}}"#));
//! for (n, result) in client.submit_all(bodies).into_iter().enumerate() {
//!     if let Err(error) = result {
//!         println!("reading {n}: {error}");
//!     }
//! }
//!
//! // What a GET of the HTTP API answers.
//! let answer = client.query(&format!("/api/v1/messages/{}", submitted.id))?;
//! println!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
//!
//! client.close();
//! # Ok::<(), client::ClientError>(())
//! ```
//!
//! # Once, not twice
//!
//! The client numbers what it sends: a producer id, drawn at random, and a sequence. When a connection
//! breaks or an answer does not come, it connects again, to the next address, and sends the same
//! messages under the same numbers. A node that has accepted one already says so
//! ([`Outcome::Duplicate`]) and names the first one's id and workflows. So a retry is never a second
//! message, and nothing that a program must do itself.
//!
//! A node remembers numbers for a while (`key_ttl`, 2 minutes) and so many of them (1,024 of each
//! producer). The client stays within both: it sends at most so far ahead of the oldest message without
//! a result, it gives a message up after [`Options::give_up_after`], and it takes a new producer after
//! a long silence. What it gives up is told as it is:
//!
//! | result | the message |
//! | --- | --- |
//! | `Ok` | is in the log, once |
//! | an error with [`is_in_doubt`](ClientError::is_in_doubt) false | is not in the log |
//! | [`ClientError::Unknown`] | is in the log once, or not at all: nobody could be asked in time |
//!
//! A message whose fate is unknown is never sent again under another number: whether to submit it anew
//! is the program's decision, as is what that means when both are in the log. A field of the program's
//! own, an order's number for example, tells them apart for its rules.
//!
//! # Batches and order
//!
//! Messages that wait together travel together, up to [`Options::batch_messages_max`] in a submit and
//! [`Options::in_flight_max`] submits on their way. Nothing waits for company unless
//! [`Options::linger`] says so: under load a batch fills while the ones before it are on their way. A
//! submit is one entry of the log, but not a transaction: each message has a result of its own. When a
//! node refuses a submit because of one message in it, the others are sent without that one.
//!
//! Messages of one client enter the log in the order of their submits while nothing fails. What is sent
//! again may come after what was submitted later.
//!
//! # Threads and limits
//!
//! One thread of the client's own holds the one connection. [`Client`] is shared by reference between
//! as many threads as like. [`Client::submit`] copies the message and returns; when as many messages
//! wait as [`Options::queue_messages_max`] and [`Options::queue_bytes_max`] allow, it waits or refuses,
//! as [`Options::when_full`] says. A [`Receipt`] is waited for by a thread or awaited by a task.

mod driver;
mod error;
mod inbox;
mod options;
mod receipt;
mod session;
mod window;

pub use error::{ClientError, Trouble};
pub use options::{GIVE_UP_AFTER_MAX, KEY_TTL, Options, WINDOW_MESSAGES, WhenFull};
pub use receipt::{Answer, Outcome, Receipt, Submitted};
pub use wire::rpc::BackoffOptions;

use base::{Address, Prng};
use driver::Driver;
use inbox::{Command, Inbox};
use receipt::{Promise, Slot, wait};
use session::Session;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// A connection to a cluster that mends itself.
///
/// Dropping it ends it at once: what was not sent is not sent. [`Client::close`] waits for results
/// first.
#[derive(Debug)]
pub struct Client {
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    /// The options are wrong, or no address answers: [`ClientError::Unreachable`] tells of the last.
    pub fn connect(options: Options) -> Result<Self, ClientError> {
        options.check()?;
        let addresses = options.addresses.iter().map(|address| Address::parse(address));
        let addresses = addresses.collect::<Result<_, _>>().expect("they were checked");
        let mut prng = Prng::new(random()?);
        let drawn = std::iter::repeat_with(|| prng.next_u64()).find(|id| *id != 0);
        let producer = options.producer.or(drawn).expect("a generator does not end");
        let inbox = Arc::new(Inbox::new(&options)?);
        let connected = Slot::new();
        let session = Session::new(options, producer, prng);
        let promise = Promise::new(&connected);
        let driver = Driver::new(Arc::clone(&inbox), session, addresses, promise);
        let thread = thread::Builder::new().name("distric-client".to_owned());
        let thread = thread.spawn(move || driver.run()).map_err(|error| ClientError::System {
            what: "start a thread",
            error: error.to_string(),
        })?;
        let client = Self { inbox, thread: Some(thread) };
        wait(&connected, None).expect("without an end, only a result ends it")?;
        Ok(client)
    }

    /// Submits a message: one JSON object of at most 256 KiB. It is copied, and sent by the client's
    /// thread; the receipt knows what became of it.
    ///
    /// ```no_run
    /// # let client = client::Client::connect(client::Options::default())?;
    /// let receipts = [client.submit(b"{\"n\":1}")?, client.submit(b"{\"n\":2}")?];
    /// for receipt in receipts {
    ///     match receipt.wait() {
    ///         Ok(submitted) => println!("{} is in the log", submitted.id),
    ///         Err(error) if error.is_in_doubt() => println!("it may be in the log: {error}"),
    ///         Err(error) => println!("it is not in the log: {error}"),
    ///     }
    /// }
    /// # Ok::<(), client::ClientError>(())
    /// ```
    ///
    /// # Errors
    /// It is too large, the client was closed, or the queue is full and the options say to refuse.
    /// The message was not taken.
    pub fn submit(&self, message: &[u8]) -> Result<Receipt, ClientError> {
        self.inbox.submit(message)
    }

    /// Submits all messages and waits for their results, which come in the order of the messages.
    pub fn submit_all<M: AsRef<[u8]>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Vec<Result<Submitted, ClientError>> {
        let receipts: Vec<_> =
            messages.into_iter().map(|message| self.submit(message.as_ref())).collect();
        receipts.into_iter().map(|receipt| receipt.and_then(Receipt::wait)).collect()
    }

    /// Sends what waits for company, and waits until every message submitted before has its result,
    /// whatever it is.
    ///
    /// # Errors
    /// The client has failed.
    pub fn flush(&self) -> Result<(), ClientError> {
        let done = Slot::new();
        self.inbox.command(Command::Flush { done: Promise::new(&done) })?;
        wait(&done, None).expect("without an end, only a result ends it")
    }

    /// Asks what `GET path` of the HTTP API answers, as in `/api/v1/workflows?limit=10`. It is asked
    /// again while the connection breaks. One that has the node wait, as in
    /// `/api/v1/events?after=17&wait=30s`, is given that time besides.
    ///
    /// # Errors
    /// There was no answer in time, or the node refused to ask. What HTTP answers with a status of 400
    /// and above is an answer: look at its status.
    pub fn query(&self, path: &str) -> Result<Answer, ClientError> {
        let answer = Slot::new();
        let (path, promise) = (path.to_owned(), Promise::new(&answer));
        self.inbox.command(Command::Query { path, answer: promise })?;
        wait(&answer, None).expect("without an end, only a result ends it")
    }

    /// Waits until every message has its result, then closes the connection.
    pub fn close(self) {
        // That the client has failed is known to every receipt, and closed it is all the same.
        let _: Result<(), ClientError> = self.flush();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A thread that has ended already needs no word.
        let _: Result<(), ClientError> = self.inbox.command(Command::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there has been told to every receipt.
            let _: thread::Result<()> = thread.join();
        }
    }
}

/// A number nobody else has drawn.
fn random() -> Result<u64, ClientError> {
    let mut bytes = [0; 8];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| ClientError::System {
        what: "read random numbers from /dev/urandom",
        error: error.to_string(),
    })?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests;
