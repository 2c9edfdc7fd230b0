use super::*;
use raft::GetEntriesContext;

fn entry(index: u64, term: u64, bytes: usize) -> Entry {
    Entry { index, term, data: vec![0; bytes].into(), ..Default::default() }
}

/// The journal has entries 3 to 6 of terms 2 and 4, memory 7 to 9 of term 4.
fn window() -> Window {
    let entries = [7, 8, 9].map(|index| entry(index, 4, 100));
    let terms = vec![(2, 1), (3, 2), (5, 4)];
    Window::new(HardState::default(), Membership::default(), (6, 4), terms, &entries, None)
}

fn indices(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.index).collect()
}

#[test]
fn the_term_of_every_entry_is_known_from_the_beginning_on() {
    let window = window();
    let terms: Vec<_> = (1..=10).map(|index| window.term_at(index)).collect();
    let known = [1, 2, 2, 4, 4, 4, 4, 4].map(Some);
    assert_eq!(terms, [&[None][..], &known, &[None]].concat());
    assert_eq!(window.term(1), Err(Error::Store(StorageError::Compacted)));
    assert_eq!(window.term(10), Err(Error::Store(StorageError::Unavailable)));
}

#[test]
fn what_is_superseded_is_forgotten_with_its_terms() {
    let mut window = window();
    window.append(&[entry(8, 5, 1), entry(9, 5, 1)]);
    window.append(&[entry(8, 6, 1)]);
    assert_eq!((window.last(), window.term_at(7), window.term_at(8)), (8, Some(4), Some(6)));
    assert_eq!(window.terms, [(2, 1), (3, 2), (5, 4), (8, 6)]);
}

#[test]
fn what_was_applied_stays_up_to_a_bound() {
    let mut window = window();
    window.on_members(Membership::default(), 3 * (100 + ENTRY_BYTES));
    window.append(&[entry(10, 4, 100), entry(11, 4, 100)]);
    window.on_applied(9);
    assert_eq!(window.base, 8, "three of five fit, two of them are not applied");
    window.on_members(Membership::default(), 0);
    assert_eq!(window.base, 9, "what is not applied stays");
    window.on_applied(11);
    assert_eq!((window.base, window.bytes, window.bytes_unapplied), (11, 0, 0));
}

#[test]
fn the_log_begins_where_neither_journal_nor_memory_has_anything() {
    let mut window = window();
    window.on_members(Membership::default(), 1 << 20);
    window.on_applied(9);
    window.compact(8);
    assert_eq!(window.begin(), 6, "memory has what comes behind");
    window.on_members(Membership::default(), 100 + ENTRY_BYTES);
    assert_eq!((window.begin(), window.base), (8, 8), "what leaves memory now is nowhere");
    assert_eq!(window.term_at(8), Some(4));
    let compacted = window.entries(8, 9, None, GetEntriesContext::empty(true));
    assert_eq!(compacted, Err(Error::Store(StorageError::Compacted)));
}

#[test]
fn old_entries_are_fetched_once_for_all_who_wait() {
    let mut window = window();
    let wait = || GetEntriesContext::empty(true);
    let unavailable = Err(Error::Store(StorageError::LogTemporarilyUnavailable));
    assert_eq!(window.entries(4, 10, Some(1_000), wait()), unavailable);
    assert_eq!(window.entries(4, 10, Some(1_000), wait()), unavailable);
    let mut told = Vec::new();
    window.newly_wanted(|wanted| told.push((wanted.low, wanted.high, wanted.bytes)));
    window.newly_wanted(|wanted| panic!("told twice: {wanted:?}"));
    assert_eq!(told, [(4, 7, 1_000)], "what memory has is not asked for");
    let waiting = window.on_fetched(4, vec![entry(4, 2, 10), entry(5, 4, 10)]);
    assert_eq!(waiting.len(), 2);
    assert_eq!(indices(&window.entries(4, 10, None, wait()).unwrap()), [4, 5]);
    assert_eq!(indices(&window.entries(5, 10, None, wait()).unwrap()), [5]);
    window.forget_fetched();
    assert_eq!(window.entries(4, 10, None, wait()), unavailable);
}

#[test]
fn at_least_one_entry_is_given_and_no_more_than_fit() {
    let window = window();
    let given =
        |max| indices(&window.entries(7, 10, Some(max), GetEntriesContext::empty(false)).unwrap());
    assert_eq!((given(0), given(200), given(1_000)), (vec![7], vec![7, 8], vec![7, 8, 9]));
}
