use super::*;
use crate::{block_on, spawn_local};
use std::sync::mpsc;

#[test]
fn a_job_runs_elsewhere_and_its_core_goes_on() {
    block_on(async {
        let here = std::thread::current().id();
        let (go, wait) = mpsc::channel();
        let job = offload(move || {
            wait.recv().unwrap();
            std::thread::current().id()
        })
        .unwrap();
        let meanwhile = spawn_local(async move { go.send(()).unwrap() });
        assert_ne!(job.await, here);
        meanwhile.await;
    });
}

#[test]
fn a_job_runs_on_every_cpu_although_a_pinned_core_started_it() {
    let placement = crate::CoreSpec::place(&"0".parse().unwrap()).unwrap();
    let all = sched_getaffinity(None).unwrap();
    let body = move |context: crate::CoreContext| async move {
        context.ready();
        assert_eq!(sched_getaffinity(None)?.count(), 1);
        assert_eq!(offload(|| sched_getaffinity(None)).unwrap().await?, all);
        Ok(())
    };
    crate::launch(&placement, &crate::Shutdown::new(), vec![body]).unwrap().join().unwrap();
}

#[test]
fn work_aside_gives_way_to_the_cores_and_blocking_work_does_not() {
    let nice = || rustix::process::getpriority_process(None).unwrap();
    let before = nice();
    block_on(async move {
        assert_eq!(offload(nice).unwrap().await, before);
        assert_eq!(offload_aside(nice).unwrap().await, ASIDE_NICE.max(before));
    });
    assert_eq!(nice(), before, "of its own thread alone");
}

#[test]
fn a_panic_of_a_job_goes_on_where_it_is_awaited_and_the_pool_lives() {
    let panic = std::panic::catch_unwind(|| {
        block_on(async { offload(|| panic!("broken")).unwrap().await });
    });
    assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"broken"));
    assert_eq!(block_on(async { offload(|| 7).unwrap().await }), 7);
}

#[test]
fn jobs_beyond_the_queue_are_refused_and_the_others_all_run() {
    let pool: &'static Pool = Box::leak(Box::new(Pool::new("distric-test", 0)));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (done, results) = mpsc::channel();
    let job = || -> Job {
        let (gate, done) = (Arc::clone(&gate), done.clone());
        Box::new(move || {
            let (open, opened) = &*gate;
            drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            done.send(()).unwrap();
        })
    };
    let mut taken = 0;
    while pool.push(job()).is_ok() {
        taken += 1;
        assert!(taken <= THREADS_MAX + QUEUE_MAX);
    }
    assert!(taken >= QUEUE_MAX);
    assert_eq!(pool.lock().threads, THREADS_MAX);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert_eq!(results.iter().take(taken).count(), taken);
}
