use super::*;
use crate::globals::Mark;
use base::UnixMicros;

fn past(id: &str, version: u32, bytes: usize) -> Past {
    let mark = Mark::new("ann".into());
    mark.set(UnixMicros(u64::from(version)));
    let came = Came { mark: Arc::new(mark), how: How::Stored };
    Past { table: Table::Rules, id: id.into(), version, came, text: "x".repeat(bytes).into() }
}

fn versions(history: &History, id: &str) -> Vec<u32> {
    history.of(Table::Rules, id).map(|past| past.version).collect()
}

#[test]
fn of_one_id_the_oldest_goes_first() {
    let mut history = History::default();
    history.push(past("other", 7, 10));
    for version in 1..=40 {
        history.push(past("r", version, 10));
    }
    let expected: Vec<u32> = (26..=40).rev().collect();
    assert_eq!(versions(&history, "r"), expected);
    assert_eq!(versions(&history, "other"), [7]);
    assert!(history.text(Table::Rules, "r", 25).is_none());
    assert!(history.text(Table::Definitions, "r", 26).is_none());
    assert_eq!(history.text(Table::Rules, "r", 26).map(str::len), Some(10));
}

#[test]
fn of_all_ids_the_oldest_goes_first_and_the_newest_stays() {
    let mut history = History::default();
    for at in 0..40 {
        history.push(past(&format!("r{at}"), 1, HISTORY_BYTES_MAX / 32));
        assert!(history.bytes <= HISTORY_BYTES_MAX);
    }
    let kept: Vec<&str> = history.oldest_first().map(|past| &*past.id).collect();
    assert_eq!((kept.len(), kept.last()), (31, Some(&"r39")));
    assert_eq!(history.by_id.len(), 31);
    history.push(past("large", 1, 2 * HISTORY_BYTES_MAX));
    assert_eq!(history.oldest_first().map(|past| &*past.id).collect::<Vec<_>>(), ["large"]);
}

#[test]
fn of_two_entries_of_one_version_the_newer_text_counts_and_a_removal_has_none() {
    let mut history = History::default();
    history.push(past("r", 3, 5));
    history.push(past("r", 3, 6));
    let mut removed = past("r", 3, 0);
    removed.came.how = How::Deleted;
    history.push(removed);
    assert_eq!(history.text(Table::Rules, "r", 3).map(str::len), Some(6));
}
