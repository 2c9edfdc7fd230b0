use super::*;

#[test]
fn every_known_trouble_says_what_to_do() {
    for (error, words) in [
        (io::Error::from_raw_os_error(1), "io_uring_disabled"),
        (io::Error::other("failed to create an io_uring: x. not permitted"), "seccomp"),
        (io::Error::from_raw_os_error(38), "Linux 5.11"),
        (io::Error::from_raw_os_error(12), "LimitMEMLOCK"),
        (io::Error::from_raw_os_error(24), "LimitNOFILE"),
        (io::Error::other("Cannot allocate memory (os error 12)"), "ulimit -l"),
    ] {
        let text = explain(&GlommioError::IoError(error));
        assert!(text.contains(words), "{text}");
    }
    let low = GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(65_536, 524_288));
    let text = explain(&low);
    assert!(text.contains("only 65536 bytes") && text.contains("ulimit -l"), "{text}");
}

#[test]
fn the_limit_of_open_files_is_raised_to_the_hard_one() {
    let limit = raise_open_files().unwrap();
    assert_eq!(getrlimit(Resource::Nofile).current, getrlimit(Resource::Nofile).maximum);
    assert!(limit >= 3);
}

#[test]
fn memory_can_be_taken_in_small_pages_alone() {
    use_small_pages().unwrap();
    assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
}
