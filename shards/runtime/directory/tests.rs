use super::*;

fn home() -> (tempfile::TempDir, DataDirectory) {
    let home = tempfile::tempdir().unwrap();
    let directory = DataDirectory::open(&home.path().join("a/b/data")).unwrap();
    (home, directory)
}

#[test]
fn a_directory_is_made_and_held_until_its_last_clone_is_dropped() {
    let (_home, directory) = home();
    let path = directory.path().to_owned();
    let clone = directory.clone();
    drop(directory);
    let error = DataDirectory::open(&path).unwrap_err();
    let text = error.to_string();
    let expected = format!(
        "data directory {} is in use by another distric-shard (pid {}): stop it, or use another \
         directory",
        path.display(),
        std::process::id()
    );
    assert_eq!(text, expected);
    drop(clone);
    DataDirectory::open(&path).unwrap();
}

#[test]
fn a_holder_that_wrote_no_number_is_not_named() {
    let (_home, directory) = home();
    std::fs::write(directory.path().join(LOCK), "?").unwrap();
    let text = DataDirectory::open(directory.path()).unwrap_err().to_string();
    assert!(text.contains("another distric-shard: stop it"), "{text}");
}

#[test]
fn a_file_is_replaced_whole_read_and_removed() {
    let (_home, directory) = home();
    assert_eq!(directory.read("meta", 10).unwrap(), None);
    directory.replace("meta", b"first").unwrap();
    directory.replace_parts("meta", &["sec", "", "ond"]).unwrap();
    assert_eq!(directory.read("meta", 10).unwrap().unwrap(), b"second");
    assert_eq!(directory.list().unwrap(), ["lock", "meta"]);
    let error = directory.read("meta", 5).unwrap_err();
    assert!(error.to_string().ends_with("it has more than 5 bytes"), "{error}");
    directory.remove("meta").unwrap();
    directory.remove("meta").unwrap();
    assert_eq!(directory.read("meta", 10).unwrap(), None);
}

#[test]
fn a_file_that_was_never_finished_is_not_listed() {
    let (_home, directory) = home();
    std::fs::write(directory.path().join("meta.tmp"), "half").unwrap();
    assert_eq!(directory.list().unwrap(), ["lock"]);
    directory.replace("meta", b"whole").unwrap();
    assert_eq!(directory.read("meta", 10).unwrap().unwrap(), b"whole");
    assert!(!directory.path().join("meta.tmp").exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_with_its_path() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = DataDirectory::open(&file.join("data")).unwrap_err();
    assert!(error.to_string().starts_with("cannot make the data directory /"), "{error}");
    let error = DataDirectory::open(&file).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn the_free_space_is_that_of_the_file_system() {
    let (_home, directory) = home();
    assert!(directory.free_bytes().unwrap() > 0);
}
