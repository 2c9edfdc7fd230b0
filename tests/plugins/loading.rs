//! Libraries that are no plugins, and manifests that are none.

use crate::fixture::{Folder, Running, assert_fails, fixture, options};
use host::{Host, OpenError};
use std::time::Duration;

/// Why the only library of a folder is refused.
fn refusal(folder: &Folder) -> String {
    let host = Host::open(options(folder.path())).unwrap();
    assert_eq!(host.plugins(), []);
    let [refused] = host.refused() else { panic!("{:?}", host.refused()) };
    assert!(!refused.why.retryable || refused.why.code == "plugin_crashed", "{}", refused.why);
    refused.why.to_string()
}

#[test]
fn a_library_that_is_no_plugin_is_refused_and_says_why() {
    let rows: &[(&[&str], &str)] = &[
        (&["-DABI=2"], "made for version 2 of the plugin ABI, this node has 1"),
        (&["-DNO_SYMBOL"], "exports no function `get_plugin_interface`"),
        (&["-DNO_TABLE"], "returned no table"),
        (&["-DEXECUTE=NULL"], "has no function `execute`"),
        (&["-DSIZE=48"], "is 48 bytes long, version 1 has 56"),
        (&["-UNAME", "-DNAME=\"other\""], "it calls itself `other`, and its file `faulty`"),
        (&["-UNAME", "-DNAME=\"Other\""], "`Other` is no name of a plugin"),
        (&["-UNAME", "-DNAME=NULL"], "its name is no text"),
        (&["-DLOAD_CRASH"], "plugin_crashed: its process ended while it loaded: signal 6 (SIGABRT"),
    ];
    for (definitions, expected) in rows {
        let Some(folder) = Folder::new() else { return };
        folder.compile("faulty", definitions);
        let said = refusal(&folder);
        assert!(said.contains(expected), "{definitions:?}: {said}");
    }
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let Some(folder) = Folder::new() else { return };
    folder.write("faulty.so", &"not a library at all\n".repeat(1000));
    let said = refusal(&folder);
    assert!(said.contains("cannot be loaded") && said.contains("invalid ELF header"), "{said}");
}

#[test]
fn a_library_cannot_say_what_only_its_process_may() {
    let rows: &[(&[&str], &str)] = &[
        (&["-DFORGE_NAME=\"good\"", "-DFORGE_VERSION=\"9\""], "it is ready as another plugin"),
        (&["-DFORGE_NAME=NAME", "-DFORGE_VERSION=\"9\\n9\""], "its version is no text for people"),
        (&["-DFORGE_SHUT_IN"], "it tells again how it is shut in"),
    ];
    for (definitions, expected) in rows {
        let Some(folder) = Folder::new() else { return };
        folder.compile("faulty", definitions);
        folder.compile("good", &[]);
        let host = Host::open(options(folder.path())).unwrap();
        let [good] = host.plugins() else { panic!("{definitions:?}: {:?}", host.plugins()) };
        assert_eq!((good.name.as_str(), good.version.as_str()), ("good", "1.2.3"));
        assert!(good.enforced.starts_with("seccomp: "), "{}", good.enforced);
        let [refused] = host.refused() else { panic!("{:?}", host.refused()) };
        assert!(refused.file.ends_with("faulty.so"), "{refused:?}");
        assert!(refused.why.message.contains(expected), "{definitions:?}: {}", refused.why);
    }
}

#[test]
fn a_library_that_does_not_come_back_from_loading_is_given_up() {
    let Some(folder) = Folder::new() else { return };
    folder.compile("faulty", &["-DLOAD_HANG"]);
    let limit = Duration::from_millis(300);
    let host = Host::open(host::Options { start_limit: limit, ..options(folder.path()) }).unwrap();
    let [refused] = host.refused() else { panic!("{:?}", host.plugins()) };
    assert!(refused.why.message.contains("it was not ready after 300ms"), "{}", refused.why);
}

#[test]
fn a_manifest_that_is_wrong_refuses_its_plugin_and_no_other() {
    let Some(folder) = Folder::faulty("threds: 3\n") else { return };
    folder.compile("good", &[]);
    let host = Host::open(options(folder.path())).unwrap();
    let names: Vec<_> = host.plugins().iter().map(|plugin| plugin.name.as_str()).collect();
    assert_eq!(names, ["good"]);
    let [refused] = host.refused() else { panic!("{:?}", host.refused()) };
    assert!(refused.why.message.contains("has no key `threds`"), "{}", refused.why);
}

#[test]
fn a_library_that_is_written_over_goes_on_as_it_was_in_later_processes_too() {
    let Some(folder) = Folder::faulty("threads: 2\nprocesses: 2") else { return };
    let mut running = folder.host();
    running.is_well();
    let file = folder.path().join("faulty.so");
    let bytes = std::fs::metadata(&file).unwrap().len();
    // The same file, as `cp` does it, with nothing in it that can be run.
    std::fs::write(&file, vec![0; usize::try_from(bytes).unwrap()]).unwrap();
    running.is_well();
    assert_fails(&running.wish("crash"), "plugin_crashed", true, "SIGSEGV");
    running.is_well();
    // And one in its place is for the next start.
    std::fs::remove_file(&file).unwrap();
    folder.compile("faulty", &["-DVERSION=\"2.0.0\""]);
    assert_fails(&running.wish("crash"), "plugin_crashed", true, "SIGSEGV");
    running.is_well();
    let versions = |running: &Running| running.host.plugins()[0].version.clone();
    assert_eq!((versions(&running), versions(&folder.host())), ("1.2.3".into(), "2.0.0".into()));
}

#[test]
fn a_library_that_needs_another_beside_it_is_loaded_from_its_file() {
    let Some(folder) = Folder::new() else { return };
    let others = folder.path().join("others");
    std::fs::create_dir(&others).unwrap();
    folder.compile_source("others/libbeside", &fixture("beside.c"), &[]);
    let beside = others.join("libbeside.so").display().to_string();
    let from = ["-DBESIDE", "-Wl,--no-as-needed", &beside, "-Wl,-rpath,$ORIGIN/others"];
    folder.compile("faulty", &from);
    folder.write("faulty.yaml", &format!("read: [{}]", others.display()));
    folder.host().is_well();
}

#[test]
fn a_plugin_that_is_there_tells_what_it_is() {
    let Some(folder) = Folder::faulty("threads: 3\nprocesses: 2\n") else { return };
    folder.write("README", "not a library, and not looked at");
    let Running { host, .. } = folder.host();
    let [plugin] = host.plugins() else { panic!("{:?}", host.refused()) };
    let facts = (plugin.name.as_str(), plugin.version.as_str(), plugin.abi, plugin.slots);
    assert_eq!(facts, ("faulty", "1.2.3", 1, 6));
    assert_eq!(host.capacity(), 6);
    assert!(plugin.enforced.starts_with("seccomp: "), "{}", plugin.enforced);
    let nowhere = Host::open(options(&folder.path().join("nowhere"))).unwrap_err();
    assert!(matches!(nowhere, OpenError::Folder { .. }), "{nowhere}");
}
