//! Coordinators and their workers, as processes.

use crate::cluster::{Cluster, places};
use crate::server::{Place, Server, free_address, until};
use crate::witness::Witness;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// How many threads a worker's plugin has.
pub(crate) const THREADS: u32 = 4;

/// The shortest lease: tests wait for its end.
pub(crate) const LEASE: &str = "worker_lease=2s";

/// A folder with the plugins of these tests; none where nothing can be compiled.
pub(crate) fn plugins() -> Option<TempDir> {
    if Command::new("cc").arg("--version").output().is_err() {
        println!("skipped: cc is not installed");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, source) in [
        ("steady", "tests/workers/fixtures/steady.c"),
        ("faulty", "tests/plugins/fixtures/faulty.c"),
    ] {
        let output = Command::new("cc")
            .args(["-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", "-pthread", "-w", "-I"])
            .arg(root.join("src/abi/include"))
            .arg("-o")
            .arg(folder.path().join(format!("{name}.so")))
            .arg(root.join(source))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let manifest = |text: String, name: &str| {
        std::fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    };
    manifest(format!("threads: {THREADS}\nnetwork: allow\nstop_grace: 100ms"), "steady");
    manifest("threads: 1\nmemory_max: 32MiB\nstop_grace: 100ms".to_owned(), "faulty");
    Some(folder)
}

/// The same for one plugin alone.
pub(crate) fn only(plugins: &TempDir, name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in [format!("{name}.so"), format!("{name}.yaml")] {
        std::fs::copy(plugins.path().join(&file), folder.path().join(&file)).unwrap();
    }
    folder
}

/// A cluster whose coordinators run no tasks, unless they were told to, and workers.
pub(crate) struct Crew {
    pub(crate) cluster: Cluster,
    pub(crate) witness: Witness,
    plugins: TempDir,
    gossip: Vec<SocketAddr>,
    homes: TempDir,
    hired: usize,
}

impl Crew {
    /// So many coordinators; none where nothing can be compiled.
    pub(crate) fn found(coordinators: usize) -> Option<Self> {
        Self::found_with(coordinators, &["role=coordinator"])
    }

    /// The same, with these settings.
    pub(crate) fn found_with(coordinators: usize, own: &[&str]) -> Option<Self> {
        let plugins = plugins()?;
        let folder = format!("plugins={}", plugins.path().display());
        let gossip: Vec<SocketAddr> = (0..coordinators).map(|_| free_address()).collect();
        // Coordinators tell each other where they take gossip.
        let settings = [&[folder.as_str(), LEASE, "retention=1GiB"], own].concat();
        let places: Vec<Place> = if coordinators == 1 {
            vec![Place::new(&settings)]
        } else {
            places(coordinators, &settings)
        };
        let at = |(place, gossip): (Place, &SocketAddr)| place.with(&format!("gossip={gossip}"));
        let mut cluster = Cluster::of(places.into_iter().zip(&gossip).map(at).collect());
        cluster.start_all();
        cluster.leader();
        let (witness, homes) = (Witness::start(), tempfile::tempdir().unwrap());
        Some(Self { cluster, witness, plugins, gossip, homes, hired: 0 })
    }

    /// A worker in a directory of its own.
    pub(crate) fn hire(&mut self) -> Server {
        self.hired += 1;
        self.start(self.hired, &[])
    }

    /// The worker of that directory.
    pub(crate) fn start(&self, number: usize, settings: &[&str]) -> Server {
        self.start_with(self.plugins.path(), number, settings)
    }

    pub(crate) fn start_with(&self, plugins: &Path, number: usize, settings: &[&str]) -> Server {
        let join: Vec<String> = self.gossip.iter().map(ToString::to_string).collect();
        let join = format!("join={}", join.join(","));
        let home = self.homes.path().join(format!("w{number}"));
        let http = free_address();
        let (http_text, home) = (http.to_string(), home.to_str().unwrap().to_owned());
        let mut arguments = vec![
            "--role",
            "worker",
            "--set",
            &join,
            "--data",
            &home,
            "--http",
            &http_text,
            "--set",
            "log=warn",
            "--set",
            "log_format=json",
            "--plugins",
        ];
        arguments.push(plugins.to_str().unwrap());
        for setting in settings {
            arguments.extend(["--set", setting]);
        }
        Server::run(&[], &arguments, http)
    }

    /// So many workers, registered.
    pub(crate) fn hire_all(&mut self, count: usize) -> Vec<Server> {
        let workers: Vec<Server> = (0..count).map(|_| self.hire()).collect();
        workers.iter().for_each(is_registered);
        workers
    }

    pub(crate) fn plugins(&self) -> &TempDir {
        &self.plugins
    }

    /// Where requests go: a coordinator that runs.
    pub(crate) fn server(&self) -> &Server {
        self.cluster.server(self.cluster.running()[0])
    }

    /// Puts the workflows of these tests into the catalogue: some worker has brought the plugins.
    pub(crate) fn teach(&self) {
        self.teach_steady();
        let faulty = r#"
workflows:
  - id: faulty
    tasks:
      - id: work
        type: faulty
        with: { do: "${ input.do }" }
        timeout: 2s
"#;
        self.put(faulty, "faulty");
    }

    /// The same of the plugin `steady` alone.
    pub(crate) fn teach_steady(&self) {
        let port = self.witness.port;
        let steady = format!(
            r#"
workflows:
  - id: steady
    tasks:
      - id: work
        type: steady
        config: {{ port: {port} }}
        with: {{ ms: "${{ input.ms }}" }}
        retry: {{ max: 20, first: 20ms, cap: 200ms }}
"#
        );
        self.put(&steady, "steady");
    }

    fn put(&self, workflows: &str, kind: &str) {
        let rule = format!(
            "rules:\n  - {{ id: is-{kind}, conditions: [{{ field: kind, op: equals, value: {kind} }}], \
             actions: [{{ workflow: {kind} }}] }}\n"
        );
        self.server().put("/api/v1/definitions", workflows);
        self.server().put("/api/v1/rules", &rule);
    }

    /// Starts so many tasks that take so long.
    pub(crate) fn order(&self, count: usize, ms: u64) {
        let server = self.server();
        let mut connection = server.connect();
        for _ in 0..count {
            let body = format!(r#"{{"kind":"steady","ms":{ms}}}"#);
            let answer = until("a leader takes it", || {
                let answer =
                    connection.call("POST", "/api/v1/messages", &[], body.as_bytes()).unwrap();
                (answer.status() != 503).then_some(answer)
            });
            assert_eq!(answer.status(), 202, "{}", answer.text());
        }
    }

    /// Every instance completes: each task has one result, and was done at least once.
    pub(crate) fn all_complete(&self, count: usize) {
        let server = self.server();
        until("every instance has completed", || {
            let page = server.read("/api/v1/workflows?status=running&limit=1");
            page["workflows"].as_array().unwrap().is_empty().then_some(())
        });
        let all = crate::audit::all_instances(server);
        let failed: Vec<&Value> =
            all.iter().filter(|instance| instance["status"] != "completed").collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(all.len(), count);
        assert_eq!(self.witness.done(), count);
        self.witness.saw_no_overlap();
    }
}

/// Waits until a leader knows the worker.
pub(crate) fn is_registered(worker: &Server) {
    worker.ready();
    until("the worker is registered", || {
        let mut connection = crate::client::Connection::open(worker.address).ok()?;
        let answer = connection.get("/health/ready").ok()?;
        (answer.status() == 200).then_some(())
    });
}
