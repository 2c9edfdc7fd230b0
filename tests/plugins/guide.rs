//! The commands of docs/PLUGINS.md, one block after the other, as they stand there.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/PLUGINS.md");

/// Before each block's output.
const MARK: &str = "@@ block ";

#[test]
fn the_blocks_of_the_page_write_check_and_run_plugins_alone_and_in_a_workflow() {
    for program in ["cc", "cargo", "curl"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("skipped: {program} is not installed");
            return;
        }
    }
    let blocks = PAGE.split("```sh\n").skip(1);
    let blocks: Vec<_> =
        blocks.map(|rest| rest.split_once("```").expect("a block ends").0).collect();
    assert_eq!(blocks.len(), 5);
    // Whatever happens, no node outlives the script.
    let mut script =
        String::from("set -eu\ntrap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT\n");
    for (number, block) in blocks.iter().enumerate() {
        writeln!(script, "echo '{MARK}{number}'\n{block}").unwrap();
    }
    // An address that no other test has.
    let [.., high, middle, low] = std::process::id().to_be_bytes();
    let own = format!("127.{}.{middle}.{low}", high.wrapping_add(1));
    let script = script.replace("127.0.0.1", &own);
    let programs = Path::new(env!("CARGO_BIN_EXE_distric-admin")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let place = tempfile::tempdir().unwrap();
    let ran = Command::new("timeout")
        .args(["--kill-after=5", "300", "bash", "-c", &script])
        .current_dir(place.path())
        .env("PATH", path)
        .env("DISTRIC", env!("CARGO_MANIFEST_DIR"))
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}\n{said}\n{told}", ran.status);
    let parts: Vec<&str> = said.split(MARK).skip(1).collect();
    let holds = [
        (0, "  greeter 1.0.0, plugin ABI 1\n  4 tasks at once: processes 1, threads 4 each"),
        (0, "  configuration: legal\n  task: succeeded in "),
        (0, "{\"hello\": \"world\"\n}"),
        (1, "  2 tasks at once: processes 1, threads 2 each, 16 MiB each"),
        (1, "  configuration: plugin_config: a greeter has no configuration"),
        (2, "{\"text\":\"HEAR ME!!!\"}"),
        (3, "shout version 1, completed"),
        (3, "  output  HEAR ME!!!"),
        (3, r#""component":"plugin","msg":"shouting","plugin":"shouter","instance":""#),
        (3, r#"-1","task_id":"louder","attempt":1}"#),
        (4, "  greeter 1.1.0, plugin ABI 1"),
    ];
    for (part, words) in holds {
        assert!(parts[part].contains(words), "{words}\n{said}\n{told}");
    }
    assert!(told.contains("greeter: info: attempt 1"), "{told}");
    assert!(told.contains("shouter: info: shouting"), "{told}");
}
