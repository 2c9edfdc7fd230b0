use super::*;
use glommio::{Latency, LocalExecutorBuilder, Shares};
use std::sync::mpsc;

const ROUNDS: u32 = 2_000;

#[test]
fn an_executor_whose_time_slice_ends_before_it_begins_still_runs_what_is_ready() {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let executor = LocalExecutorBuilder::default().make().unwrap();
        executor.run(async {
            let guard = glommio::spawn_local(watch());
            // A few times what a look for input takes: now and then it is over too early, and
            // without the guard some hundred rounds are enough to sleep for ever.
            let slice = Latency::Matters(Duration::from_micros(100));
            let queue = glommio::executor().create_task_queue(Shares::default(), slice, "short");
            let rounds = async {
                for _ in 0..ROUNDS {
                    glommio::timer::sleep(Duration::from_micros(1)).await;
                }
            };
            glommio::spawn_local_into(rounds, queue).unwrap().await;
            guard.cancel().await;
        });
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(30)).expect("ready tasks are run");
    thread.join().unwrap();
}

#[test]
fn the_guard_sleeps_longer_when_nothing_happens() {
    let executor = LocalExecutorBuilder::default().make().unwrap();
    executor.run(async {
        let guard = glommio::spawn_local(watch());
        let before = glommio::executor().executor_stats().tasks_executed();
        glommio::timer::sleep(Duration::from_millis(100)).await;
        let run = glommio::executor().executor_stats().tasks_executed() - before;
        assert!(run < 20, "{run} runs in 100 ms of nothing");
        guard.cancel().await;
    });
}
