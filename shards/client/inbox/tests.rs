use super::*;
use std::sync::Arc;
use std::thread;

fn inbox(change: fn(&mut Options)) -> Inbox {
    let mut options = Options::default();
    change(&mut options);
    Inbox::new(&options).unwrap()
}

fn take(inbox: &Inbox) -> Mail {
    let mut mail = Mail::default();
    inbox.take(&mut mail);
    mail
}

#[test]
fn a_full_inbox_refuses_and_takes_again_when_results_have_come() {
    let inbox = inbox(|options| {
        options.queue_messages_max = 2;
        options.when_full = WhenFull::Refuse;
    });
    let _receipts = [inbox.submit(b"one").unwrap(), inbox.submit(b"three").unwrap()];
    let refused = inbox.submit(b"").unwrap_err();
    assert_eq!(refused, ClientError::QueueFull { messages: 2, bytes: 8 });
    inbox.release(1, 3);
    assert!(inbox.submit(b"").is_ok());
}

#[test]
fn bytes_are_bounded_as_messages_are() {
    let inbox = inbox(|options| {
        options.queue_bytes_max = 10;
        options.when_full = WhenFull::Refuse;
    });
    assert!(inbox.submit(b"0123456789").is_ok(), "one always finds room");
    assert_eq!(inbox.submit(b"x").unwrap_err(), ClientError::QueueFull { messages: 1, bytes: 10 });
    let refused = inbox.submit(b"0123456789a").unwrap_err();
    assert_eq!(refused, ClientError::TooLarge { bytes: 11, bytes_max: 10 });
}

#[test]
fn a_thread_that_waits_for_room_goes_on_when_there_is_some() {
    let inbox = Arc::new(inbox(|options| options.queue_messages_max = 1));
    let first = inbox.submit(b"one").unwrap();
    let waiter = thread::spawn({
        let inbox = Arc::clone(&inbox);
        move || inbox.submit(b"two").map(|_| ())
    });
    // Whether it waits already or not, it gets in.
    inbox.release(1, 3);
    assert_eq!(waiter.join().unwrap(), Ok(()));
    assert_eq!(take(&inbox).letters.len(), 2);
    drop(first);
}

#[test]
fn who_waits_for_room_is_told_when_the_client_closes() {
    let inbox = Arc::new(inbox(|options| options.queue_messages_max = 1));
    let _receipt = inbox.submit(b"one").unwrap();
    let waiter = thread::spawn({
        let inbox = Arc::clone(&inbox);
        move || inbox.submit(b"two").map(|_| ())
    });
    inbox.close();
    assert_eq!(waiter.join().unwrap(), Err(ClientError::Closed));
    assert_eq!(inbox.command(Command::Stop).unwrap_err(), ClientError::Closed);
}

#[test]
fn the_bell_rings_once_between_two_looks() {
    let inbox = inbox(|_| {});
    let count = || {
        let mut count = [0; 8];
        rustix::io::read(inbox.bell(), &mut count).map(|_| u64::from_ne_bytes(count)).ok()
    };
    assert_eq!(count(), None);
    let _receipts = [inbox.submit(b"one").unwrap(), inbox.submit(b"two").unwrap()];
    inbox.command(Command::Stop).unwrap();
    assert_eq!(count(), Some(1));
    let mail = take(&inbox);
    assert_eq!((mail.letters.len(), mail.commands.len()), (2, 1));
    let _receipt = inbox.submit(b"three").unwrap();
    assert_eq!(count(), Some(1));
}
