//! `distric-admin plugins check`.

use crate::fixture::Folder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn admin(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distric-admin"));
    command.current_dir(folder).args(["plugins", "check"]).args(arguments);
    command
}

fn check(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = admin(folder.path(), arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn the_exit_status_and_the_words_say_what_was_found() {
    let Some(folder) = Folder::faulty("timeout: 9s\nread: [/srv]") else { return };
    for (name, wish) in [
        ("echo", "echo"),
        ("crash", "crash"),
        ("no_json", "no_json"),
        ("print", "print"),
        ("shout", "shout"),
    ] {
        folder.write(&format!("{name}.json"), &format!("{{\"do\": \"{wish}\"}}"));
    }
    folder.write("half.json", "{");
    let rows: &[(&[&str], i32, &str)] = &[
        (&["faulty.so"], 0, "faulty 1.2.3, plugin ABI 1"),
        (&["."], 0, "timeout 9s, CPU time none, grace 1s, output at most 262144 bytes"),
        (&["."], 0, "reads: /srv"),
        (&["faulty.so", "--config", "{}"], 0, "configuration: legal"),
        (&["faulty.so", "--config", "\"wrong\""], 1, "plugin_config: `wrong` is no key of mine"),
        (&["faulty.so", "--run", "echo.json"], 0, "{\"do\": \"echo\"}"),
        (&["faulty.so", "--run", "crash.json"], 1, "plugin_crashed: "),
        (&["faulty.so", "--run", "no_json.json"], 1, "bad_output: "),
        (&["faulty.so", "--run", "print.json"], 0, "faulty: info: printed and not flushed"),
        (&["faulty.so", "--run", "half.json"], 2, "half.json holds no JSON"),
        (&["faulty.so", "--run", "-"], 2, "standard input holds no JSON"),
        (&["faulty.so", "--run", "shout.json"], 0, " more lines are not shown: they came too fast"),
        (&["faulty.so", "--run", "none.json"], 2, "none.json cannot be read"),
        (&["faulty.so", "--config", "{"], 2, "--config is no JSON"),
        (
            &["none.so"],
            2,
            "the plugins in none.so cannot be read: No such file or directory (os error 2)\n",
        ),
    ];
    for (arguments, code, words) in rows {
        let (status, said, told) = check(&folder, arguments);
        assert_eq!(status, *code, "{arguments:?}: {said}{told}");
        assert!(said.contains(words) || told.contains(words), "{arguments:?}: {said}{told}");
    }
    folder.compile("other", &["-DNO_TABLE"]);
    let (status, said, _) = check(&folder, &["."]);
    assert_eq!(status, 1);
    assert!(said.contains("refused: `get_plugin_interface` returned no table"), "{said}");
    let (status, _, told) = check(&folder, &[".", "--config", "{}"]);
    assert_eq!(status, 2);
    assert!(told.contains("are for one plugin: name its file"), "{told}");
}

#[test]
fn what_would_never_run_is_told_with_what_to_do() {
    let Some(folder) = Folder::new() else { return };
    folder.compile("http", &[]);
    let (status, said, _) = check(&folder, &["http.so"]);
    assert_eq!(status, 1);
    assert!(said.contains("IT GETS NO TASKS: the type `http` is built in"), "{said}");
    folder.compile("libfaulty", &["-UNAME", "-DNAME=\"faulty\""]);
    let (status, said, _) = check(&folder, &["libfaulty.so"]);
    assert_eq!(status, 1);
    assert!(said.contains("and its file `libfaulty`: rename the file to faulty.so"), "{said}");
    let Some(folder) = Folder::faulty("") else { return };
    folder.write("other.yaml", "threads: 1");
    let (status, said, _) = check(&folder, &["."]);
    assert_eq!(status, 1);
    assert!(said.contains("other.yaml\n  refused: it is a manifest, and its library"), "{said}");
    let file = |extension| folder.path().join("faulty").with_extension(extension);
    std::fs::rename(file("yaml"), file("yml")).unwrap();
    let (status, said, _) = check(&folder, &["faulty.so"]);
    assert_eq!(status, 1);
    assert!(said.contains("faulty.yml: rename it, a manifest ends in .yaml"), "{said}");
}

#[test]
fn with_json_it_is_one_value() {
    let Some(folder) = Folder::faulty("") else { return };
    folder.write("echo.json", "{\"do\": \"echo\"}");
    let (status, said, _) = check(&folder, &["faulty.so", "--run", "echo.json", "--json"]);
    assert_eq!(status, 0);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["plugins"][0]["name"], "faulty");
    assert_eq!(said["config"]["legal"], true);
    assert_eq!(said["run"]["output"]["do"], "echo");
}

#[test]
fn a_nodes_processes_end_with_it_however_it_ends() {
    let Some(folder) = Folder::faulty("stop_grace: 60s") else { return };
    folder.write("hang.json", "{\"do\": \"hang_told\"}");
    let mut node = admin(folder.path(), &["faulty.so", "--run", "hang.json", "--timeout", "1h"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stderr.take().unwrap()).lines();
    let pid = lines.find_map(|line| line.unwrap().strip_prefix("faulty: info: pid ")?.parse().ok());
    let child = pidfd_open(Pid::from_raw(pid.unwrap()).unwrap(), PidfdFlags::empty()).unwrap();
    // No chance to tidy up.
    node.kill().unwrap();
    node.wait().unwrap();
    let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&child, PollFlags::IN)], Some(&minute)).unwrap();
    assert_eq!(ended, 1, "the plugin's process outlives its node");
}
