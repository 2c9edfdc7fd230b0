//! What a plugin's process cannot do.

use crate::fixture::{Folder, Running, assert_fails, fixture};
use serde_json::Value as Json;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

/// EPERM, ENOSYS, EACCES and EINVAL on Linux.
const EPERM: &str = r#"{"errno": 1}"#;
const ENOSYS: &str = r#"{"errno": 38}"#;
const EACCES: &str = r#"{"errno": 13}"#;
const EINVAL: &str = r#"{"errno": 22}"#;
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
        ("signal_parent", EPERM),
        ("datagram", EPERM),
        ("map_shared", EPERM),
        ("map_growing", EPERM),
    ];
    for (wish, expected) in rows {
        assert_eq!(running.wish(wish).unwrap(), expected, "{wish}");
    }
}

/// Has the plugin make a call, and tells what came of it.
fn call(running: &mut Running, of: &[i64]) -> String {
    let job = running.job(&format!(r#"{{"do": "call", "of": {}}}"#, Json::from(of)));
    running.run(job).unwrap()
}

#[test]
fn a_call_of_a_later_kernel_is_none_here() {
    let Some(folder) = Folder::faulty("network: allow") else { return };
    let mut running = folder.host();
    // From setxattrat on, and one of x32's numbers. The last one that is known, `mseal`, is there
    // where the kernel has it: with arguments that make no sense to it.
    for number in (463..=480).chain([0xffff, 0x4000_0001, 0x4000_0208, 0xffff_ffff]) {
        assert_eq!(call(&mut running, &[number]), ENOSYS, "{number}");
    }
    let last = call(&mut running, &[462, 1, 1, 1]);
    assert!([ENOSYS, EINVAL].contains(&last.as_str()), "{last}");
}

#[test]
fn calls_that_change_what_is_not_the_plugins_are_denied_whatever_their_arguments() {
    let Some(folder) = Folder::faulty("network: allow") else { return };
    let mut running = folder.host();
    // By numbers that all machines share: quotactl_fd, process_mrelease, fchmodat2, lsm_set_self_attr.
    let shared = [443, 448, 452, 460];
    let here = [
        libc::SYS_shmctl,
        libc::SYS_semctl,
        libc::SYS_semop,
        libc::SYS_semtimedop,
        libc::SYS_msgctl,
        libc::SYS_msgsnd,
        libc::SYS_msgrcv,
        libc::SYS_mq_unlink,
        libc::SYS_setxattr,
        libc::SYS_socketpair,
    ];
    for number in shared.into_iter().chain(here) {
        assert_eq!(call(&mut running, &[number, -1, -1, -1, -1]), EPERM, "{number}");
    }
    let fcntl = [libc::F_SETOWN, 15, 10, libc::F_SETLEASE, libc::F_NOTIFY];
    let fcntl = fcntl.map(|command| [libc::SYS_fcntl, -1, command.into(), 0]);
    let ioctl = [0x8901, 0x8902, 0x5412].map(|request| [libc::SYS_ioctl, -1, request, 0]);
    for of in fcntl.into_iter().chain(ioctl) {
        assert_eq!(call(&mut running, &of), EPERM, "{of:?}");
    }
}

#[test]
fn without_the_network_nothing_is_bound_connected_or_sent_to() {
    let calls = [
        libc::SYS_socket,
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
    ];
    for (manifest, denied) in [("", true), ("network: allow", false)] {
        let Some(folder) = Folder::faulty(manifest) else { return };
        let mut running = folder.host();
        for number in calls {
            let said = call(&mut running, &[number, -1, 0, 0, 0]);
            // The family -1 is none that the network allows.
            let expected = denied || number == libc::SYS_socket;
            assert_eq!(said == EPERM, expected, "{manifest} {number}: {said}");
        }
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
fn threads_and_memory_that_no_limit_of_the_kernel_counts_are_ended_by_the_node() {
    let Some(folder) = Folder::faulty("memory_max: 32MiB\nthreads: 1") else { return };
    let mut running = folder.host();
    for wish in ["small_threads", "hide"] {
        assert_fails(&running.wish(wish), "plugin_crashed", true, "again");
        running.is_well();
    }
    running.host.shutdown(Duration::from_secs(10)).wait();
    let killed = running.host.metrics()[0].counts.kills;
    assert_eq!(killed, 4, "each wish was tried twice");
}

#[test]
fn without_landlock_the_nodes_memory_is_closed_all_the_same_and_nobody_signals_it() {
    let Some(folder) = Folder::faulty("") else { return };
    let as_before = folder.compile_program("older_kernel", &fixture("older_kernel.c"));
    let all = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all).unwrap();
    for (wish, expected) in [("read_parent", EACCES), ("signal_parent", EPERM)] {
        folder.write("wish.json", &format!("{{\"do\": \"{wish}\"}}"));
        let output = Command::new(&as_before)
            .current_dir(folder.path())
            .args([env!("CARGO_BIN_EXE_distric-admin"), "plugins", "check", "faulty.so"])
            .args(["--run", "wish.json"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        if output.status.code() == Some(73) {
            println!("skipped: nobody cannot run what is built here");
            return;
        }
        assert!(said.contains("landlock: NOT there"), "{output:?}");
        assert!(said.contains(expected), "{wish}: {output:?}");
    }
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
