//! Files for the journal: direct I/O, made whole before they get their name.
//!
//! Invariants:
//! - A file under its own name has its full size, zeroed or once written, and is durable: it is
//!   made under a temporary name. What a crash leaves of that is removed at the next open.
//! - Offsets and lengths of writes are multiples of [`BLOCK_BYTES`].

use crate::task::Task;
use crate::trouble::io_error;
use glommio::GlommioError;
use glommio::io::{BufferedFile, DmaFile, OpenOptions, ReadResult};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// What offsets and lengths of writes are multiples of. No disk in use has larger logical blocks.
/// Unit: bytes.
pub const BLOCK_BYTES: usize = 4096;

/// Zeros written at once to a new file, with a pause after each: 64 MiB in about a third of a
/// second, some 200 MB/s, with the disk free for the log most of the time. Unit: bytes.
const ZEROS_BYTES: usize = 256 * 1024;
const ZEROS_PAUSE: Duration = Duration::from_millis(1);

/// Bytes per request when whole files are read: large enough that the requests' own cost
/// does not count. Unit: bytes.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Requests in flight when whole files are read: enough to keep a disk busy.
const CHUNKS_IN_FLIGHT: usize = 8;

type DiskResult<T> = Result<T, GlommioError<()>>;

const TEMPORARY: &str = ".tmp";
const PROBE: &str = "probe.tmp";

/// The disk said no.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system is full, or the user's quota is.
    #[error("no space is left for {path}: free some on its file system")]
    NoSpace {
        /// The file.
        path: PathBuf,
    },
    /// A write that the system cut short.
    #[error("only {written} of {bytes} bytes at offset {offset} were written to {path}")]
    ShortWrite {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How many were to be written.
        bytes: usize,
        /// How many were.
        written: usize,
    },
    /// Anything else.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl LogError {
    fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace { path },
            _ => Self::Io { action, path, source },
        }
    }

    /// Whether freeing space would help.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

/// Memory that a disk can read and write directly: aligned to [`BLOCK_BYTES`].
pub struct DmaBuffer(glommio::io::DmaBuffer);

impl DmaBuffer {
    /// `bytes` zeros; `bytes` is a multiple of [`BLOCK_BYTES`] and not 0.
    pub fn zeroed(bytes: usize) -> Self {
        assert!(bytes > 0, "a buffer is not empty");
        assert!(bytes.is_multiple_of(BLOCK_BYTES), "a buffer is a multiple of a block");
        let mut buffer = glommio::allocate_dma_buffer_global(bytes);
        buffer.as_bytes_mut().fill(0);
        Self(buffer)
    }

    /// Unit: bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty, which never happens.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl AsRef<[u8]> for DmaBuffer {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl AsMut<[u8]> for DmaBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.as_bytes_mut()
    }
}

impl fmt::Debug for DmaBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaBuffer").field("bytes", &self.len()).finish()
    }
}

/// A directory of log files.
#[derive(Debug)]
pub struct LogDirectory {
    path: PathBuf,
    direct: bool,
    notice: Option<String>,
}

impl LogDirectory {
    /// Opens the directory, making it if needed; removes what a crash left half made; tries direct
    /// I/O by writing.
    pub async fn open(path: &Path) -> Result<Self, LogError> {
        let made = path.to_owned();
        blocking("make the directory", path, move || prepare_directory(&made)).await?;
        let mut directory = Self { path: path.to_owned(), direct: true, notice: None };
        directory.notice = match directory.probe().await? {
            Probe::Direct => None,
            Probe::Memory => Some(format!(
                "{} is in memory (tmpfs): nothing in it survives a restart of the machine",
                path.display()
            )),
            Probe::Refused(reason) => {
                directory.direct = false;
                Some(format!(
                    "the file system of {} has no direct I/O ({reason}); writes go through the \
                     page cache and are as durable, but slower",
                    path.display()
                ))
            }
        };
        Ok(directory)
    }

