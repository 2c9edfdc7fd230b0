use super::*;

/// Arguments, variables, and what the error says.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

fn read(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings> {
    let mut all = vec!["distric-shard"];
    all.extend(arguments);
    let options = Options::try_parse_from(all)?;
    Settings::read(&options, |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn are_refused(rows: &[Row<'_>]) {
    for (arguments, variables, expected) in rows {
        let error = read(arguments, variables).unwrap_err();
        assert_eq!(format!("{error:#}"), *expected);
    }
}

#[test]
fn without_any_setting_the_defaults_hold() {
    let settings = read(&[], &[]).unwrap();
    assert_eq!(settings.http.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.tcp.map(|tcp| tcp.to_string()).as_deref(), Some("127.0.0.1:8081"));
    assert_eq!(
        (settings.log_file, settings.trace_endpoint, settings.trace_ratio),
        (None, None, 0.0)
    );
    assert_eq!(settings.data, PathBuf::from("./data"));
    let log = (settings.log.as_str(), settings.log_format, settings.log_mode);
    assert_eq!(log, ("info", log::Format::Auto, log::Mode::Async));
    assert_eq!(settings.retention, 256 << 20);
    assert_eq!(settings.key_ttl, Duration::from_mins(2));
    assert!(settings.cores.is_none() && settings.examples && !settings.allow_remote);
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.yaml");
    std::fs::write(
        &file,
        "http: 127.0.0.1:1\ntcp: off\ntrace_ratio: 0.1\ndata: from-file\nlog: warn\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let variables =
        [("DISTRIC_CONFIG", file), ("DISTRIC_HTTP", "127.0.0.1:2"), ("DISTRIC_DATA", "from-env")];
    let settings = read(&["--http", "127.0.0.1:3"], &variables).unwrap();
    assert_eq!(settings.http.port(), 3);
    assert_eq!(settings.data, PathBuf::from("from-env"));
    assert_eq!(settings.log, "warn");
    assert_eq!((settings.tcp, settings.trace_ratio.to_string().as_str()), (None, "0.1"));
}

#[test]
fn what_can_be_switched_off_is_by_its_word() {
    let on = [
        "--tcp",
        "[::1]:1",
        "--log-file",
        "x.log",
        "--set",
        "trace_endpoint=http://h:4318/v1/traces",
    ];
    let settings = read(&on, &[("DISTRIC_TRACE_RATIO", "0.25")]).unwrap();
    assert_eq!(settings.tcp.map(|tcp| tcp.port()), Some(1));
    assert_eq!(settings.log_file, Some(PathBuf::from("x.log")));
    assert_eq!(settings.trace_endpoint.as_deref(), Some("http://h:4318/v1/traces"));
    assert_eq!(settings.trace_ratio.to_bits(), 0.25_f64.to_bits());
    let sync = read(&["--set", "log_mode=sync", "--log-format", "text"], &[]).unwrap();
    assert_eq!((sync.log_mode, sync.log_format), (log::Mode::Sync, log::Format::Text));
    let off = ["--tcp", "off", "--log-file", "stdout", "--set", "trace_endpoint=off"];
    let settings = read(&off, &[]).unwrap();
    assert_eq!((settings.tcp, settings.log_file, settings.trace_endpoint), (None, None, None));
}

#[test]
fn a_wrong_setting_says_where_it_came_from_and_what_was_expected() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.yaml");
    std::fs::write(&file, "retention: 1GiB\nretenton: 2GiB\n").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let typo = format!("{file}:2:1: there is no setting `retenton`; did you mean `retention`?");
    let rows: &[Row<'_>] = &[
        (
            &["--http", "8080"],
            &[],
            "--http: `8080` is not usable: expected an IP address and a port, as in 127.0.0.1:8080",
        ),
        (
            &["--tcp", "8081"],
            &[],
            "--tcp: `8081` is not usable: expected an IP address and a port, as in 127.0.0.1:8081, or `off`",
        ),
        (
            &["--set", "trace_ratio=1.5"],
            &[],
            "--set trace_ratio: `1.5` is not usable: expected a share from 0 to 1, as in 0.01",
        ),
        (
            &["--set", "trace_endpoint=localhost:4318"],
            &[],
            "--set trace_endpoint: `localhost:4318` is not usable: expected an http:// URL, as in http://127.0.0.1:4318/v1/traces, or `off`",
        ),
        (
            &["--set", "key_ttl=0s"],
            &[],
            "--set key_ttl: `0s` is not usable: expected a time above 0, as in 10s",
        ),
        (
            &["--set", "trace_endpoint=http://:4318/v1/traces"],
            &[],
            "--set trace_endpoint: `http://:4318/v1/traces` is not usable: expected an http:// URL, as in http://127.0.0.1:4318/v1/traces, or `off`",
        ),
        (
            &["--set", "trace_endpoint=http:///v1/traces"],
            &[],
            "--set trace_endpoint: `http:///v1/traces` is not usable: expected an http:// URL, as in http://127.0.0.1:4318/v1/traces, or `off`",
        ),
        (
            &["--log-format", "xml"],
            &[],
            "--log-format: `xml` is not usable: `xml` is no log format: expected json, text or auto",
        ),
        (
            &["--set", "log_mode=never"],
            &[],
            "--set log_mode: `never` is not usable: `never` is no log mode: expected async or sync",
        ),
        (
            &[],
            &[("DISTRIC_LOG", "loud")],
            "DISTRIC_LOG: `loud` is not usable: `loud` is no part of a log filter: expected off, error, warn, info or debug, alone or as component=level, at most 64 of them with commas between, as in info,ingress=debug",
        ),
        (
            &["--http", "127.0.0.1:9080", "--tcp", "127.0.0.1:9080"],
            &[],
            "http and tcp are both 127.0.0.1:9080: each needs an address of its own, or `tcp` is `off`",
        ),
        (
            &[],
            &[("DISTRIC_PARTITIONS", "0")],
            "DISTRIC_PARTITIONS: `0` is not usable: expected a number from 1 to 4095",
        ),
        (
            &["--set", "retention"],
            &[],
            "--set retention: expected KEY=VALUE, as in --set retention=1GiB",
        ),
        (
            &["--set", "retention=big"],
            &[],
            "--set retention: `big` is not usable: expected a size from 1048576 to 1099511627776 bytes, as in 64MiB or 1GiB",
        ),
        (&["--config", &file], &[], &typo),
    ];
    are_refused(rows);
}

#[test]
fn roles_that_do_not_go_with_the_other_settings_are_refused_with_what_to_do() {
    let rows: &[Row<'_>] = &[
        (
            &["--role", "boss"],
            &[],
            "--role: `boss` is not usable: expected both, coordinator or worker",
        ),
        (
            &["--gossip", "0.0.0.0:9201"],
            &[],
            "gossip: 0.0.0.0:9201 is every address of this machine: others need one that they can send to, as in 10.0.0.1:9201",
        ),
        (
            &["--join", "127.0.0.1:9201"],
            &[],
            "join: this node takes no gossip itself: say --gossip ADDRESS, too",
        ),
        (
            &["--peer", "127.0.0.1:9101", "--plugins", "mine"],
            &[],
            "this node of a cluster has plugins (mine) and no --gossip ADDRESS, by which workers find the leader: say one, or `--role coordinator`, or `--plugins off`",
        ),
        (
            &["--role", "worker", "--plugins", "mine"],
            &[],
            "a worker needs --join ADDRESS,…: where nodes of its cluster take gossip (their --gossip); or gossip_multicast, as they have it",
        ),
        (
            &["--role", "worker", "--join", "127.0.0.1:9201", "--plugins", "off"],
            &[],
            "a worker needs plugins to run: make the folder ./plugins, or name one by --plugins DIR",
        ),
        (
            &["--role", "worker", "--join", "10.0.0.1:9201", "--plugins", "mine"],
            &[],
            "a worker whose cluster is on other machines (10.0.0.1:9201, in --join) needs --gossip ADDRESS: where they reach it",
        ),
        (
            &["--role", "worker", "--join", "localhost:1,node-2:9201", "--plugins", "mine"],
            &[],
            "a worker whose cluster is on other machines (node-2:9201, in --join) needs --gossip ADDRESS: where they reach it, or 127.0.0.1:0 if that name is this machine's",
        ),
        (
            &["--role", "worker", "--join", "127.0.0.1", "--plugins", "mine"],
            &[],
            "--join: `127.0.0.1` is not usable: `127.0.0.1` has no port: each address is that of another node's --gossip, as in 10.0.0.1:9201",
        ),
        (
            &[
                "--role",
                "worker",
                "--join",
                "127.0.0.1:1",
                "--plugins",
                "p",
                "--tcp",
                "127.0.0.1:2",
            ],
            &[],
            "--tcp: a worker serves no clients: leave it out",
        ),
        (
            &["--peer", "127.0.0.1:1", "--gossip", "127.0.0.1:1"],
            &[],
            "peer and gossip are both 127.0.0.1:1: each needs an address of its own",
        ),
        (
            &["--gossip", "127.0.0.1:8080"],
            &[],
            "http and gossip are both 127.0.0.1:8080: each needs an address of its own",
        ),
        (
            &["--role", "worker", "--node", "4"],
            &[],
            "--node: a worker is no member of the log's group: leave it out",
        ),
        (
            &["--set", "worker_lease=20ms"],
            &[],
            "--set worker_lease: `20ms` is not usable: expected a time from 1s to 10m",
        ),
        (
            &["--set", "worker_strategy=best"],
            &[],
            "--set worker_strategy: `best` is not usable: there is no strategy `best`: known are round_robin, least_loaded, random, locality",
        ),
    ];
    are_refused(rows);
}

#[test]
fn gossip_that_cannot_work_is_refused_by_the_settings_name_with_what_would_do() {
    are_refused(&[
        (
            &["--set", "gossip_multicast=10.0.0.1:9209"],
            &[],
            "--set gossip_multicast: `10.0.0.1:9209` is not usable: expected a multicast group and a port, as in 239.255.92.1:9209, or `off`",
        ),
        (
            &["--set", "gossip_multicast=239.255.92.1:9209"],
            &[],
            "gossip_multicast: who hears this node by 239.255.92.1:9209 answers where it takes gossip: say --gossip ADDRESS, too",
        ),
        (
            &["--gossip", "127.0.0.1:9201", "--set", "gossip_multicast=[ff02::5c01]:9209"],
            &[],
            "gossip_multicast: 127.0.0.1:9201 cannot send to [ff02::5c01]:9209: both are to be IPv4, or both IPv6",
        ),
        (
            &["--set", "gossip_probe_timeout=600ms"],
            &[],
            "--set gossip_probe_timeout: `600ms` is not usable: it can be at most half of the period (1s), within which others are asked to ask: make it shorter, or the period longer",
        ),
        (
            &["--set", "gossip_period=soon"],
            &[],
            "--set gossip_period: `soon` is not usable: `soon` is not a duration: a whole number and a unit, as in 500ms, 30s, 15m, 4h, 30d",
        ),
        (
            &[],
            &[("DISTRIC_GOSSIP_INDIRECT_PROBES", "0")],
            "DISTRIC_GOSSIP_INDIRECT_PROBES: `0` is not usable: it can be 1 to 16",
        ),
        (
            &["--set", "gossip_period=800ms"],
            &[],
            "gossip_probe_timeout: `500ms` is not usable: it can be at most half of the period (800ms), within which others are asked to ask: make it shorter, or the period longer",
        ),
    ]);
}

#[test]
fn what_can_be_used_and_is_hardly_meant_is_said() {
    let rows: [(&[&str], &[&str]); 3] = [
        (
            &["--role", "coordinator", "--plugins", "mine"],
            &["--plugins: the plugins in mine are not run: this node's role is coordinator"],
        ),
        (&["--role", "coordinator", "--plugins", "off"], &[]),
        (&["--role", "worker", "--join", "localhost:9201", "--plugins", "mine"], &[]),
    ];
    for (arguments, notices) in rows {
        assert_eq!(read(arguments, &[]).unwrap().notices, notices, "{arguments:?}");
    }
}

#[test]
fn a_worker_that_has_a_group_needs_nobodys_name() {
    let plain = ["--role", "worker", "--gossip", "127.0.0.1:0", "--plugins", "mine"];
    let group = ["--set", "gossip_multicast=239.255.92.1:9209"];
    let settings = read(&[&plain[..], &group[..]].concat(), &[]).unwrap();
    assert!(settings.membership.join.is_empty());
    let group = settings.membership.gossip_multicast.map(|group| group.to_string());
    assert_eq!(group.as_deref(), Some("239.255.92.1:9209"));
    assert!(read(&plain, &[]).is_err());
}

#[test]
fn gossip_goes_at_the_pace_that_is_set_and_at_its_own_where_nothing_is() {
    let pace = |arguments: &[&str]| read(arguments, &[]).unwrap().membership.gossip_pace;
    assert_eq!(pace(&[]), swim::Pace::default());
    let quick = [
        "gossip_period=500ms",
        "gossip_probe_timeout=250ms",
        "gossip_indirect_probes=2",
        "gossip_suspicion_periods=5",
        "gossip_interval=50ms",
        "gossip_sync=5s",
        "gossip_forget=10m",
    ];
    let arguments: Vec<&str> = quick.iter().flat_map(|setting| ["--set", setting]).collect();
    let expected = swim::Pace {
        period: Duration::from_millis(500),
        probe_timeout: Duration::from_millis(250),
        indirect_probes: 2,
        suspicion_periods: 5,
        interval: Duration::from_millis(50),
        sync: Duration::from_secs(5),
        forget: Duration::from_mins(10),
        ..swim::Pace::default()
    };
    assert_eq!(pace(&arguments), expected);
}

#[test]
fn a_worker_finds_places_of_its_own_unless_it_is_told_them() {
    let plain = ["--role", "worker", "--join", "127.0.0.1:9201,[::1]:9202", "--plugins", "mine"];
    let settings = read(&plain, &[]).unwrap();
    let places = (settings.http.to_string(), settings.membership.gossip.unwrap().to_string());
    assert_eq!(places, ("127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()));
    assert_eq!((settings.tcp, settings.data_is_given), (None, false));
    assert_eq!(settings.membership.join.len(), 2);
    assert!(settings.membership.has_worker());
    let told = ["--http", "127.0.0.1:9310", "--gossip", "127.0.0.1:9311", "--data", "w"];
    let settings = read(&[&plain[..], &told[..]].concat(), &[]).unwrap();
    assert_eq!(settings.http.port(), 9310);
    assert_eq!(settings.membership.gossip.map(|gossip| gossip.port()), Some(9311));
    assert!(settings.data_is_given);
}

#[test]
fn a_coordinator_runs_tasks_when_it_has_plugins_and_may() {
    let has = |arguments: &[&str]| read(arguments, &[]).unwrap().membership.has_worker();
    assert!(!has(&[]));
    assert!(has(&["--plugins", "mine"]));
    assert!(!has(&["--plugins", "off"]));
    assert!(!has(&["--plugins", "mine", "--role", "coordinator"]));
    assert!(has(&["--plugins", "mine", "--peer", "127.0.0.1:1", "--gossip", "127.0.0.1:2"]));
}

#[test]
fn every_key_is_explained_with_its_default_in_the_reference() {
    let reference = include_str!("../../../config/distric.yaml");
    for (key, default) in KEYS {
        let line = format!("# {key}: {default}");
        assert!(
            reference.lines().any(|l| l == line),
            "config/distric.yaml lacks the line `{line}`"
        );
    }
}
