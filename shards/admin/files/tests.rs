use super::*;
use crate::tests::directory;

fn names(path: &Path) -> Vec<String> {
    let files = files_of(path).unwrap();
    let relative = |file: PathBuf| file.strip_prefix(path).unwrap().display().to_string();
    files.into_iter().map(relative).collect()
}

#[test]
fn a_folder_is_its_yaml_and_json_in_the_order_of_the_paths() {
    let directory =
        directory(&[("b.yaml", ""), ("a.JSON", ""), ("c.txt", ""), (".hidden.yaml", "")]);
    let inner = directory.path().join("a");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("z.yml"), "").unwrap();
    fs::create_dir(directory.path().join(".git")).unwrap();
    fs::write(directory.path().join(".git/x.yaml"), "").unwrap();
    assert_eq!(names(directory.path()), ["a/z.yml", "a.JSON", "b.yaml"]);
}

#[test]
fn a_folder_without_rules_and_a_loop_of_links_are_mistakes() {
    let directory = directory(&[("notes.txt", "")]);
    let error = files_of(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("no file in this folder ends in .yaml, .yml or .json"), "{error}");
    std::os::unix::fs::symlink(directory.path(), directory.path().join("again")).unwrap();
    let error = files_of(directory.path()).unwrap_err().to_string();
    assert!(error.ends_with("folders nest at most 16 deep; is it a loop of links?"), "{error}");
}

#[test]
fn a_byte_that_is_no_text_is_told_with_its_place() {
    let directory = directory(&[]);
    let rows: [(&[u8], &str); 3] = [
        (b"\xff", ":1:1: the byte 0xff is no UTF-8"),
        ("rules:\n  - id: ä\u{0}".as_bytes(), ""),
        (b"rules:\n  - id: \xc3\xa4\xc3(\n", ":2:10: the byte 0xc3 is no UTF-8"),
    ];
    let path = directory.path().join("x.yaml");
    for (bytes, expected) in rows {
        fs::write(&path, bytes).unwrap();
        let fault = texts(std::slice::from_ref(&path)).unwrap().remove(0).fault;
        let told = fault.map(|fault| fault.to_string()).unwrap_or_default();
        assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{told}");
    }
}