    /// What the operator should be told about the directory's file system.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn probe(&self) -> Result<Probe, LogError> {
        let path = self.path.join(PROBE);
        let refused = |error: &LogError| match error {
            LogError::Io { source, .. } => match Errno::from_io_error(source) {
                Some(Errno::INVAL | Errno::OPNOTSUPP) => Some(source.to_string()),
                _ => None,
            },
            _ => None,
        };
        let result = match LogFile::open(path.clone(), true, true).await {
            Ok(file) => {
                let probed = file.probe().await;
                file.close().await?;
                probed
            }
            Err(error) => Err(error),
        };
        let result = match result {
            Err(error) => refused(&error).map(Probe::Refused).ok_or(error),
            probed => probed,
        };
        let removed = path.clone();
        blocking("remove", &path, move || match std::fs::remove_file(&removed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        })
        .await?;
        result
    }

    /// Makes a file of `bytes` zeros that are on the disk, so that later writes change no metadata.
    /// A file of that name is replaced. `bytes` is a multiple of [`BLOCK_BYTES`] and not 0.
    pub async fn create(&self, name: &str, bytes: u64) -> Result<LogFile, LogError> {
        assert!(bytes > 0, "a log file is not empty");
        assert!(bytes.is_multiple_of(BLOCK_BYTES as u64), "a log file is a multiple of a block");
        let temporary = self.file_path(name).with_added_extension(&TEMPORARY[1..]);
        let result = self.create_as(&temporary, name, bytes).await;
        if result.is_err() {
            // Half a file would keep a full disk full. That it cannot be removed either adds
            // nothing to the error at hand, and the next open tries again.
            let path = temporary.clone();
            let _ = blocking("remove", &temporary, move || std::fs::remove_file(path)).await;
        }
        result
    }

    async fn create_as(
        &self,
        temporary: &Path,
        name: &str,
        bytes: u64,
    ) -> Result<LogFile, LogError> {
        let mut file = LogFile::open(temporary.to_owned(), self.direct, true).await?;
        file.allocate(bytes).await?;
        file.write_zeros(bytes).await?;
        file.fdatasync().await?;
        let (from, to) = (temporary.to_owned(), self.file_path(name));
        self.rename_path(from, to.clone()).await?;
        file.path = to;
        Ok(file)
    }

    /// Opens a file for reading and writing.
    pub async fn open_file(&self, name: &str) -> Result<LogFile, LogError> {
        LogFile::open(self.file_path(name), self.direct, false).await
    }

    /// Every file with its size in bytes, in the order of names.
    pub async fn list(&self) -> Result<Vec<(String, u64)>, LogError> {
        let path = self.path.clone();
        blocking("list", &self.path, move || {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                    files.push((name, metadata.len()));
                }
            }
            files.sort_unstable();
            Ok(files)
        })
        .await
    }

    /// Gives a file another name, durably, and keeps what it holds: for recycling. A [`LogFile`]
    /// that is open stays usable.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), LogError> {
        self.rename_path(self.file_path(from), self.file_path(to)).await
    }

    async fn rename_path(&self, from: PathBuf, to: PathBuf) -> Result<(), LogError> {
        let (directory, path) = (self.path.clone(), from.clone());
        blocking("rename", &path, move || {
            std::fs::rename(from, to)?;
            crate::directory::sync_directory(&directory)
        })
        .await
    }

    /// Removes a file, durably.
    pub async fn remove(&self, name: &str) -> Result<(), LogError> {
        let (directory, path) = (self.path.clone(), self.file_path(name));
        let removed = path.clone();
        blocking("remove", &path, move || {
            std::fs::remove_file(removed)?;
            crate::directory::sync_directory(&directory)
        })
        .await
    }

    fn file_path(&self, name: &str) -> PathBuf {
        let plain = !name.is_empty() && !name.contains('/') && !name.ends_with(TEMPORARY);
        assert!(plain && name != "." && name != "..", "`{name}` is the plain name of a log file");
        self.path.join(name)
    }
}

enum Probe {
    Direct,
    Memory,
    Refused(String),
}

