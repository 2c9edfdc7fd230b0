use super::*;
use base::Address;

fn directory() -> (tempfile::TempDir, DataDirectory) {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(place.path()).unwrap();
    (place, directory)
}

#[test]
fn a_node_without_peers_founds_its_cluster_and_stays_who_it_is() {
    let (_place, directory) = directory();
    let first = claim(&directory, None, false).unwrap();
    let foundation = first.foundation.clone().unwrap();
    assert!(foundation.founded.is_lone_voter(NodeId(1)));
    let second = claim(&directory, None, false).unwrap();
    assert_eq!((second.node, second.store, second.boot), (first.node, first.store, BootId(2)));
    assert_eq!(second.foundation, Some(foundation));
}

#[test]
fn a_node_with_peers_belongs_to_nothing_until_it_is_told() {
    let (_place, directory) = directory();
    let mut identity = claim(&directory, Some(NodeId(2)), true).unwrap();
    assert_eq!((identity.node, identity.foundation.clone()), (NodeId(2), None));
    let error = claim(&directory, None, false).unwrap_err().to_string();
    assert!(error.contains("--peer ADDRESS"), "{error}");
    let again = claim(&directory, Some(NodeId(2)), true).unwrap();
    assert_eq!((again.store, again.foundation), (identity.store, None));
    let address = Some(Address::parse("h.example:1").unwrap());
    let members =
        [1, 2, 3].map(|n| (NodeId(n), Member { store: StoreId(n), address: address.clone() }));
    let founded = Membership::founded(members).unwrap();
    identity.foundation = Some(Foundation { cluster: u64::MAX, founded });
    keep(&directory, &identity).unwrap();
    let member = claim(&directory, None, true).unwrap();
    assert_eq!(member.foundation, identity.foundation);
    // The others may have been removed: its log says so.
    assert_eq!(claim(&directory, None, false).unwrap().foundation, identity.foundation);
}

#[test]
fn a_new_directory_of_a_clusters_node_begins_with_later_runs_than_the_one_before() {
    let ((_first, before), (_second, after)) = (directory(), directory());
    let mut last = BootId(0);
    for starts in 1..=3 {
        let identity = claim(&before, Some(NodeId(2)), true).unwrap();
        assert!(identity.boot > last && identity.starts == starts);
        last = identity.boot;
    }
    let identity = claim(&after, Some(NodeId(2)), true).unwrap();
    assert!(identity.boot > last && identity.starts == 1);
}

#[test]
fn a_directory_is_not_another_nodes() {
    let (_place, directory) = directory();
    claim(&directory, Some(NodeId(3)), false).unwrap();
    let error = claim(&directory, Some(NodeId(4)), false).unwrap_err().to_string();
    assert!(error.contains("is node 3's, and --node says 4"), "{error}");
}

#[test]
fn the_identity_of_an_earlier_release_is_that_of_a_node_alone() {
    let (_place, directory) = directory();
    let text = br#"{"format":1,"node":1,"store":"00000000000000aa","cluster":"00000000000000bb","boot":7}"#;
    directory.replace(FILE, text).unwrap();
    let identity = claim(&directory, None, false).unwrap();
    let foundation = identity.foundation.unwrap();
    assert_eq!((identity.store, identity.boot), (StoreId(0xaa), BootId(8)));
    assert_eq!(foundation.cluster, 0xbb);
    assert_eq!(foundation.founded.member(NodeId(1)).unwrap().store, StoreId(0xaa));
}

#[test]
fn what_is_damaged_or_of_a_later_release_is_said() {
    let (_place, directory) = directory();
    for (text, part) in [
        (
            &br#"{"format":3,"node":1,"store":"1","cluster":"2","boot":7}"#[..],
            "knows formats 1 and 2",
        ),
        (br#"{"format":2,"node":1,"store":"1","cluster":"2","boot":7}"#, "lacks `founded`"),
        (
            br#"{"format":2,"node":1,"store":"1","cluster":"2","founded":"0","boot":7}"#,
            "hexadecimal",
        ),
        (
            br#"{"format":2,"node":1,"store":"1","cluster":"2","founded":"ff","boot":7}"#,
            "unreadable",
        ),
        (b"{", "damaged"),
    ] {
        directory.replace(FILE, text).unwrap();
        let error = format!("{:#}", claim(&directory, None, true).unwrap_err());
        assert!(error.contains(part), "{error}");
    }
}
