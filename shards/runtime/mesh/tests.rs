use super::*;
use crate::{CoreContext, CoreFailure, Shutdown, block_on, launch, spawn_local, yield_now};
use std::future::Future;
use std::sync::mpsc;

const _: () = {
    const fn is_send<T: Send>() {}
    // A message that is Send and not Sync is enough.
    is_send::<MeshEnd<std::cell::Cell<u8>>>();
};

/// Runs one body per core, each with its end of a mesh.
fn with_mesh<M, F>(
    cores: usize,
    body: impl Fn(CoreContext, MeshSender<M>, MeshReceiver<M>) -> F + Clone + Send + 'static,
) where
    M: Send + 'static,
    F: Future<Output = Result<(), CoreFailure>> + 'static,
{
    let spec: crate::CoreSpec = format!("0-{}", cores - 1).parse().unwrap();
    let bodies = Mesh::new(cores, 0)
        .into_iter()
        .map(|end| {
            let body = body.clone();
            move |context: CoreContext| {
                context.ready();
                let (sender, receiver) = end.split();
                body(context, sender, receiver)
            }
        })
        .collect();
    launch(&spec.place().unwrap(), &Shutdown::new(), bodies).unwrap().join().unwrap();
}

/// The two ends of a mesh of two, on one executor: enough where nobody needs to sleep.
fn pair<M: Send>() -> [(MeshSender<M>, MeshReceiver<M>); 2] {
    let mut ends = Mesh::new(2, 0).into_iter().map(MeshEnd::split);
    [ends.next().unwrap(), ends.next().unwrap()]
}

#[test]
fn every_core_hears_every_core_in_order_and_itself_too() {
    const MESSAGES: u64 = 5_000;
    with_mesh(4, |_, sender: MeshSender<u64>, mut receiver| async move {
        let sends = spawn_local(async move {
            for number in 0..MESSAGES {
                for to in sender.all() {
                    sender.send(to, number).await.expect("nobody has ended");
                }
            }
        });
        let mut next = [0; 4];
        while let Some((from, number)) = receiver.recv().await {
            let next = &mut next[usize::from(from.0)];
            assert_eq!(number, *next, "in the order sent, each once");
            *next += 1;
        }
        assert_eq!(next, [MESSAGES; 4]);
        sends.await;
        Ok(())
    });
}

#[test]
fn one_message_at_a_time_wakes_the_core_that_sleeps() {
    const ROUNDS: u32 = 2_000;
    with_mesh(2, |context, sender: MeshSender<u32>, mut receiver| async move {
        let other = CoreId(1 - context.core().0);
        if other == CoreId(1) {
            for round in 0..ROUNDS {
                sender.send(other, round).await.expect("the other lives");
                assert_eq!(receiver.recv().await, Some((other, round)));
            }
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let (from, round) = receiver.recv().await.expect("the other lives");
            sender.send(from, round).await.expect("the other lives");
        }
        Ok(())
    });
}

#[test]
fn a_full_ring_gives_the_message_back_and_waiting_finds_room() {
    block_on(async {
        let [(sender, _own), (_other, mut receiver)] = pair::<usize>();
        let to = CoreId(1);
        for number in 0..MESH_CAPACITY_MIN {
            assert_eq!(sender.free_space(to), MESH_CAPACITY_MIN - number);
            sender.try_send(to, number).unwrap();
        }
        assert_eq!(sender.try_send(to, 7), Err(SendError::Full(7)));

        let waiting = spawn_local({
            let sender = sender.clone();
            async move { sender.send(to, MESH_CAPACITY_MIN).await }
        });
        yield_now().await;
        for number in 0..=MESH_CAPACITY_MIN {
            assert_eq!(receiver.recv().await, Some((CoreId(0), number)));
        }
        assert_eq!(waiting.await, Ok(()));
    });
}

#[test]
fn a_core_can_fill_its_own_queue_and_no_further() {
    block_on(async {
        let (sender, mut receiver) = Mesh::new(1, 0).remove(0).split();
        let own = CoreId(0);
        for number in 0..MESH_CAPACITY_MIN {
            sender.try_send(own, number).unwrap();
        }
        assert_eq!(sender.free_space(own), 0);
        assert_eq!(sender.try_send(own, 7).unwrap_err().into_message(), 7);
        let waiting = spawn_local({
            let sender = sender.clone();
            async move { sender.send(own, MESH_CAPACITY_MIN).await }
        });
        for number in 0..=MESH_CAPACITY_MIN {
            assert_eq!(receiver.recv().await, Some((own, number)));
        }
        assert_eq!(waiting.await, Ok(()));
    });
}

