use crate::folder;
use crate::pending::pending;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_answer_wakes_who_awaits_it_and_who_waits_for_it() {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let (answer, pending_answer) = pending();
    let mut awaited = pin!(pending_answer);
    assert_eq!(awaited.as_mut().poll(&mut context), Poll::Pending);
    answer.give(7);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(awaited.as_mut().poll(&mut context), Poll::Ready(7));
    let (answer, awaited) = pending();
    let giver = std::thread::spawn(move || answer.give(8));
    assert_eq!(awaited.wait(), 8);
    giver.join().unwrap();
}

#[test]
fn a_folder_is_read_by_name_and_what_is_no_library_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "b.so",
        "a.so",
        "a.yaml",
        "notes.txt",
        "Not a name.so",
        "bad.so",
        "bad.yaml",
        "lost.yml",
        "Notes 2.yaml",
    ] {
        let text = match name {
            "a.yaml" => "threads: 7",
            "bad.yaml" => "threads: none",
            _ => "",
        };
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let found = folder::read(folder.path()).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.name.as_str(), one.manifest.as_ref().map(|manifest| manifest.threads).ok()))
        .collect();
    assert_eq!(
        found,
        [("Not a name", None), ("a", Some(7)), ("b", Some(4)), ("bad", None), ("lost", None)]
    );
    let one = folder::read(&folder.path().join("a.so")).unwrap();
    assert_eq!((one.len(), one[0].name.as_str()), (1, "a"));
    assert!(folder::read(&folder.path().join("nowhere")).is_err());
}
