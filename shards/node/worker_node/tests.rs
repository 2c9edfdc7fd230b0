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
fn a_damaged_identity_is_refused() {
    for text in ["", "{}", r#"{"format":2,"store":"1","cluster":null,"starts":1}"#] {
        assert!(Identity::parse(text.as_bytes()).is_err(), "{text}");
    }
    let text = r#"{"format":1,"store":"00000000000000a1","cluster":"c1","starts":3}"#;
    let expected = Identity { store: StoreId(0xa1), cluster: Some(0xc1), starts: 3 };
    assert_eq!(Identity::parse(text.as_bytes()).unwrap(), expected);
}
