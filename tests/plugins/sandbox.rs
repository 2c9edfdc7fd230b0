//! What a plugin's process cannot do.

use crate::fixture::Folder;

/// EPERM, ENOSYS and EACCES on Linux.
const EPERM: &str = r#"{"errno": 1}"#;
const ENOSYS: &str = r#"{"errno": 38}"#;
const EACCES: &str = r#"{"errno": 13}"#;
const OK: &str = r#"{"errno": 0}"#;

#[test]
fn what_leads_out_of_the_process_is_denied() {
    let Some(folder) = Folder::faulty("") else { return };
    let mut running = folder.host();
    let rows = [
        ("exec", EPERM),
        ("spawn", EPERM),
        ("socket", EPERM),
        ("unix", EPERM),
        ("io_uring", ENOSYS),
        ("ptrace", EPERM),
        ("kill_parent", EPERM),
        ("outlive", EPERM),
        ("type", EPERM),
        ("limit", EPERM),
        ("create", EPERM),
        ("remove", EPERM),
    ];
    for (wish, expected) in rows {
        assert_eq!(running.wish(wish).unwrap(), expected, "{wish}");
    }
}

#[test]
fn a_fork_bomb_makes_no_process_and_threads_end_with_the_memory() {
    let Some(folder) = Folder::faulty("memory_max: 64MiB\nthreads: 1") else { return };
    let mut running = folder.host();
    assert_eq!(running.wish("fork_bomb").unwrap(), r#"{"refused": 1000}"#);
    let said = running.wish("threads").unwrap();
    let count: u32 = said.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    assert!(count < 1_000, "{said}");
    running.is_well();
}

#[test]
fn sockets_are_there_where_the_manifest_allows_the_network() {
    let Some(folder) = Folder::faulty("network: allow") else { return };
    let mut running = folder.host();
    assert_eq!(running.wish("socket").unwrap(), OK);
    assert_eq!(running.wish("unix").unwrap(), EPERM);
}

#[test]
fn only_libraries_and_what_the_manifest_names_can_be_read() {
    let Some(folder) = Folder::new() else { return };
    let given = tempfile::NamedTempFile::new().unwrap();
    let given = given.path().display();
    folder.compile("faulty", &[]);
    folder.write("faulty.yaml", &format!("read: [{given}]\nenvironment: {{GIVEN: {given}}}"));
    let mut running = folder.host();
    let enforced = running.host.plugins()[0].enforced.clone();
    if enforced.contains("landlock: NOT there") {
        println!("skipped: {enforced}");
        return;
    }
    assert_eq!(running.wish("read").unwrap(), EACCES);
    assert_eq!(running.wish("read_given").unwrap(), OK);
}
