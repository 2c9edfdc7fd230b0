use super::super::tests::Shown;
use super::{BLOCKS_MAX, Counts, Queue, Sink};
use base::UnixMicros;
use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use telemetry::{Level, LogBuffer};

const AT: UnixMicros = UnixMicros(0);

/// Long enough for any machine; what is waited for comes at once.
const PATIENCE: Duration = Duration::from_mins(1);

fn buffer_of(line: &str) -> LogBuffer {
    let mut buffer = LogBuffer::new();
    assert!(buffer.push(Level::Info, |out| out.extend_from_slice(line.as_bytes())));
    buffer
}

fn write_all(queue: &Queue, out: impl Write + Send + 'static) {
    queue.close(Duration::ZERO);
    queue.write_until_closed(Sink::new(Box::new(out), false));
}

#[test]
fn blocks_and_single_lines_are_written_each_once_and_whole() {
    let queue = Queue::new();
    for line in ["one\n", "two\n"] {
        assert!(queue.hand_over(&mut buffer_of(line), AT).is_some());
    }
    queue.push(Level::Warn, b"three\n");
    queue.bring_last(&mut buffer_of("four\n"), AT);
    let shown = Shown::default();
    write_all(&queue, shown.clone());
    assert_eq!(shown.text(), "one\ntwo\nfour\nthree\n");
}

#[test]
fn a_core_that_finds_another_thread_there_keeps_its_lines() {
    let queue = Queue::new();
    let mut buffer = buffer_of("line\n");
    let other = queue.lock();
    assert_eq!(queue.hand_over(&mut buffer, AT), None);
    drop(other);
    assert!(!buffer.is_empty());
    assert!(queue.hand_over(&mut buffer, AT).is_some());
    assert!(buffer.is_empty());
}

#[test]
fn a_full_queue_leaves_lines_with_their_core_and_takes_its_last_ones() {
    let queue = Queue::new();
    for _ in 0..BLOCKS_MAX {
        let mut buffer = buffer_of("early\n");
        assert!(queue.hand_over(&mut buffer, AT).is_some());
        assert!(buffer.is_empty());
    }
    let mut buffer = buffer_of("late\n");
    assert!(queue.hand_over(&mut buffer, AT).is_some());
    assert!(!buffer.is_empty(), "there was no room");
    queue.bring_last(&mut buffer, AT);
    assert!(buffer.is_empty(), "a core that ends is not refused");
}

#[test]
fn a_written_block_is_used_again() {
    let queue = Queue::new();
    let mut buffer = buffer_of("line\n");
    assert!(queue.hand_over(&mut buffer, AT).is_some());
    write_all(&queue, std::io::sink());
    assert_eq!(queue.lock().spares.len(), 1);
    assert!(buffer.push(Level::Info, |out| out.extend_from_slice(b"line\n")));
    assert!(queue.hand_over(&mut buffer, AT).is_some());
    assert_eq!(queue.lock().spares.len(), 0);
}

#[test]
fn lines_of_other_threads_are_counted_by_the_next_core_and_only_once() {
    let queue = Queue::new();
    queue.push(Level::Info, b"line\n");
    queue.push(Level::Error, b"line\n");
    let counts = Counts { lines: [0, 1, 0, 1], dropped: 0 };
    assert_eq!(queue.hand_over(&mut LogBuffer::new(), AT), Some(counts));
    assert_eq!(queue.hand_over(&mut LogBuffer::new(), AT), Some(Counts::default()));
}

#[test]
fn other_threads_lines_that_find_no_room_are_dropped_and_counted() {
    let queue = Queue::new();
    let line = [b'x'; 8_000];
    for _ in 0..100 {
        queue.push(Level::Info, &line);
    }
    let counts = queue.hand_over(&mut LogBuffer::new(), AT).unwrap();
    assert!(counts.dropped > 0);
    assert_eq!(counts.lines[1] + counts.dropped, 100);
    queue.push(Level::Error, b"an error still fits\n");
    let shown = Shown::default();
    write_all(&queue, shown.clone());
    assert!(shown.text().contains("an error still fits\n"));
    assert!(shown.text().contains("log lines were dropped"));
}

/// An output that fails.
struct Failing;

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(Error::from(ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_that_cannot_be_written_are_counted_as_dropped() {
    let queue = Queue::new();
    assert!(queue.hand_over(&mut buffer_of("one\ntwo\n"), AT).is_some());
    write_all(&queue, Failing);
    let counts = queue.hand_over(&mut LogBuffer::new(), AT).unwrap();
    assert_eq!(counts.dropped, 2);
}

/// An output on a disk that has room for so many bytes, and then for more.
struct Filling {
    shown: Shown,
    room: usize,
}

impl Write for Filling {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(self.room);
        self.room -= count;
        if count == 0 {
            // Somebody makes room while the line after this one waits.
            self.room = usize::MAX;
            return Err(Error::from(ErrorKind::StorageFull));
        }
        self.shown.write(&bytes[..count])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_loses_lines_counts_them_and_spoils_no_later_one() {
    // How much fits, what is shown in the end, and how many lines are lost.
    let rows = [
        (4, "one\nfour\n", 2),
        (6, "one\ntw\nfour\n", 2),
        (0, "four\n", 3),
        (8, "one\ntwo\nfour\n", 1),
        (13, "one\ntwo\nthree\nfour\n", 1),
    ];
    for (room, expected, lost) in rows {
        let shown = Shown::default();
        let mut sink = Sink::new(Box::new(Filling { shown: shown.clone(), room }), false);
        assert_eq!(sink.write(b"one\ntwo\nthree\n"), lost, "{room}");
        assert_eq!(sink.write(b"four\n"), 0, "{room}");
        assert_eq!(shown.text(), expected, "{room}");
    }
}

/// An output that tells when a write begins, and ends it when told to.
struct Hanging {
    began: Sender<()>,
    go_on: Receiver<()>,
}

impl Write for Hanging {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.began.send(());
        let _ = self.go_on.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_hangs_holds_up_neither_the_end_nor_those_who_log() {
    let queue = Arc::new(Queue::new());
    let (began, has_begun) = channel();
    let (release, go_on) = channel();
    let writing = Arc::clone(&queue);
    let writer = std::thread::spawn(move || {
        writing.write_until_closed(Sink::new(Box::new(Hanging { began, go_on }), false));
    });
    queue.push(Level::Info, b"first\n");
    has_begun.recv_timeout(PATIENCE).unwrap();

    queue.push(Level::Info, b"second\n");
    assert!(queue.hand_over(&mut buffer_of("third\n"), AT).is_some());
    assert!(!queue.flush(Duration::from_millis(1)));
    assert!(!queue.close(Duration::from_millis(1)));

    drop(release);
    assert!(queue.flush(PATIENCE), "all is written once the output goes on");
    writer.join().unwrap();
}
