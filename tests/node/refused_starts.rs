//! Starts that cannot work: the process ends at once, with a status that is not 0, and says what is
//! wrong and what to do.

use crate::server::{Place, Server, free_address};
use std::net::TcpListener;

/// Runs the binary with these arguments until it ends: everything it said.
fn refused(arguments: &[&str]) -> String {
    let (status, said) = Server::run(&[], arguments, free_address()).ended();
    assert_eq!(status.code(), Some(1), "{arguments:?}: {said}");
    assert!(said.starts_with("distric-shard: "), "it says who speaks: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// What is said of arguments has these parts.
type Row<'a> = (&'a [&'a str], &'a [&'a str]);

/// Each of these starts, with that data directory unless they name one, is refused so.
fn are_refused(rows: &[Row<'_>], data: &str) {
    for (arguments, expected) in rows {
        let mut all = vec!["--data", data];
        // What is said twice is refused by the parser, before anything is looked at.
        if arguments.contains(&"--data") {
            all.clear();
        }
        all.extend(*arguments);
        let said = refused(&all);
        for part in *expected {
            assert!(said.contains(part), "{arguments:?}: `{part}` is not in: {said}");
        }
    }
}

#[test]
fn a_setting_that_cannot_be_meant_is_refused_with_its_place_and_what_was_expected() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let typo = file("typo.yaml", "http: 127.0.0.1:0\nretenton: 1GiB\n");
    let list = file("list.yaml", "- retention\n");
    let broken = file("broken.yaml", "retention: [1\n");
    let value = file("value.yaml", "log: info\npartitions: many\n");
    let missing = directory.path().join("missing.yaml");
    let missing = missing.to_str().unwrap();
    let missing_log = directory.path().join("no-directory/x.log");
    let missing_log = missing_log.to_str().unwrap();
    let plain = file("a-file", "");
    let in_a_file = format!("{plain}/data");

    let rows: &[Row<'_>] = &[
        (&["--cores", "x"], &["--cores", "`x` is not a CPU number", "0-7 or 0,2,4"]),
        (&["--cores", "3-1"], &["--cores", "runs backwards"]),
        (&["--cores", "0,0"], &["--cores", "named twice"]),
        (&["--cores", ""], &["--cores", "a number is missing"]),
        (&["--cores", "0-99"], &["--cores", "more than 64 cores"]),
        (&["--set", "retenton=1GiB"], &["no setting `retenton`", "did you mean `retention`?"]),
        (&["--set", "colour=red"], &["no setting `colour`", "known are cores, data, http"]),
        (&["--set", "retention"], &["expected KEY=VALUE, as in --set retention=1GiB"]),
        (&["--set", "retention=1"], &["--set retention", "`1`", "as in 64MiB or 1GiB"]),
        (&["--set", "segment=17000000"], &["segment", "4 KiB"]),
        (&["--set", "stop_timeout=soon"], &["--set stop_timeout", "`soon`"]),
        (
            &["--gossip", "127.0.0.1:0", "--set", "gossip_probe_timeout=600ms"],
            &["--set gossip_probe_timeout: `600ms`", "half of the period (1s)", "make it shorter"],
        ),
        (&["--set", "gossip_period=10ms"], &["--set gossip_period: `10ms`", "400ms to 1m"]),
        (&["--set", "examples=perhaps"], &["expected true or false"]),
        (&["--config", &typo], &["typo.yaml:2:1", "`retenton`", "did you mean `retention`?"]),
        (&["--config", &list], &["list.yaml", "a map of keys"]),
        (&["--config", &broken], &["broken.yaml:"]),
        (&["--config", &value], &["value.yaml:2:", "`many`", "a number from 1 to 4095"]),
        (&["--config", missing], &["cannot read the config file", "missing.yaml"]),
        (
            &["--plugins", missing, "--http", "127.0.0.1:0"],
            &["missing.yaml cannot be read", "name a folder by --plugins"],
        ),
        (&["--http", "8080"], &["--http", "an IP address and a port, as in 127.0.0.1:8080"]),
        (&["--http", "localhost:8080"], &["--http", "as in 127.0.0.1:8080"]),
        (&["--http", "0.0.0.0:0"], &["no authentication", "loopback", "--allow-remote"]),
        (&["--http", "[::]:0"], &["no authentication", "loopback", "--allow-remote"]),
        (&["--http", "192.0.2.1:0", "--allow-remote"], &["not an address of this machine"]),
        (
            &["--tcp", "8081"],
            &["--tcp", "an IP address and a port, as in 127.0.0.1:8081, or `off`"],
        ),
        (
            &["--http", "127.0.0.1:0", "--tcp", "0.0.0.0:0"],
            &["0.0.0.0:0", "no authentication", "--allow-remote"],
        ),
        (&["--log-file", missing_log, "--http", "127.0.0.1:0"], &["no-directory/x.log"]),
        (&["--data", &in_a_file, "--http", "127.0.0.1:0"], &["data directory", "a-file/data"]),
        (&["--log", "loud"], &["--log: `loud`", "expected off, error, warn, info or debug"]),
        (&["--log-format", "xml"], &["--log-format: `xml`", "expected json, text or auto"]),
        (&["--set", "log_mode=never"], &["--set log_mode: `never`", "expected async or sync"]),
        (&["--tcp", "127.0.0.1:8080"], &["http and tcp are both 127.0.0.1:8080", "`off`"]),
        (
            &["--cores", "0,1", "--set", "partitions=1", "--http", "127.0.0.1:0"],
            &["2 cores", "1 partitions"],
        ),
    ];
    are_refused(rows, data);
}

#[test]
fn what_does_not_fit_a_worker_or_a_coordinator_is_refused_before_anything_is_ready() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let data = data.to_str().unwrap();
    let folder = |name: &str, holds: Option<&str>| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).unwrap();
        if let Some(file) = holds {
            std::fs::write(path.join(file), "{}").unwrap();
        }
        path.to_str().unwrap().to_owned()
    };
    let (empty, of_a_worker) = (folder("empty", None), folder("of-a-worker", Some("worker")));
    let of_a_coordinator = folder("of-a-coordinator", Some("identity"));
    let worker = ["--role", "worker", "--join", "127.0.0.1:9", "--plugins", &empty];
    let with = |more: &[&'static str]| [&worker[..], more].concat();
    let no_plugin = with(&[]);
    let no_keys = with(&["--set", "gossip_keys=nothing.here"]);
    let other_home = [&worker[..], &["--data", &of_a_coordinator]].concat();

    let rows: &[Row<'_>] = &[
        (&no_plugin, &["no plugin that it could run: there is no NAME.so in", "empty"]),
        (&no_keys, &["gossip_keys: nothing.here cannot be read"]),
        (
            &["--http", "127.0.0.1:0", "--tcp", "off", "--set", "gossip_keys=nothing.here"],
            &["gossip_keys: nothing.here cannot be read"],
        ),
        (&other_home, &["of-a-coordinator is a coordinator's"]),
        (
            &["--data", &of_a_worker, "--http", "127.0.0.1:0", "--tcp", "off"],
            &["of-a-worker is a worker's: start it with --role worker"],
        ),
        (
            &["--peer", "127.0.0.1:9", "--gossip", "127.0.0.1:9"],
            &["peer and gossip are both 127.0.0.1:9"],
        ),
    ];
    are_refused(rows, data);
}

#[test]
fn an_option_that_does_not_exist_is_refused_with_the_usage() {
    let (status, said) = Server::run(&[], &["--colour", "red"], free_address()).ended();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("--colour") && said.contains("Usage: distric-shard"), "{said}");
}

#[test]
fn the_help_names_every_option() {
    let (status, said) = Server::run(&[], &["--help"], free_address()).ended();
    assert!(status.success(), "{said}");
    let options = [
        "--cores",
        "--config",
        "--data",
        "--http",
        "--tcp",
        "--allow-remote",
        "--log",
        "--log-format",
        "--log-file",
        "--set",
        "--role",
        "--gossip",
        "--join",
        "--plugins",
        "never 0.0.0.0",
    ];
    for option in options {
        assert!(said.contains(option), "{option} is not in: {said}");
    }
}

#[test]
fn a_second_node_on_a_data_directory_is_refused_and_told_who_holds_it() {
    let place = Place::new(&[]);
    let server = place.start();
    let data = place.data().to_str().unwrap();
    let said = refused(&["--data", data, "--http", &free_address().to_string()]);
    let holder = format!("in use by another distric-shard (pid {})", server.pid());
    assert!(said.contains(&holder), "{holder} is not in: {said}");
    assert!(said.contains(data) && said.contains("use another directory"), "{said}");
    assert_eq!(server.get("/health/ready").status(), 200, "the first one is not disturbed");
}

#[test]
fn a_port_that_is_in_use_is_refused_although_it_would_be_shared() {
    // By another program, and by a node, whose listeners let others join.
    let other = TcpListener::bind(free_address()).unwrap();
    let place = Place::new(&[]);
    let server = place.start();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (data, free) = (data.to_str().unwrap(), free_address().to_string());
    for address in [other.local_addr().unwrap(), server.address, place.tcp] {
        let taken = address.to_string();
        let said = refused(&["--data", data, "--http", &taken]);
        assert!(said.contains(&format!("{address} is in use by another program")), "{said}");
        assert!(said.contains("listen on another port"), "{said}");
        let said = refused(&["--data", data, "--http", &free, "--tcp", &taken]);
        assert!(said.contains(&format!("{address} is in use by another program")), "{said}");
    }
    assert_eq!(server.get("/health/ready").status(), 200, "the first one is not disturbed");
}
