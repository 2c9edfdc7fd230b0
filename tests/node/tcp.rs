//! How connections end: none of it costs an answer, or a descriptor.

use crate::client::{Connection, request};
use crate::connections::sockets;
use crate::server::{Place, until};
use std::collections::BTreeSet;
use std::net::Shutdown;
use std::thread;

/// Clients that come and go at the same time.
const CLIENTS: usize = 8;

/// Connections of each, one after the other.
const EACH: usize = 125;

/// A message, its answer, and the end of the connection. Gives the message's id.
fn one_message(connection: &mut Connection, headers: &[(&str, &str)]) -> String {
    connection.send(&request("POST", "/api/v1/messages", headers, b"{}")).unwrap();
    let id = connection.answer().unwrap().json_of(202)["message_id"].clone();
    id.as_str().unwrap().to_owned()
}

#[test]
fn a_thousand_connections_of_one_message_each_lose_no_answer_and_leak_no_descriptor() {
    let place = Place::new(&[]);
    let server = place.start();
    let before = sockets(&server);
    let ids: BTreeSet<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let server = &server;
                scope.spawn(move || {
                    let connections = (0..EACH).map(|number| {
                        let mut connection = server.connect();
                        // Either side may be the one that closes.
                        if (client + number) % 2 == 0 {
                            return one_message(&mut connection, &[]);
                        }
                        let id = one_message(&mut connection, &[("connection", "close")]);
                        assert!(connection.is_closed_by_peer());
                        id
                    });
                    connections.collect::<Vec<_>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), CLIENTS * EACH, "each was accepted once, under an id of its own");
    until("every descriptor is closed again", || (sockets(&server) == before).then_some(()));
    assert_eq!(server.metric("distric_messages_received_total"), (CLIENTS * EACH) as u64);
}

#[test]
fn a_client_that_closes_its_half_gets_every_answer_and_then_the_end() {
    let place = Place::new(&[]);
    let server = place.start();
    let mut connection = server.connect();
    let asked = 20;
    let ahead = request("POST", "/api/v1/messages", &[], b"{}").repeat(asked);
    connection.send(&ahead).unwrap();
    connection.stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..asked {
        assert_eq!(connection.answer().unwrap().status(), 202);
    }
    assert!(connection.is_closed_by_peer());
}

#[test]
fn a_large_answer_written_just_before_the_end_arrives_whole() {
    let place = Place::new(&[]);
    let server = place.start();
    // Nearly the largest message there may be.
    let text = "x".repeat(250 * 1024);
    let message = format!("{{\"text\":\"{text}\"}}");
    let id =
        server.call("POST", "/api/v1/messages", &[], &message).json_of(202)["message_id"].clone();
    let path = format!("/api/v1/messages/{}", id.as_str().unwrap());
    for _ in 0..20 {
        let mut connection = server.connect();
        connection.send(&request("GET", &path, &[("connection", "close")], b"")).unwrap();
        let answer = connection.answer().unwrap().json_of(200);
        assert!(answer["message"]["text"] == *text, "every byte is there");
        assert!(connection.is_closed_by_peer());
    }
}
