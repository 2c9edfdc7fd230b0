use super::*;

#[test]
fn an_identity_is_kept_and_counts_its_starts() {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(place.path()).unwrap();
    let first = Identity::claim(&directory).unwrap();
    assert_eq!((first.cluster, first.starts), (None, 1));
    let known = Identity { cluster: Some(0xc1), ..first.clone() };
    known.keep(&directory).unwrap();
    let second = Identity::claim(&directory).unwrap();
    assert_eq!(second, Identity { starts: 2, ..known });
    assert!(members::worker_boot(second.starts).0 - members::worker_boot(first.starts).0 > 1_000);
}

#[test]
fn a_worker_is_called_after_its_directory_and_its_machine() {
    let long = "x".repeat(200);
    let rows = [
        ("./distric-worker-1", "rack-7", "distric-worker-1@rack-7"),
        ("/var/lib/distric", "", "distric"),
        ("/", "rack-7", "worker@rack-7"),
        ("a\nb", "c\u{7}", "ab@c"),
        (long.as_str(), "rack-7", &long[..base::limits::NAME_BYTES_MAX]),
    ];
    for (directory, machine, name) in rows {
        assert_eq!(named_after(Path::new(directory), machine), name);
    }
    assert!(!machine().is_empty());
}

#[test]
fn a_damaged_identity_is_refused() {
    for text in ["", "{}", r#"{"format":2,"store":"1","cluster":null,"starts":1}"#] {
        assert!(Identity::parse(text.as_bytes()).is_err(), "{text}");
    }
    let text = r#"{"format":1,"store":"00000000000000a1","cluster":"c1","starts":3}"#;
    let expected = Identity { store: StoreId(0xa1), cluster: Some(0xc1), starts: 3 };
    assert_eq!(Identity::parse(text.as_bytes()).unwrap(), expected);
}
