use super::*;
use crate::{LocalEvent, block_on, yield_now};

/// Holds a value until it is dropped.
async fn hold<T>(held: T) {
    std::future::pending::<()>().await;
    drop(held);
}

#[test]
fn a_task_gives_its_result() {
    assert_eq!(block_on(async { spawn_local(async { 40 }).await + 2 }), 42);
}

#[test]
fn dropping_a_task_drops_its_future() {
    block_on(async {
        let held = Rc::new(());
        let inside = Rc::clone(&held);
        let task = spawn_local(hold(inside));
        assert_eq!(Rc::strong_count(&held), 2);
        drop(task);
        yield_now().await;
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn cancelling_waits_until_the_future_is_dropped() {
    block_on(async {
        let held = Rc::new(());
        let inside = Rc::clone(&held);
        let task = spawn_local(hold(inside));
        assert_eq!(task.cancel().await, None);
        assert_eq!(Rc::strong_count(&held), 1);
        assert_eq!(spawn_local(async { 3 }).cancel().await, Some(3));
    });
}

#[test]
fn a_set_counts_its_tasks_and_waits_for_their_end() {
    block_on(async {
        let set = TaskSet::new();
        let go = LocalEvent::new();
        set.spawn(async {});
        for _ in 0..100 {
            let go = go.clone();
            set.spawn(async move { go.wait().await });
        }
        assert_eq!(set.len(), 100);
        go.set();
        set.idle().await;
        assert!(set.is_empty());
        assert!(set.state.tasks.borrow().is_empty());
    });
}

#[test]
fn cancelling_a_set_drops_every_future_before_it_returns() {
    block_on(async {
        let set = TaskSet::new();
        let held = Rc::new(());
        for _ in 0..100 {
            let inside = Rc::clone(&held);
            set.spawn(hold(inside));
        }
        assert_eq!(Rc::strong_count(&held), 101);
        set.cancel_all().await;
        assert_eq!(Rc::strong_count(&held), 1);
        assert!(set.is_empty());
        set.spawn(async {});
        set.idle().await;
    });
}

#[test]
fn ended_tasks_are_forgotten_by_the_next_start() {
    block_on(async {
        let set = TaskSet::new();
        for _ in 0..1000 {
            set.spawn(yield_now());
            yield_now().await;
            yield_now().await;
        }
        assert!(set.state.tasks.borrow().len() < 10);
        set.idle().await;
    });
}

#[test]
fn an_executor_that_ends_drops_the_tasks_whose_handles_went_with_its_body() {
    let held = std::sync::Arc::new(());
    let inside = std::sync::Arc::clone(&held);
    block_on(async move {
        let set = TaskSet::new();
        set.spawn(hold(inside));
    });
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
}

#[test]
fn a_loop_that_never_runs_out_of_work_lets_input_in() {
    block_on(async {
        let done = LocalEvent::new();
        let waiter = spawn_local({
            let done = done.clone();
            async move {
                crate::sleep(Duration::from_millis(1)).await;
                done.set();
            }
        });
        while !done.is_set() {
            yield_if_needed().await;
        }
        waiter.await;
    });
}
