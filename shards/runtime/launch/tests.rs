use super::*;
use crate::{sleep, spawn_local};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

fn placement(cores: usize) -> Placement {
    let spec: crate::CoreSpec = format!("0-{}", cores - 1).parse().unwrap();
    spec.place().unwrap()
}

/// One body for all cores, which are told apart by their context.
fn start<F>(
    cores: usize,
    shutdown: &Shutdown,
    body: impl Fn(CoreContext) -> F + Clone + Send + 'static,
) -> Result<Running, LaunchError>
where
    F: Future<Output = Result<(), CoreFailure>> + 'static,
{
    launch(&placement(cores), shutdown, vec![body; cores])
}

#[test]
fn every_core_runs_its_body_on_a_thread_of_its_own_name() {
    let shutdown = Shutdown::new();
    let (names, seen) = mpsc::channel();
    let running = start(3, &shutdown, move |context| {
        let names = names.clone();
        async move {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            names.send((context.core().0, context.cores(), name))?;
            context.ready();
            context.stop().wait().await;
            Ok(())
        }
    })
    .unwrap();
    let mut seen: Vec<_> = seen.iter().take(3).collect();
    seen.sort();
    for (core, seen) in (0_u16..).zip(seen) {
        assert_eq!(seen, (core, 3, format!("distric-core-{core}")));
    }
    shutdown.request("the test is over");
    running.join().unwrap();
}

#[test]
fn a_core_is_pinned_to_its_cpu() {
    let shutdown = Shutdown::new();
    let running = start(2, &shutdown, |context| async move {
        let set = rustix::thread::sched_getaffinity(None)?;
        if set.count() != 1 || !set.is_set(context.cpu()) {
            return Err("not pinned".into());
        }
        context.ready();
        Ok(())
    })
    .unwrap();
    running.join().unwrap();
}

#[test]
fn the_first_reason_ends_the_launch_and_no_core_is_left() {
    let shutdown = Shutdown::new();
    let alive = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&alive);
    let error = start(3, &shutdown, move |context| {
        let alive = Arc::clone(&counted);
        async move {
            if context.core() == CoreId(1) {
                return Err("the port is taken".into());
            }
            alive.fetch_add(1, Ordering::SeqCst);
            let _alive = scopeguard(move || {
                alive.fetch_sub(1, Ordering::SeqCst);
            });
            context.ready();
            // Deaf to `stop`: only force ends it.
            std::future::pending::<()>().await;
            Ok(())
        }
    })
    .unwrap_err();
    assert!(error.to_string().ends_with("failed: the port is taken"), "{error}");
    assert!(error.to_string().starts_with("core 1 (CPU "), "{error}");
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

fn scopeguard(end: impl FnOnce()) -> impl Sized {
    struct Guard<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Guard<F> {
        fn drop(&mut self) {
            if let Some(end) = self.0.take() {
                end();
            }
        }
    }
    Guard(Some(end))
}

#[test]
fn a_panic_during_the_start_is_told_with_its_core() {
    let error = start(2, &Shutdown::new(), |context| async move {
        assert_ne!(context.core(), CoreId(1), "a broken invariant");
        context.ready();
        context.stop().wait().await;
        Ok(())
    })
    .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("core 1 (CPU ") && text.contains("panicked: "), "{text}");
    assert!(text.contains("a broken invariant"), "{text}");
}

#[test]
fn a_panic_later_stops_the_others_and_is_told_with_its_core() {
    let shutdown = Shutdown::new();
    let launched = Arc::new(Barrier::new(2));
    let both = Arc::clone(&launched);
    let running = start(2, &shutdown, move |context| {
        let launched = Arc::clone(&both);
        async move {
            context.ready();
            if context.core() == CoreId(1) {
                launched.wait();
                panic!("a broken invariant");
            }
            context.stop().wait().await;
            Ok(())
        }
    })
    .unwrap();
    launched.wait();
    let text = running.join().unwrap_err().to_string();
    assert!(text.starts_with("core 1 (CPU ") && text.ends_with("a broken invariant"), "{text}");
    assert!(shutdown.reason().unwrap().contains("a broken invariant"));
}

#[test]
fn a_body_that_ends_before_it_is_ready_fails_the_launch() {
    let error = start(1, &Shutdown::new(), |_| async { Ok(()) }).unwrap_err();
    assert!(error.to_string().ends_with("ended before it was ready"), "{error}");
}

#[test]
fn stopping_during_the_start_is_told_apart_from_a_failure() {
    let shutdown = Shutdown::new();
    shutdown.request("SIGTERM");
    let error = start(2, &shutdown, |context| async move {
        context.stop().wait().await;
        Ok(())
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "stopped before every core was ready: SIGTERM");
}

#[test]
fn ready_may_be_said_by_a_task_of_the_core() {
    let shutdown = Shutdown::new();
    let running = start(1, &shutdown, |context| async move {
        let stop = context.stop().clone();
        let task = spawn_local(async move {
            sleep(Duration::from_millis(1)).await;
            context.ready();
        });
        stop.wait().await;
        task.await;
        Ok(())
    })
    .unwrap();
    shutdown.request("the test is over");
    running.join().unwrap();
}

#[test]
fn force_drops_a_body_that_does_not_listen() {
    let shutdown = Shutdown::new();
    let running = start(2, &shutdown, |context| async move {
        context.ready();
        std::future::pending::<()>().await;
        Ok(())
    })
    .unwrap();
    shutdown.request("asked first");
    shutdown.force("then told");
    running.join().unwrap();
    assert_eq!(shutdown.reason().unwrap(), "asked first");
}

#[test]
fn a_cpu_that_is_not_there_is_an_error_in_words() {
    let placement = "1023".parse::<crate::CoreSpec>().unwrap().place_among(&[1023]);
    let error = launch(&placement, &Shutdown::new(), vec![|_| async { Ok(()) }]).unwrap_err();
    assert!(error.to_string().contains("CPU 1023 doesn't exist"), "{error}");
}

#[test]
fn a_lone_core_has_a_context_whose_stop_works() {
    let shutdown = Shutdown::new();
    let ended = block_on_core(&shutdown, |context| async move {
        context.ready();
        context.shutdown().request("the test is over");
        context.stop().wait().await;
        7
    });
    assert_eq!(ended, Some(7));
}
