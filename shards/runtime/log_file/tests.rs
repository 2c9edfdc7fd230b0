use super::*;
use crate::block_on;
use tempfile::TempDir;

/// A directory on the disk that holds the build, whose file system takes direct I/O where /tmp's
/// may not.
fn on_disk() -> TempDir {
    let near = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    tempfile::tempdir_in(near).unwrap()
}

fn buffer(byte: u8, blocks: usize) -> DmaBuffer {
    let mut buffer = DmaBuffer::zeroed(blocks * BLOCK_BYTES);
    buffer.as_mut().fill(byte);
    buffer
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_all_zeros_and_keeps_what_is_written() {
    let home = on_disk();
    block_on(async {
        for direct in [true, false] {
            let mut directory = LogDirectory::open(&home.path().join("journal")).await.unwrap();
            directory.direct &= direct;
            let bytes = 3 * CHUNK_BYTES + BLOCK_BYTES;
            let file = directory.create("a", bytes as u64).await.unwrap();
            assert_eq!(file.size().await.unwrap(), bytes as u64);
            assert!(file.read_at(0, bytes).await.unwrap().iter().all(|byte| *byte == 0));

            file.write_at(buffer(1, 1), 0).await.unwrap();
            file.write_at(buffer(2, 3), 2 * BLOCK_BYTES as u64).await.unwrap();
            file.fdatasync().await.unwrap();
            file.close().await.unwrap();

            let file = directory.open_file("a").await.unwrap();
            let content = file.read_at(0, bytes).await.unwrap();
            let blocks: Vec<u8> =
                content.chunks(BLOCK_BYTES).map(|block| block[17]).take(6).collect();
            assert_eq!(blocks, [1, 0, 2, 2, 2, 0]);
            file.close().await.unwrap();
        }
    });
}

#[test]
fn reads_end_where_the_file_does_and_need_no_whole_blocks() {
    let home = on_disk();
    block_on(async {
        for direct in [true, false] {
            let mut directory = LogDirectory::open(home.path()).await.unwrap();
            directory.direct &= direct;
            let bytes = 2 * CHUNK_BYTES;
            let file = directory.create("a", bytes as u64).await.unwrap();
            for (offset, asked, got) in [
                (0, 1, 1),
                (0, BLOCK_BYTES + 1, BLOCK_BYTES + 1),
                (BLOCK_BYTES, CHUNK_BYTES, CHUNK_BYTES),
                (0, 20 * CHUNK_BYTES, bytes),
                (bytes - BLOCK_BYTES, 2 * BLOCK_BYTES, BLOCK_BYTES),
                (bytes, BLOCK_BYTES, 0),
                (0, 0, 0),
            ] {
                let read = file.read_at(offset as u64, asked).await.unwrap();
                assert_eq!(read.len(), got, "{asked} bytes at {offset}");
            }
            file.close().await.unwrap();
        }
    });
}

#[test]
fn writes_can_be_in_flight_together() {
    let home = on_disk();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        let file = directory.create("a", 16 * BLOCK_BYTES as u64).await.unwrap();
        let (first, second) = futures_lite::future::zip(
            file.write_at(buffer(1, 8), 0),
            file.write_at(buffer(2, 8), 8 * BLOCK_BYTES as u64),
        )
        .await;
        first.and(second).unwrap();
        file.fdatasync().await.unwrap();
        let content = file.read_at(0, 16 * BLOCK_BYTES).await.unwrap();
        assert_eq!((content[0], content[8 * BLOCK_BYTES]), (1, 2));
        file.close().await.unwrap();
    });
}

#[test]
fn what_a_crash_left_half_made_is_removed_and_nothing_else() {
    let home = on_disk();
    std::fs::write(home.path().join("segment-1.tmp"), b"half").unwrap();
    std::fs::write(home.path().join("segment-0"), vec![7; BLOCK_BYTES]).unwrap();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        let listed = directory.list().await.unwrap();
        assert_eq!(listed, [("segment-0".to_owned(), BLOCK_BYTES as u64)]);
        let file = directory.open_file("segment-0").await.unwrap();
        assert_eq!(file.read_at(0, BLOCK_BYTES).await.unwrap(), [7; BLOCK_BYTES]);
        file.close().await.unwrap();
    });
    assert_eq!(names(home.path()), ["segment-0"]);
}

#[test]
fn a_renamed_file_keeps_its_content_and_stays_usable_where_it_is_open() {
    let home = on_disk();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        let file = directory.create("old", 2 * BLOCK_BYTES as u64).await.unwrap();
        file.write_at(buffer(1, 1), 0).await.unwrap();
        directory.rename("old", "new").await.unwrap();
        file.write_at(buffer(2, 1), BLOCK_BYTES as u64).await.unwrap();
        file.fdatasync().await.unwrap();
        file.close().await.unwrap();
        let file = directory.open_file("new").await.unwrap();
        let content = file.read_at(0, 2 * BLOCK_BYTES).await.unwrap();
        assert_eq!((content[0], content[BLOCK_BYTES]), (1, 2));
        file.close().await.unwrap();
        directory.remove("new").await.unwrap();
        assert!(directory.list().await.unwrap().is_empty());
    });
}

#[test]
fn a_missing_file_is_an_error_with_its_path() {
    let home = on_disk();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        let error = directory.open_file("nobody").await.unwrap_err();
        assert!(!error.is_no_space());
        let text = error.to_string();
        assert!(text.starts_with("cannot open ") && text.contains("nobody"), "{text}");
        assert!(directory.remove("nobody").await.is_err());
    });
}

#[test]
fn a_full_disk_is_told_apart_and_leaves_no_half_file() {
    let home = on_disk();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        // More than any disk: reserving it fails before a byte is written.
        let error = directory.create("huge", 1 << 50).await.unwrap_err();
        let refused = error.is_no_space() || error.to_string().contains("reserve space");
        assert!(refused, "{error}");
    });
    assert!(names(home.path()).is_empty());
}

#[test]
fn the_errors_of_a_full_disk_and_a_full_quota_mean_no_space() {
    for (number, no_space) in [(Errno::NOSPC, true), (Errno::DQUOT, true), (Errno::IO, false)] {
        let error = LogError::new("write", Path::new("x"), number.into());
        assert_eq!(error.is_no_space(), no_space, "{error}");
    }
}

#[test]
fn a_file_system_in_memory_works_and_says_so() {
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        eprintln!("skipped: this machine has no /dev/shm");
        return;
    }
    let home = tempfile::tempdir_in(memory).unwrap();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        assert!(directory.notice().unwrap().contains("in memory"), "{:?}", directory.notice());
        let file = directory.create("a", CHUNK_BYTES as u64).await.unwrap();
        file.write_at(buffer(9, 1), 0).await.unwrap();
        file.fdatasync().await.unwrap();
        assert_eq!(file.read_at(0, 1).await.unwrap(), [9]);
        file.close().await.unwrap();
    });
}

/// Descriptors of this process that are files below `home`.
fn descriptors_below(home: &Path) -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(home))
        .count()
}

#[test]
fn no_descriptor_is_left_when_an_executor_ends() {
    let home = on_disk();
    block_on(async {
        let directory = LogDirectory::open(home.path()).await.unwrap();
        let file = directory.create("a", BLOCK_BYTES as u64).await.unwrap();
        drop(directory.open_file("a").await.unwrap());
        assert!(descriptors_below(home.path()) > 0);
        file.close().await.unwrap();
    });
    assert_eq!(descriptors_below(home.path()), 0);
}
