//! Nodes: where they live, how they are started, and how they end.

use crate::client::{Connection, Message};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that must come: far more than it takes on a machine that does
/// something else besides.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks at something that has no way to tell.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Looks until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        thread::park_timeout(LOOK_AGAIN);
    }
}

/// An address that nothing else on this machine uses: every process, and every call in it, has a
/// loopback address of its own, so that neither other tests nor connections' own ports get in the
/// way of a restart.
pub(crate) fn free_address() -> SocketAddr {
    static CALLS: AtomicU32 = AtomicU32::new(1);
    let [.., high, middle, low] = std::process::id().to_be_bytes();
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let ip = IpAddr::V4(Ipv4Addr::new(127, high.wrapping_add(1), middle, low));
    let bound = TcpListener::bind((ip, 0)).or_else(|_| TcpListener::bind(("127.0.0.1", 0)));
    let address = bound.and_then(|bound| bound.local_addr());
    let mut address = address.expect("a loopback address has a free port");
    // Below the range that the kernel gives out by itself: two calls cannot get the same.
    if address.ip() == ip {
        address.set_port(10_000 + u16::try_from(call % 20_000).expect("below 20,000"));
    }
    address
}

/// A data directory and two addresses, for one node after the other.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where it serves HTTP.
    pub(crate) address: SocketAddr,
    /// Where it serves the binary protocol.
    pub(crate) tcp: SocketAddr,
    /// Where it takes the links of other coordinators.
    pub(crate) peer: Option<SocketAddr>,
    data: PathBuf,
    /// What is put in front of the command, such as `nsenter`.
    wrapper: Vec<String>,
    arguments: Vec<String>,
    /// Goes with this value.
    directory: Option<TempDir>,
}

impl Place {
    /// An empty directory, and settings as `KEY=VALUE`.
    pub(crate) fn new(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a temporary directory");
        let mut place = Self::at(&directory.path().join("data"), settings);
        place.directory = Some(directory);
        place
    }

    /// A data directory that someone else looks after.
    pub(crate) fn at(data: &Path, settings: &[&str]) -> Self {
        // Small segments: a start writes one full of zeros.
        let own = ["segment=16MiB", "examples=false", "log=warn", "log_format=json"];
        let settings = own.iter().chain(settings);
        Self {
            address: free_address(),
            tcp: free_address(),
            peer: None,
            data: data.to_owned(),
            wrapper: Vec::new(),
            arguments: settings.flat_map(|set| ["--set".to_owned(), (*set).to_owned()]).collect(),
            directory: None,
        }
    }

    /// The same with another setting, which counts where it was set before.
    pub(crate) fn with(mut self, setting: &str) -> Self {
        self.arguments.extend(["--set".to_owned(), setting.to_owned()]);
        self
    }

    /// The same with a door for other coordinators.
    pub(crate) fn with_peer(mut self, address: SocketAddr) -> Self {
        self.peer = Some(address);
        self.with(&format!("peer={address}"))
    }

    /// The same, run by another command.
    pub(crate) fn within(mut self, wrapper: &[String]) -> Self {
        self.wrapper = wrapper.to_vec();
        self
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Starts a node and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.start_on("0,1")
    }

    /// The same on other cores.
    pub(crate) fn start_on(&self, cores: &str) -> Server {
        let server = self.spawn_on(cores);
        server.ready();
        server
    }

    /// Starts a node.
    pub(crate) fn spawn(&self) -> Server {
        self.spawn_on("0,1")
    }

    /// The same on other cores.
    pub(crate) fn spawn_on(&self, cores: &str) -> Server {
        let arguments = self.arguments_on(cores);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Server::run(&self.wrapper, &arguments, self.address)
    }

    /// What a node is told on these cores.
    pub(crate) fn arguments_on(&self, cores: &str) -> Vec<String> {
        let data = self.data.to_str().expect("a temporary path is text");
        let (address, tcp) = (self.address.to_string(), self.tcp.to_string());
        let own = ["--cores", cores, "--http", &address, "--tcp", &tcp, "--data", data]
            .map(str::to_owned);
        [&own[..], &self.arguments[..]].concat()
    }
}

/// A node's process. It ends with this value at the latest.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Said>,
    listening: Vec<JoinHandle<()>>,
}

