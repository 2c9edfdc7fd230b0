use super::*;

fn read(text: &str) -> Result<Manifest, String> {
    Manifest::read(Source { name: "p.yaml", text }).map_err(|faults| faults.to_string())
}

#[test]
fn an_empty_manifest_is_the_default() {
    assert_eq!(read(""), Ok(Manifest::default()));
    assert_eq!(read("# nothing\n"), Ok(Manifest::default()));
    assert_eq!(read("{}"), Ok(Manifest::default()));
}

#[test]
fn every_key_is_read() {
    let text = "threads: 2\nprocesses: 3\nmemory_max: 64MiB\ncpu_time: 2s\ntimeout: 500ms\n\
                stop_grace: 0s\noutput_max: 1KiB\nnetwork: allow\nread: [/srv/models]\n\
                environment: {MODEL: large, N: \"3\"}\n";
    let manifest = read(text).unwrap();
    let expected = Manifest {
        threads: 2,
        processes: 3,
        memory_max: 64 << 20,
        cpu_time: Some(Duration::from_secs(2)),
        timeout: Some(Duration::from_millis(500)),
        stop_grace: Duration::ZERO,
        output_max: 1024,
        network: Network::Allow,
        read: vec!["/srv/models".into()],
        environment: [("MODEL", "large"), ("N", "3")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    };
    assert_eq!(manifest, expected);
    assert_eq!(manifest.slots(), 6);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let rows = [
        ("threds: 4", "has no key `threds`"),
        ("threads: 0", "`threads` is out of range: 0 is not in 1 to 64"),
        ("threads: many", "`threads` must be a whole number"),
        ("processes: 33", "`processes` is out of range"),
        ("memory_max: 1MiB", "`memory_max` is out of range"),
        ("memory_max: much", "`memory_max` must be a number of bytes"),
        ("memory_max: 99999999999GiB", "`memory_max` must be a number of bytes"),
        ("output_max: 1MiB", "`output_max` is out of range: 1048576 is not in 1 to 262144"),
        ("cpu_time: 1ms", "`cpu_time` must be at least 100ms"),
        ("timeout: 0s", "`timeout` must be at least 1ms"),
        ("timeout: soon", "`soon` is not a duration"),
        ("stop_grace: 2m", "`stop_grace` must be at most 60s"),
        ("network: alow", "`network` is `none` or `allow`, not `alow`"),
        ("read: [relative]", "must be text that begins with /"),
        ("read: /srv", "`read` must be a list"),
        ("environment: {LD_PRELOAD: /x.so}", "`LD_PRELOAD` is the loader's own"),
        ("environment: {N: 3}", "`N` must be a name, and its value text"),
        ("- 1", "a manifest must be a map"),
    ];
    for (text, expected) in rows {
        let said = read(text).unwrap_err();
        assert!(said.contains(expected) && said.contains("p.yaml"), "{text}: {said}");
    }
    let both = read("threads: 0\nprocesses: 0\n").unwrap_err();
    assert!(both.contains("`threads`") && both.contains("`processes`"), "{both}");
}
