use super::*;

fn log_in(directory: &tempfile::TempDir) -> (PathBuf, LogFile) {
    let path = directory.path().join("node.log");
    let file = LogFile::open(&path).unwrap();
    (path, file)
}

fn write(file: &mut LogFile, line: &str) {
    file.write_all(line.as_bytes()).unwrap();
    // As if the last look were long ago.
    file.looked = Instant(0);
    file.flush().unwrap();
}

#[test]
fn what_is_there_stays_and_lines_are_appended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.log");
    fs::write(&path, "of the last run\n").unwrap();
    write(&mut LogFile::open(&path).unwrap(), "of this run\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "of the last run\nof this run\n");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut file) = log_in(&directory);
    write(&mut file, "one\n");
    let moved = directory.path().join("node.log.1");
    fs::rename(&path, &moved).unwrap();
    write(&mut file, "two\n");
    write(&mut file, "three\n");
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn a_file_that_was_copied_and_cut_goes_on_at_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut file) = log_in(&directory);
    write(&mut file, "one\n");
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    write(&mut file, "two\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
}

#[test]
fn a_file_whose_directory_went_is_written_until_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("logs");
    fs::create_dir(&inside).unwrap();
    let path = inside.join("node.log");
    let mut file = LogFile::open(&path).unwrap();
    fs::remove_dir_all(&inside).unwrap();
    write(&mut file, "nowhere\n");
    fs::create_dir(&inside).unwrap();
    write(&mut file, "nowhere yet\n");
    write(&mut file, "here\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "here\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_told_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/node.log");
    let error = format!("{:#}", LogFile::open(&path).unwrap_err());
    assert!(error.contains("missing/node.log to append to: No such file"), "{error}");
}