/// Everything that a process has written.
#[derive(Debug, Default)]
struct Said {
    text: Mutex<Text>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Text {
    all: String,
    /// Of its two outputs.
    ended: u32,
}

impl Server {
    /// Runs the binary.
    pub(crate) fn run(wrapper: &[String], arguments: &[&str], address: SocketAddr) -> Self {
        let mut words = wrapper.to_vec();
        words.push(env!("CARGO_BIN_EXE_distric-shard").to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DISTRIC_")) {
            command.env_remove(name);
        }
        // Nodes run beside each other: only one of them could have the default address.
        command.env("DISTRIC_TCP", "off");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let said = Arc::new(Said::default());
        let listening = vec![
            listen(child.stdout.take().expect("it is piped"), &said),
            listen(child.stderr.take().expect("it is piped"), &said),
        ];
        Self { child, address, said, listening }
    }

    /// Waits until the node has said that it is ready.
    pub(crate) fn ready(&self) {
        // As its log format says.
        let words = [" is ready.\n", r#""component":"node","msg":"ready""#];
        let is_ready = |text: &Text| words.iter().any(|words| text.all.contains(words));
        let text = self.said.text.lock().expect("listeners do not panic");
        let wait = self
            .said
            .more
            .wait_timeout_while(text, PATIENCE, |text| !is_ready(text) && text.ended < 2);
        let (text, _) = wait.expect("listeners do not panic");
        let is_ready = is_ready(&text);
        // Given back first: what it said is shown when this value goes.
        drop(text);
        assert!(is_ready, "the node did not get ready");
    }

    /// What it has written so far.
    pub(crate) fn said(&self) -> String {
        self.said.text.lock().expect("listeners do not panic").all.clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
            .unwrap_or_else(|error| panic!("{error}. The node said:\n{}", self.said()))
    }

    /// Waits until it answers, ready or not. For a moment after a kill the kernel still takes
    /// connections in the last process's name, and then resets them.
    pub(crate) fn serving(&self) -> Connection {
        until("the node answers", || {
            let mut connection = Connection::open(self.address).ok()?;
            connection.get("/health/live").ok().map(|_| connection)
        })
    }

    /// One request on a connection of its own.
    pub(crate) fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Message {
        let answer = self.connect().call(method, path, headers, body.as_ref());
        answer.unwrap_or_else(|error| {
            panic!("{method} {path}: {error}. The node said:\n{}", self.said())
        })
    }

    pub(crate) fn get(&self, path: &str) -> Message {
        self.call("GET", path, &[], "")
    }

    /// Reads what there is. A node that cannot say just now, for want of a leader or of what it has yet
    /// to apply, is asked again.
    pub(crate) fn read(&self, path: &str) -> Value {
        until("the node can say", || {
            let answer = self.get(path);
            (answer.status() != 503).then(|| answer.json_of(200))
        })
    }

    /// Puts a rule or workflow file into the catalogue.
    pub(crate) fn put(&self, path: &str, text: &str) {
        let answer = self.call("POST", path, &[("content-type", "application/yaml")], text);
        assert!(matches!(answer.status(), 200 | 201), "{path}: {}", answer.text());
    }

    /// The sum of a metric's series, all whole numbers.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").text();
        let series = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(series, _)| {
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        });
        series.map(|(_, value)| value.parse::<u64>().expect("it counts something")).sum()
    }

    /// What it has open, as the kernel names it: `socket:[1234]`, a file's path, and so on.
    pub(crate) fn open_files(&self) -> Vec<String> {
        let path = format!("/proc/{}/fd", self.pid());
        let open = fs::read_dir(path).expect("a process of this user is seen");
        // One that is closed meanwhile is gone.
        let names = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    /// SIGKILL: the process is gone when this returns.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGSTOP, SIGCONT and the like.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid =
            i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a process has one");
        kill_process(pid, signal).expect("the process is this one's child");
    }

    /// Waits for its end: how it ended, and everything it said.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let child = &mut self.child;
        let ended = until("the process ends", || child.try_wait().expect("it is a child"));
        for listener in self.listening.drain(..) {
            listener.join().expect("listeners do not panic");
        }
        (ended, self.said())
    }

    fn end(&mut self) {
        // An error says that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        for listener in self.listening.drain(..) {
            let _joined = listener.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln!("a node said:\n{}", self.said());
        }
    }
}

fn listen(output: impl Read + Send + 'static, said: &Arc<Said>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut lines = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            let read = lines.read_until(b'\n', &mut line).unwrap_or(0);
            let mut text = said.text.lock().expect("listeners do not panic");
            text.all.push_str(&String::from_utf8_lossy(&line));
            text.ended += u32::from(read == 0);
            said.more.notify_all();
            if read == 0 {
                return;
            }
        }
    })
}
