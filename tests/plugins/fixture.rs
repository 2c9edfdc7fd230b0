//! Folders of plugins made for one test, and a host over them.

use bytes::Bytes;
use host::{Finished, Host, Job, Options, TaskError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A folder of plugins.
pub(crate) struct Folder {
    directory: TempDir,
}

/// The header's folder.
pub(crate) fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/abi/include")
}

/// A source of the fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/fixtures").join(name)
}

/// Whether there is a C compiler; says so when there is none.
fn has_cc() -> bool {
    let there = Command::new("cc").arg("--version").output().is_ok();
    if !there {
        println!("skipped: cc is not installed");
    }
    there
}

impl Folder {
    /// An empty folder; `None` where no plugin can be compiled.
    pub(crate) fn new() -> Option<Self> {
        has_cc().then(|| Self { directory: tempfile::tempdir().unwrap() })
    }

    /// A folder with the faulty plugin and this manifest.
    pub(crate) fn faulty(manifest: &str) -> Option<Self> {
        let folder = Self::new()?;
        folder.compile("faulty", &[]);
        folder.write("faulty.yaml", manifest);
        Some(folder)
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Compiles the fixture as the plugin `name`, with these definitions.
    pub(crate) fn compile(&self, name: &str, definitions: &[&str]) {
        self.compile_source(name, &fixture("faulty.c"), definitions);
    }

    /// Compiles a file as the program `name`.
    pub(crate) fn compile_program(&self, name: &str, source: &Path) -> PathBuf {
        let program = self.path().join(name);
        let made = Command::new("cc")
            .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o"])
            .args([&program, source])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        program
    }

    /// Compiles a file as the plugin `name`.
    pub(crate) fn compile_source(&self, name: &str, source: &Path, definitions: &[&str]) {
        let output = Command::new("cc")
            .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC"])
            .args(["-shared", "-pthread", "-Wno-infinite-recursion", "-Wno-unused-function"])
            .args(["-Wno-unused-const-variable", "-I"])
            .arg(include())
            .arg(format!("-DNAME=\"{name}\""))
            .args(definitions)
            .arg("-o")
            .arg(self.path().join(format!("{name}.so")))
            .arg(source)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// A host over it.
    pub(crate) fn host(&self) -> Running {
        let host = Host::open(options(self.path())).unwrap();
        Running { host, next: 1 }
    }
}

/// Processes are those of the node's own program.
pub(crate) fn options(path: &Path) -> Options {
    Options { program: env!("CARGO_BIN_EXE_distric-shard").into(), ..Options::new(path) }
}

/// A host with one plugin called `faulty`.
pub(crate) struct Running {
    pub(crate) host: Host,
    next: u64,
}

/// How long anything may take at all: a test that hangs fails with words.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

impl Running {
    /// A job with this input and a name of its own.
    pub(crate) fn job(&mut self, input: &str) -> Job {
        self.next += 1;
        Job {
            key: self.next,
            plugin: "faulty".to_owned(),
            config: Bytes::from_static(b"{}"),
            input: Bytes::from(input.to_owned()),
            timeout: Some(PATIENCE),
            attempt: 1,
            ..Job::default()
        }
    }

    /// Starts the faulty plugin on a wish; returns the job's key.
    pub(crate) fn begin(&mut self, wish: &str) -> u64 {
        let job = self.job(&format!("{{\"do\": \"{wish}\"}}"));
        let key = job.key;
        self.host.run(job).unwrap();
        key
    }

    /// The next jobs that end.
    pub(crate) fn finished(&self) -> Vec<Finished> {
        self.host.wait_finished()
    }

    /// Runs a job alone, to its end.
    pub(crate) fn run(&mut self, job: Job) -> Result<String, TaskError> {
        let key = job.key;
        self.host.run(job).unwrap();
        self.end_of(key)
    }

    /// The end of the only job that runs.
    pub(crate) fn end_of(&self, key: u64) -> Result<String, TaskError> {
        let mut finished = self.finished();
        assert_eq!(finished.len(), 1, "{finished:?}");
        let one = finished.pop().unwrap();
        assert_eq!(one.key, key);
        one.outcome.map(|output| String::from_utf8(output.to_vec()).unwrap())
    }

    /// Has the faulty plugin do something, to its end.
    pub(crate) fn wish(&mut self, wish: &str) -> Result<String, TaskError> {
        let key = self.begin(wish);
        self.end_of(key)
    }

    /// A task that ends well: the host is unharmed.
    pub(crate) fn is_well(&mut self) {
        assert_eq!(self.wish("echo").unwrap(), r#"{"do": "echo"}"#);
    }
}

/// The failure that is expected, with words that its message holds.
#[track_caller]
pub(crate) fn assert_fails(
    result: &Result<String, TaskError>,
    code: &str,
    retryable: bool,
    words: &str,
) {
    let error = result.as_ref().unwrap_err();
    assert_eq!((error.code.as_str(), error.retryable), (code, retryable), "{error}");
    assert!(error.message.contains(words), "{error}");
}
