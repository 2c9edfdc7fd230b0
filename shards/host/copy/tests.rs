use super::*;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

#[test]
fn a_copy_stays_as_it_was_whatever_becomes_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.so");
    std::fs::write(&path, "as it was").unwrap();
    let copied = File::from(copy(&path, "a").unwrap());
    std::fs::write(&path, "another").unwrap();
    let mut read = [0; 32];
    let bytes = copied.read_at(&mut read, 0).unwrap();
    assert_eq!(&read[..bytes], b"as it was");
    assert!((&copied).write(b"mine").is_err() && copied.set_len(0).is_err());
}

#[test]
fn what_is_no_file_or_too_large_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.so");
    File::create(&large).unwrap().set_len(LIBRARY_BYTES_MAX + 1).unwrap();
    for (path, words) in [(&large, "larger than 256 MiB"), (&folder.path().into(), "no file")] {
        let error = copy(path, "a").unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(copy(&folder.path().join("nowhere.so"), "a").is_err());
}