#[test]
fn draining_takes_what_is_there_from_every_ring() {
    block_on(async {
        let [(left, mut receiver), (right, _other)] = pair::<u8>();
        for number in 0..10 {
            left.try_send(CoreId(0), number).unwrap();
            right.try_send(CoreId(0), number).unwrap();
        }
        let mut messages = Vec::new();
        assert_eq!(receiver.drain(&mut messages, 15), 15);
        assert_eq!(receiver.drain(&mut messages, 15), 5);
        assert_eq!(receiver.drain(&mut messages, 15), 0);
        for core in [0, 1] {
            let from_core: Vec<u8> =
                messages.iter().filter(|(from, _)| from.0 == core).map(|(_, n)| *n).collect();
            assert_eq!(from_core, (0..10).collect::<Vec<_>>());
        }
    });
}

#[test]
fn rings_take_turns() {
    block_on(async {
        let [(own, mut receiver), (other, _there)] = pair::<u8>();
        for number in 0..100 {
            own.try_send(CoreId(0), number).unwrap();
            other.try_send(CoreId(0), number).unwrap();
        }
        let first: Vec<u16> =
            std::iter::from_fn(|| receiver.try_recv()).take(10).map(|(from, _)| from.0).collect();
        assert_eq!(first.iter().filter(|core| **core == 0).count(), 5, "{first:?}");
    });
}

#[test]
fn an_ended_receiver_is_told_apart_from_a_full_one() {
    block_on(async {
        let [(sender, own), (_other, receiver)] = pair::<u8>();
        drop(receiver);
        assert_eq!(sender.try_send(CoreId(1), 7), Err(SendError::Closed(7)));
        assert_eq!(sender.send(CoreId(1), 8).await, Err(Closed(8)));
        drop(own);
        assert_eq!(sender.try_send(CoreId(0), 9), Err(SendError::Closed(9)));
    });
}

#[test]
fn a_sender_that_waits_for_room_hears_of_the_receivers_end() {
    block_on(async {
        let [(sender, _own), (_other, receiver)] = pair::<usize>();
        for number in 0..MESH_CAPACITY_MIN {
            sender.try_send(CoreId(1), number).unwrap();
        }
        let waiting = spawn_local(async move { sender.send(CoreId(1), 7).await });
        yield_now().await;
        drop(receiver);
        assert_eq!(waiting.await, Err(Closed(7)));
    });
}

#[test]
fn a_receiver_gets_all_that_was_sent_before_every_sender_ended() {
    block_on(async {
        let [(own, mut receiver), (other, _there)] = pair::<u8>();
        other.try_send(CoreId(0), 1).unwrap();
        own.try_send(CoreId(0), 2).unwrap();
        let numbers = spawn_local(async move {
            let mut numbers = Vec::new();
            while let Some((_, number)) = receiver.recv().await {
                numbers.push(number);
            }
            numbers.sort_unstable();
            numbers
        });
        yield_now().await;
        drop(other);
        yield_now().await;
        drop(own);
        assert_eq!(numbers.await, [1, 2]);
    });
}

#[test]
fn messages_nobody_took_are_dropped_with_the_mesh() {
    let held = std::sync::Arc::new(());
    let (sender, receiver) = Mesh::new(1, 0).remove(0).split();
    sender.try_send(CoreId(0), std::sync::Arc::clone(&held)).unwrap();
    drop((sender, receiver));
    let [(sender, own), (other, receiver)] = pair();
    sender.try_send(CoreId(1), std::sync::Arc::clone(&held)).unwrap();
    drop((sender, own, other, receiver));
    assert_eq!(std::sync::Arc::strong_count(&held), 1);
}

#[test]
fn a_flood_from_one_core_does_not_keep_others_tasks_from_running() {
    let (done, reports) = mpsc::channel();
    with_mesh(2, move |context, sender: MeshSender<u32>, mut receiver| {
        let done = done.clone();
        async move {
            if context.core() == CoreId(0) {
                // Ends only when the other core's second task ran while the flood went on.
                while sender.send(CoreId(1), 0).await.is_ok() {}
                return Ok(());
            }
            let ticks = spawn_local(crate::sleep(std::time::Duration::from_millis(5)));
            let flood = spawn_local(async move { while receiver.recv().await.is_some() {} });
            ticks.await;
            flood.cancel().await;
            done.send(())?;
            Ok(())
        }
    });
    assert!(reports.try_recv().is_ok());
}