/// Makes the directory and removes what was never finished in it.
fn prepare_directory(path: &Path) -> io::Result<()> {
    crate::directory::make_directory(path)?;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().ends_with(TEMPORARY.as_bytes()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    // A kill between a rename and its sync leaves a name that a power cut could still take: from
    // here on every file that is seen is durable.
    crate::directory::sync_directory(path)
}

/// Runs a short file operation on the core's own helper thread.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    path: &Path,
    job: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, LogError> {
    let result = glommio::executor().spawn_blocking(job).await;
    result.map_err(|source| LogError::new(action, path, source))
}

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    file: Rc<Kind>,
    path: PathBuf,
}

#[derive(Debug)]
enum Kind {
    /// With O_DIRECT, except on tmpfs.
    Direct(DmaFile),
    Buffered(BufferedFile),
}

impl LogFile {
    async fn open(path: PathBuf, direct: bool, create: bool) -> Result<Self, LogError> {
        // Not `DmaFile::create`, which opens for writing alone.
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create).truncate(create).mode(0o640);
        let file = if direct {
            options.dma_open(&path).await.map(Kind::Direct)
        } else {
            options.buffered_open(&path).await.map(Kind::Buffered)
        };
        match file {
            Ok(file) => Ok(Self { file: Rc::new(file), path }),
            Err(error) => Err(LogError::new("open", &path, io_error(error))),
        }
    }

    async fn probe(&self) -> Result<Probe, LogError> {
        let Kind::Direct(file) = &*self.file else {
            unreachable!("a probe is opened for direct I/O")
        };
        if file.alignment() > BLOCK_BYTES as u64 {
            return Ok(Probe::Refused(format!("its blocks have {} bytes", file.alignment())));
        }
        let flags = rustix::fs::fcntl_getfl(file)
            .map_err(|error| LogError::new("look at", &self.path, error.into()))?;
        self.write_at(DmaBuffer::zeroed(BLOCK_BYTES), 0).await?;
        self.fdatasync().await?;
        self.read_at(0, BLOCK_BYTES).await?;
        Ok(if flags.contains(OFlags::DIRECT) { Probe::Direct } else { Probe::Memory })
    }

    /// Where it is, or was before it was renamed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a whole buffer at `offset`, a multiple of [`BLOCK_BYTES`]. It is durable after a
    /// [`LogFile::fdatasync`] that begins when this has ended. A write whose wait is given up may
    /// still happen.
    pub async fn write_at(&self, buffer: DmaBuffer, offset: u64) -> Result<(), LogError> {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64), "an offset is a multiple of a block");
        let bytes = buffer.len();
        let result = match &*self.file {
            Kind::Direct(file) => file.write_at(buffer.0, offset).await,
            Kind::Buffered(file) => file.write_at(buffer.as_ref().to_vec(), offset).await,
        };
        self.check_written(result, bytes, offset)
    }

    fn check_written(
        &self,
        result: DiskResult<usize>,
        bytes: usize,
        offset: u64,
    ) -> Result<(), LogError> {
        let written = result.map_err(|error| self.error("write", error))?;
        if written == bytes {
            return Ok(());
        }
        Err(LogError::ShortWrite { path: self.path.clone(), offset, bytes, written })
    }

    /// Makes every write that has ended durable. After an error nothing is known about them, and
    /// another call would not tell: the file must be recovered as after a crash.
    pub async fn fdatasync(&self) -> Result<(), LogError> {
        let result = match &*self.file {
            Kind::Direct(file) => file.fdatasync().await,
            Kind::Buffered(file) => file.fdatasync().await,
        };
        result.map_err(|error| self.error("sync", error))
    }

    /// Reads `bytes` from `offset` on, fewer when the file ends before that, with several large
    /// requests in flight. `offset` is a multiple of [`BLOCK_BYTES`].
    pub async fn read_at(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, LogError> {
        assert!(offset.is_multiple_of(BLOCK_BYTES as u64), "an offset is a multiple of a block");
        let mut requests = chunks(offset, bytes as u64);
        let mut in_flight: VecDeque<(usize, Task<DiskResult<ReadResult>>)> =
            VecDeque::with_capacity(CHUNKS_IN_FLIGHT);
        let mut content = Vec::with_capacity(bytes);
        loop {
            while in_flight.len() < CHUNKS_IN_FLIGHT
                && let Some((offset, bytes)) = requests.next()
            {
                in_flight.push_back((bytes, self.start_read(offset, bytes)));
            }
            let Some((asked, read)) = in_flight.pop_front() else { return Ok(content) };
            let read = read.await.map_err(|error| self.error("read", error))?;
            content.extend_from_slice(&read[..read.len().min(asked)]);
            if read.len() < asked {
                return Ok(content);
            }
        }
    }

    fn start_read(&self, offset: u64, bytes: usize) -> Task<DiskResult<ReadResult>> {
        let file = Rc::clone(&self.file);
        // A last, partial block is read whole: direct I/O knows nothing smaller.
        let whole = bytes.next_multiple_of(BLOCK_BYTES);
        crate::task::spawn_local(async move {
            match &*file {
                Kind::Direct(file) => file.read_at_aligned(offset, whole).await,
                Kind::Buffered(file) => file.read_at(offset, whole).await,
            }
        })
    }

    /// Its size in bytes.
    pub async fn size(&self) -> Result<u64, LogError> {
        let size = match &*self.file {
            Kind::Direct(file) => file.file_size().await,
            Kind::Buffered(file) => file.file_size().await,
        };
        size.map_err(|error| self.error("look at", error))
    }

    /// Closes the file. One that is only dropped is closed a turn later, and not at all when its
    /// executor ends before that.
    pub async fn close(self) -> Result<(), LogError> {
        let Ok(file) = Rc::try_unwrap(self.file) else {
            // A read that was given up still holds it, and closes it when it ends.
            return Ok(());
        };
        let result = match file {
            Kind::Direct(file) => file.close().await,
            Kind::Buffered(file) => file.close().await,
        };
        result.map_err(|error| LogError::new("close", &self.path, io_error(error)))
    }

    /// Reserves blocks, as one extent if the file system can.
    async fn allocate(&self, bytes: u64) -> Result<(), LogError> {
        let result = match &*self.file {
            Kind::Direct(file) => file.pre_allocate(bytes, false).await,
            Kind::Buffered(file) => file.pre_allocate(bytes, false).await,
        };
        match result.map_err(io_error) {
            // The zeros that follow reserve the blocks, too.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => Ok(()),
            result => result.map_err(|error| LogError::new("reserve space for", &self.path, error)),
        }
    }

    /// Writes zeros a little at a time: the disk is shared with the log, and whoever waits for the
    /// log's fdatasync waits behind at most one of these.
    async fn write_zeros(&self, bytes: u64) -> Result<(), LogError> {
        let zeros = Rc::new(DmaBuffer::zeroed(ZEROS_BYTES).0);
        for offset in (0..bytes).step_by(ZEROS_BYTES) {
            let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX).min(ZEROS_BYTES);
            let written = match &*self.file {
                Kind::Direct(file) if left == ZEROS_BYTES => {
                    file.write_rc_at(Rc::clone(&zeros), offset).await
                }
                Kind::Direct(file) => file.write_at(DmaBuffer::zeroed(left).0, offset).await,
                Kind::Buffered(file) => file.write_at(vec![0; left], offset).await,
            };
            self.check_written(written, left, offset)?;
            crate::timer::sleep(ZEROS_PAUSE).await;
        }
        Ok(())
    }

    fn error(&self, action: &'static str, error: GlommioError<()>) -> LogError {
        LogError::new(action, &self.path, io_error(error))
    }
}

/// Offsets and lengths of the requests that cover `bytes` from `offset` on.
fn chunks(offset: u64, bytes: u64) -> impl Iterator<Item = (u64, usize)> {
    let end = offset + bytes;
    (offset..end).step_by(CHUNK_BYTES).map(move |start| {
        let length = (end - start).min(CHUNK_BYTES as u64);
        (start, usize::try_from(length).expect("a chunk's length fits"))
    })
}

#[cfg(test)]
mod tests;
