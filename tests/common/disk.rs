//! Small disks: file systems in memory, each in a mount namespace that ends with its test.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Three segments and a little: a start needs a fresh one beside the one it goes on from.
pub(crate) const SMALL: &str = "size=56m";
/// Room for what a small one had to refuse, and for what others took meanwhile.
pub(crate) const LARGE: &str = "size=2g";

/// A file system of its own on a directory, seen by what runs within it alone.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Holds the namespace, until its input ends: with this value, or with this process.
    keeper: Child,
    directory: PathBuf,
    /// What is put in front of a command so that it sees the disk.
    pub(crate) enter: Vec<String>,
}

impl Disk {
    /// A small one. Nothing, when this user may not make one; the reason is printed.
    pub(crate) fn make(directory: &Path) -> Option<Self> {
        // Root may do it by itself, others as the root of a user namespace, where that is allowed.
        let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let made = ways.iter().find_map(|way| {
            Self::try_make(directory, way)
                .inspect_err(|reason| println!("unshare {}: {reason}", way.join(" ")))
                .ok()
        });
        if made.is_none() {
            println!(
                "skipped: it takes a file system of its own, which this user cannot make here"
            );
        }
        made
    }

    fn try_make(directory: &Path, unshare: &[&str]) -> Result<Self, String> {
        let path = directory.to_str().expect("a temporary path is text");
        let script = r#"mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && exec cat"#;
        let mut keeper = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", script, path, SMALL])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = keeper.stdout.as_mut().expect("it is piped");
        // An error here shows as a line that is not the one expected.
        let _read = BufReader::new(output).read_line(&mut line);
        if line != "mounted\n" {
            let _ended = keeper.wait();
            let mut reason = String::new();
            let _read = keeper.stderr.take().map(|mut error| error.read_to_string(&mut reason));
            return Err(reason.trim().to_owned());
        }
        let mut enter = vec!["nsenter".to_owned(), "--mount".to_owned()];
        if unshare.contains(&"--user") {
            enter.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        enter.extend(["--target".to_owned(), keeper.id().to_string(), "--".to_owned()]);
        Ok(Self { keeper, directory: directory.to_owned(), enter })
    }

    /// Makes it larger or smaller.
    pub(crate) fn resize(&self, size: &str) {
        let options = format!("remount,{size}");
        let mut command = Command::new(&self.enter[0]);
        // Without the options it has: its owner's number is another one in a user namespace.
        let mount = ["mount", "--options-mode", "ignore", "-o", &options];
        command.args(&self.enter[1..]).args(mount).arg(&self.directory);
        let status = command.status().expect("nsenter is there, as nodes were started by it");
        assert!(status.success(), "mount -o {options}: {status}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ended = self.keeper.kill();
        let _reaped = self.keeper.wait();
    }
}
