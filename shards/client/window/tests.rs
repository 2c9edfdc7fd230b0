use super::*;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn message(token: u64) -> Message<u64> {
    let body = token.to_string().into_bytes().into_boxed_slice();
    Message { token, body, queued_at: Instant(0), give_up_at: Instant(0), refusal: None }
}

/// A window of messages 0 to `count` - 1, the first of them accepted unless there is none.
fn open_window(count: u64) -> Window<u64> {
    let mut window = Window::new(7, Prng::new(1));
    for token in 0..count {
        window.number(Instant(1), message(token));
    }
    if count > 0 {
        let run = window.next_run(1, 1).unwrap();
        window.on_sent(&run);
        window.on_ended(&run);
        assert_eq!(window.accept(Instant(1), 0).unwrap().message.token, 0);
    }
    window
}

fn send(window: &mut Window<u64>, messages_max: usize) -> Option<Run> {
    let run = window.next_run(messages_max, 1_000)?;
    window.on_sent(&run);
    Some(run)
}

fn give_back(window: &mut Window<u64>, run: &Run, why: &Again) {
    window.on_ended(run);
    for slot in run.slot..run.slot + run.count as u64 {
        window.again(slot, run.count, why);
    }
}

#[test]
fn messages_go_out_in_order_in_runs_of_at_most_so_many() {
    let mut window = open_window(6);
    let first = send(&mut window, 3).unwrap();
    assert_eq!(first, Run { slot: 1, count: 3, producer: 7, sequence: 2 });
    let second = send(&mut window, 3).unwrap();
    assert_eq!((second.slot, second.count, second.sequence), (4, 2, 5));
    assert_eq!(send(&mut window, 3), None);
}

#[test]
fn a_run_ends_where_its_bytes_do_and_a_large_message_goes_alone() {
    let mut window = open_window(1);
    for (token, bytes) in [(1, 10), (2, 10), (3, 50), (4, 10)] {
        let body = vec![b'x'; bytes].into_boxed_slice();
        window.number(Instant(1), Message { body, ..message(token) });
    }
    let counts = std::iter::from_fn(|| {
        let run = window.next_run(100, 25)?;
        window.on_sent(&run);
        Some(run.count)
    });
    assert_eq!(counts.collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn until_its_first_message_is_accepted_one_submit_of_a_producer_is_on_its_way() {
    let mut window = open_window(0);
    for token in 0..4 {
        window.number(Instant(1), message(token));
    }
    let first = send(&mut window, 2).unwrap();
    assert_eq!(send(&mut window, 2), None);
    give_back(&mut window, &first, &Again::Lost);
    let again = send(&mut window, 2).unwrap();
    assert_eq!(again, first, "the same messages under the same numbers");
    window.on_ended(&again);
    assert!(window.accept(Instant(1), 0).unwrap().in_doubt);
    assert_eq!(send(&mut window, 2).unwrap().sequence, 3);
}

#[test]
fn at_most_a_window_of_sequences_lies_beyond_the_oldest_without_a_result() {
    let mut window = open_window(1);
    for token in 1..=WINDOW_MESSAGES as u64 {
        window.number(Instant(1), message(token));
    }
    assert_eq!(window.room(), 0);
    let run = send(&mut window, WINDOW_MESSAGES).unwrap();
    window.on_ended(&run);
    for slot in 2..=WINDOW_MESSAGES as u64 {
        assert!(window.accept(Instant(1), slot).is_some());
    }
    assert_eq!(window.room(), 0, "the oldest has no result");
    assert!(window.accept(Instant(1), 1).is_some());
    assert_eq!(window.room(), WINDOW_MESSAGES);
    assert!(window.is_empty());
}

#[test]
fn what_is_lost_goes_out_before_what_is_new() {
    let mut window = open_window(5);
    let first = send(&mut window, 2).unwrap();
    let second = send(&mut window, 2).unwrap();
    give_back(&mut window, &second, &Again::Lost);
    give_back(&mut window, &first, &Again::Lost);
    window.number(Instant(1), message(5));
    let run = send(&mut window, 100).unwrap();
    assert_eq!((run.slot, run.count), (1, 5), "old ones and the new one, in order");
}

#[test]
fn halves_are_cut_until_a_message_stands_alone() {
    let mut window = open_window(9);
    let all = send(&mut window, 8).unwrap();
    give_back(&mut window, &all, &Again::Halved);
    let half = send(&mut window, 8).unwrap();
    assert_eq!((half.slot, half.count), (1, 4));
    give_back(&mut window, &half, &Again::Halved);
    let counts: Vec<_> =
        std::iter::from_fn(|| send(&mut window, 8)).map(|run| (run.slot, run.count)).collect();
    assert_eq!(counts, [(1, 2), (3, 2), (5, 4)]);
}

#[test]
fn a_result_comes_once() {
    let mut window = open_window(3);
    let run = send(&mut window, 2).unwrap();
    window.on_ended(&run);
    assert!(window.accept(Instant(1), 2).is_some());
    assert!(window.accept(Instant(1), 2).is_none());
    assert!(window.fail(2).is_none());
    assert!(window.fail(1).is_some());
    assert!(window.fail(1).is_none(), "its place has left the window");
}

#[test]
fn a_producer_that_was_silent_for_long_is_given_up_for_a_new_one() {
    let mut window = open_window(1);
    window.number(Instant(1) + PRODUCER_IDLE_MAX, message(1));
    assert_eq!(window.get(1).map(|e| (e.producer, e.sequence)), Some((7, 2)));
    window.number(Instant(1) + PRODUCER_IDLE_MAX + SECOND, message(2));
    let entry = window.get(2).unwrap();
    assert_ne!(entry.producer, 7);
    assert_eq!(entry.sequence, 1);
    let run = send(&mut window, 100).unwrap();
    assert_eq!((run.producer, run.count), (7, 1), "a submit has one producer");
}

#[test]
fn a_producer_whose_first_message_failed_numbers_nothing_more() {
    let mut window = open_window(0);
    window.number(Instant(1), message(0));
    let run = send(&mut window, 1).unwrap();
    window.on_ended(&run);
    window.fail(0);
    window.number(Instant(1), message(1));
    assert_ne!(window.get(1).unwrap().producer, 7);
    assert_eq!(window.get(1).unwrap().sequence, 1);
}
