use super::*;
use runtime::{Task, block_on, spawn_local, yield_now};
use std::cell::Cell;

fn origin(port: u16) -> Origin {
    Origin { tls: false, host: "a".to_owned(), port }
}

/// One that waits, writes down its number when it has a permit, and holds it until told.
fn caller(
    permits: &Rc<Permits>,
    number: usize,
    order: &Rc<RefCell<Vec<usize>>>,
) -> (Task<()>, LocalSender<()>) {
    let (permits, order) = (Rc::clone(permits), Rc::clone(order));
    let (done, until) = LocalOneshot::new();
    let task = spawn_local(async move {
        let permit = permits.acquire(&origin(1)).await.unwrap();
        order.borrow_mut().push(number);
        let _told = until.await;
        drop(permit);
    });
    (task, done)
}

#[test]
fn permits_are_given_up_to_the_bound_and_then_in_the_order_of_asking() {
    block_on(async {
        let permits = Permits::new(2);
        let order = Rc::default();
        let callers: Vec<_> = (0..5).map(|number| caller(&permits, number, &order)).collect();
        assert_eq!(*order.borrow(), [0, 1]);
        // Another origin is not held up.
        drop(permits.acquire(&origin(2)).await.unwrap());
        for (already, (task, done)) in callers.into_iter().enumerate() {
            done.send(()).unwrap();
            task.await;
            yield_now().await;
            assert_eq!(order.borrow().len(), (already + 3).min(5));
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
        assert!(permits.origins.borrow().is_empty(), "nothing is remembered of nobody");
    });
}

#[test]
fn a_wait_that_is_given_up_takes_no_permit_along() {
    block_on(async {
        let permits = Permits::new(1);
        let order = Rc::default();
        let (first, first_done) = caller(&permits, 0, &order);
        let (second, _keep) = caller(&permits, 1, &order);
        let (third, third_done) = caller(&permits, 2, &order);
        // Before its turn.
        assert!(second.cancel().await.is_none());
        first_done.send(()).unwrap();
        first.await;
        yield_now().await;
        assert_eq!(*order.borrow(), [0, 2]);

        // After it was given, and before it was seen.
        let seen = Rc::new(Cell::new(false));
        let fourth = spawn_local({
            let (permits, seen) = (Rc::clone(&permits), Rc::clone(&seen));
            async move {
                drop(permits.acquire(&origin(1)).await);
                seen.set(true);
            }
        });
        third_done.send(()).unwrap();
        third.await;
        fourth.cancel().await;
        drop(permits.acquire(&origin(1)).await.unwrap());
        assert!(permits.origins.borrow().is_empty());
    });
}

#[test]
fn no_more_wait_than_the_bound_and_who_gave_up_does_not_count() {
    block_on(async {
        let permits = Permits::new(1);
        let held = permits.acquire(&origin(1)).await.unwrap();
        let wait = || {
            let permits = Rc::clone(&permits);
            spawn_local(async move { permits.acquire(&origin(1)).await.map(drop) })
        };
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| wait()).collect();
        assert_eq!(permits.acquire(&origin(1)).await.err(), Some(TooManyWait));
        waiting.pop().unwrap().cancel().await;
        waiting.push(wait());
        assert_eq!(permits.acquire(&origin(1)).await.err(), Some(TooManyWait));
        drop(held);
        for one in waiting {
            one.await.unwrap();
        }
    });
}
