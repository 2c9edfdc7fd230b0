use super::*;
use crate::{block_on, spawn_local};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 80))
}

#[test]
fn a_name_is_looked_up_once_for_all_who_want_it_and_kept_for_a_moment() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (counted, closed) = (Arc::clone(&lookups), Arc::clone(&gate));
    let resolver = Rc::new(Resolver::new(Arc::new(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let open = closed.1.wait_while(closed.0.lock().unwrap(), |open| !*open).unwrap();
        drop(open);
        Ok(vec![address(); 100])
    })));
    block_on(async move {
        let all: Vec<_> = (0..50)
            .map(|_| {
                let resolver = Rc::clone(&resolver);
                spawn_local(async move { resolver.resolve("a", 80).await.unwrap().len() })
            })
            .collect();
        // One that gives up does not take the others' look-up along.
        let mut all = all.into_iter();
        drop(all.next());
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        for one in all {
            assert_eq!(one.await, ADDRESSES_MAX);
        }
        assert_eq!(resolver.resolve("a", 80).await.unwrap()[0], address());
        assert_eq!(lookups.load(Ordering::SeqCst), 1);
        assert!(resolver.resolve("a", 81).await.is_ok());
        assert_eq!(lookups.load(Ordering::SeqCst), 2);
    });
}

#[test]
fn a_name_that_is_not_found_is_an_error_that_is_believed_for_a_moment() {
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    block_on(async move {
        let resolver = Resolver::new(Arc::new(move |name, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            if name == "empty" { Ok(Vec::new()) } else { Err(io::Error::other("no such name")) }
        }));
        for _ in 0..3 {
            let error = resolver.resolve("nobody", 80).await.unwrap_err();
            assert_eq!(error, ResolveError::Failed("no such name".to_owned()));
        }
        assert_eq!(lookups.load(Ordering::SeqCst), 1);
        assert_eq!(resolver.resolve("empty", 80).await.unwrap_err(), ResolveError::Empty);
    });
}

#[test]
fn no_more_names_are_kept_than_the_bound() {
    block_on(async {
        let resolver = Resolver::new(Arc::new(|_, _| Ok(vec![address()])));
        for number in 0..NAMES_MAX + 50 {
            resolver.resolve(&format!("name-{number}"), 80).await.unwrap();
        }
        assert_eq!(resolver.known.borrow().len(), NAMES_MAX);
    });
}

#[test]
fn the_system_knows_its_own_name() {
    block_on(async {
        let addresses = resolve(&Address::parse("localhost:7").unwrap()).await.unwrap();
        assert!(!addresses.is_empty());
        for address in &*addresses {
            assert!(address.ip().is_loopback() && address.port() == 7, "{address}");
        }
        assert_eq!(Resolver::of_this_core().known.borrow().len(), 1);
    });
}

#[test]
fn a_number_is_not_looked_up() {
    block_on(async {
        let address = Address::parse("[fd00::7]:80").unwrap();
        let found = resolve(&address).await.unwrap();
        assert_eq!(*found, [address.socket_address().unwrap()]);
        assert!(crate::core_state::current().resolver.borrow().is_none());
    });
}

#[test]
fn a_lookup_that_blocks_holds_up_neither_the_core_nor_its_end() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let closed = Arc::clone(&gate);
    block_on(async move {
        let resolver = Rc::new(Resolver::new(Arc::new(move |_, _| {
            let open = closed.1.wait_while(closed.0.lock().unwrap(), |open| !*open).unwrap();
            drop(open);
            Ok(vec![address()])
        })));
        // As the core's own, it ends with the core.
        *crate::core_state::current().resolver.borrow_mut() = Some(Rc::clone(&resolver));
        let waiting = spawn_local(async move { drop(resolver.resolve("slow", 80).await) });
        let brief = std::time::Duration::from_millis(1);
        assert!(crate::timeout(brief, waiting).await.is_err());
    });
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
}
