//! Snapshot files: `snapshot-INDEX`, INDEX in 16 hexadecimal digits, in the data directory. One that
//! another node sends is `fetched.tmp` until it is whole.

use bytes::Bytes;
use engine::snapshot::{self, Snapshot};
use engine::{FetchEffect, SnapshotEffect};
use runtime::offload;
use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const PREFIX: &str = "snapshot-";
const UNNAMED: &str = "snapshot.tmp";
const FETCHED: &str = "fetched.tmp";

/// What came of a [`FetchEffect`]: a check tells what the file holds.
pub(crate) type FetchDone = Result<Option<Box<Snapshot>>, String>;

/// The directory of the snapshots, and the file under way.
pub(crate) struct SnapshotFiles {
    directory: PathBuf,
    under_way: RefCell<Option<File>>,
}

impl SnapshotFiles {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), under_way: RefCell::new(None) }
    }

    /// Carries an effect out, off the core. None when the mind wants no answer.
    pub(crate) async fn carry_out(&self, effect: SnapshotEffect) -> Option<Result<(), String>> {
        let file = self.under_way.borrow_mut().take();
        let directory = self.directory.clone();
        let wants_answer = !matches!(effect, SnapshotEffect::Abandon);
        let job = move || carry_out(&directory, file, effect);
        let result = match offload(job) {
            Ok(offloaded) => offloaded.await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let result = result.map(|file| *self.under_way.borrow_mut() = file);
        wants_answer.then_some(result)
    }

    /// Carries an effect on the fetched file out, off the core. None when the mind wants no answer.
    pub(crate) async fn fetch(&self, effect: FetchEffect) -> Option<FetchDone> {
        let directory = self.directory.clone();
        let wants_answer = !matches!(effect, FetchEffect::Abandon);
        let result = match offload(move || fetch(&directory, effect)) {
            Ok(offloaded) => offloaded.await,
            Err(error) => Err(error.to_string()),
        };
        wants_answer.then_some(result)
    }

    /// A piece of a named snapshot and the size of the whole; none when there is no such snapshot.
    pub(crate) async fn read(
        &self,
        index: u64,
        offset: u64,
        bytes: usize,
    ) -> Result<Option<(Bytes, u64)>, String> {
        let path = self.directory.join(name(index));
        let read = move || match File::open(path) {
            Ok(file) => read_piece(&file, offset, bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let offloaded = offload(read).map_err(|error| error.to_string())?;
        offloaded.await.map_err(|error| error.to_string())
    }
}

fn read_piece(file: &File, offset: u64, bytes: usize) -> io::Result<(Bytes, u64)> {
    let total = file.metadata()?.len();
    let left = usize::try_from(total.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut piece = vec![0; bytes.min(left)];
    file.read_exact_at(&mut piece, offset)?;
    Ok((piece.into(), total))
}

fn fetch(directory: &Path, effect: FetchEffect) -> FetchDone {
    let path = directory.join(FETCHED);
    let told = |error: io::Error| format!("{}: {error}", path.display());
    match effect {
        FetchEffect::Write { offset, bytes } => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false);
            let file = options.open(&path).map_err(told)?;
            // What a broken attempt left behind the piece is not of this snapshot.
            file.set_len(offset).map_err(told)?;
            file.write_all_at(&bytes, offset).map_err(told)?;
            Ok(None)
        }
        FetchEffect::Check { bytes } => {
            let mut file = OpenOptions::new().append(true).open(&path).map_err(told)?;
            file.write_all(&bytes).map_err(told)?;
            file.sync_all().map_err(told)?;
            let whole = fs::read(&path).map_err(told)?;
            let read = snapshot::read(&Bytes::from(whole)).map_err(|error| error.to_string())?;
            Ok(Some(Box::new(read)))
        }
        FetchEffect::Keep { index } => keep(directory, &path, index).map(|()| None).map_err(told),
        FetchEffect::Abandon => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(told(error)),
            _ => Ok(None),
        },
    }
}

/// Gives a durable file its name, then removes what is older.
fn keep(directory: &Path, unnamed: &Path, index: u64) -> io::Result<()> {
    fs::rename(unnamed, directory.join(name(index)))?;
    File::open(directory)?.sync_all()?;
    for older in list(directory)?.into_iter().filter(|older| *older < index) {
        fs::remove_file(directory.join(name(older)))?;
    }
    Ok(())
}

fn carry_out(
    directory: &Path,
    file: Option<File>,
    effect: SnapshotEffect,
) -> io::Result<Option<File>> {
    let unnamed = directory.join(UNNAMED);
    match effect {
        SnapshotEffect::Begin { bytes } => append(File::create(unnamed)?, &bytes).map(Some),
        SnapshotEffect::Write { bytes } => append(begun(file)?, &bytes).map(Some),
        SnapshotEffect::Finish { index, bytes } => {
            append(begun(file)?, &bytes)?.sync_all()?;
            keep(directory, &unnamed, index)?;
            Ok(None)
        }
        SnapshotEffect::Abandon => match fs::remove_file(unnamed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(None),
        },
    }
}

/// Appends and writes through, so that the last sync has little left to do: much at once would
/// hold up the journal's.
fn append(mut file: File, bytes: &[u8]) -> io::Result<File> {
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(file)
}

fn begun(file: Option<File>) -> io::Result<File> {
    file.ok_or_else(|| io::Error::other("no snapshot is under way"))
}

fn name(index: u64) -> String {
    format!("{PREFIX}{index:016x}")
}

/// The indices of the named snapshots, ascending.
fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file_name = entry?.file_name();
        let digits = file_name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let index = digits.filter(|digits| digits.len() == 16);
        found.extend(index.and_then(|digits| u64::from_str_radix(digits, 16).ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The newest snapshot that checks. A named one that does not is damage, and is said.
pub(crate) fn newest(directory: &Path) -> Result<Option<Snapshot>, String> {
    let found =
        list(directory).map_err(|error| format!("cannot list {}: {error}", directory.display()))?;
    let Some(index) = found.last() else { return Ok(None) };
    let path = directory.join(name(*index));
    let bytes =
        fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let snapshot = snapshot::read(&Bytes::from(bytes)).map_err(|error| {
        format!(
            "the snapshot {} is damaged: {error}. It was durable once, so the disk has lost or \
             changed it: restore the data directory from a backup",
            path.display()
        )
    })?;
    Ok(Some(snapshot))
}
