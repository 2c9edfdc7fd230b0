use super::*;
use crate::{block_on, interfaces, spawn_local};
use futures_lite::future::zip;
use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::rc::Rc;
use telemetry::Value;

const SOON: Duration = Duration::from_secs(10);
const BRIEF: Duration = Duration::from_millis(2);

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn udp(registry: &Registry) -> Udp {
    Udp::bind(loopback(), &UdpOptions::default(), UdpMetrics::new(registry)).unwrap()
}

/// A counter's value: `name` or `name:error_type`.
fn count(registry: &Registry, series: &str) -> u64 {
    let (name, label) = series.split_once(':').unwrap_or((series, ""));
    let snapshot = registry.snapshot();
    let found = snapshot.samples().iter().find(|sample| {
        sample.name() == name && sample.labels().iter().all(|(_, value)| value == label)
    });
    match found.map(telemetry::Sample::value) {
        Some(Value::Count(count)) => *count,
        None => 0,
        other => panic!("{series} is {other:?}"),
    }
}

fn buffer() -> Box<[u8; DATAGRAM_BYTES_MAX]> {
    Box::new([0; DATAGRAM_BYTES_MAX])
}

#[test]
fn datagrams_of_every_allowed_size_go_both_ways_and_are_counted() {
    block_on(async {
        let (ours, theirs) = (Registry::new(), Registry::new());
        let (one, other) = (udp(&ours), udp(&theirs));
        let mut buffer = buffer();
        let sizes = [0, 1, DATAGRAM_BYTES_MAX];
        for bytes in sizes {
            let sent = vec![7; bytes];
            one.send_to(&sent, other.address()).await.unwrap();
            let (received, from) = other.receive_from_within(&mut buffer, SOON).await.unwrap();
            assert_eq!((&buffer[..received], from), (&sent[..], one.address()));
            other.try_send_to(&buffer[..received], from).unwrap();
            let (answered, from) = one.receive_from_within(&mut buffer, SOON).await.unwrap();
            assert_eq!((answered, from), (bytes, other.address()));
        }
        for registry in [&ours, &theirs] {
            assert_eq!(count(registry, "udp_packets_sent_total"), 3);
            assert_eq!(count(registry, "udp_packets_received_total"), 3);
            assert_eq!(count(registry, "udp_bytes_sent_total"), 1_401);
            assert_eq!(count(registry, "udp_bytes_received_total"), 1_401);
        }
    });
}

#[test]
fn a_datagram_that_is_too_large_is_refused_before_it_is_sent() {
    block_on(async {
        let registry = Registry::new();
        let (one, other) = (udp(&registry), udp(&Registry::new()));
        let large = vec![0; DATAGRAM_BYTES_MAX + 1];
        let error = one.send_to(&large, other.address()).await.unwrap_err();
        assert_eq!(error.to_string(), "a datagram has at most 1400 bytes, this one has 1401");
        assert!(matches!(
            one.try_send_to(&large, other.address()),
            Err(UdpError::TooLarge { bytes: 1_401 })
        ));
        assert_eq!(count(&registry, "udp_send_errors_total:too_large"), 2);
        assert_eq!(count(&registry, "udp_packets_sent_total"), 0);
    });
}

#[test]
fn a_datagram_that_comes_too_large_is_counted_and_passed_over() {
    block_on(async {
        let registry = Registry::new();
        let ours = udp(&registry);
        let stranger = UdpSocket::bind(loopback()).unwrap();
        for bytes in [1_401, 9_000, 60_000, 3] {
            stranger.send_to(&vec![1; bytes], ours.address()).unwrap();
        }
        let mut buffer = buffer();
        let (received, _) = ours.receive_from_within(&mut buffer, SOON).await.unwrap();
        assert_eq!(received, 3);
        assert_eq!(count(&registry, "udp_receive_errors_total:truncated"), 3);
        assert_eq!(count(&registry, "udp_packets_received_total"), 1);
    });
}

#[test]
fn a_wait_in_vain_times_out_and_loses_nothing() {
    block_on(async {
        let (one, other) = (udp(&Registry::new()), udp(&Registry::new()));
        let mut buffer = buffer();
        for _ in 0..5 {
            let error = other.receive_from_within(&mut buffer, BRIEF).await.unwrap_err();
            assert!(matches!(error, UdpError::TimedOut { within: BRIEF, .. }), "{error}");
        }
        one.send_to(b"after all", other.address()).await.unwrap();
        let (received, _) = other.receive_from_within(&mut buffer, SOON).await.unwrap();
        assert_eq!(&buffer[..received], b"after all");
    });
}

#[test]
fn what_the_other_side_has_no_room_for_is_lost_and_the_rest_arrives_whole() {
    block_on(async {
        let registry = Registry::new();
        let sender = udp(&registry);
        let receiver = udp(&Registry::new());
        // Room for a few: what comes meanwhile is dropped by the kernel.
        receiver.socket.get_ref().set_recv_buffer_size(16 * 1024).unwrap();
        for number in 0..500_u32 {
            let datagram = number.to_be_bytes().repeat(100);
            sender.send_to(&datagram, receiver.address()).await.unwrap();
        }
        let (mut buffer, mut seen) = (buffer(), BTreeSet::new());
        // Whatever was kept is there already: one last wait tells that there is no more.
        while let Ok((bytes, _)) = receiver.receive_from_within(&mut buffer, BRIEF).await {
            let number: [u8; 4] = buffer[..4].try_into().unwrap();
            assert_eq!(buffer[..bytes], number.repeat(100));
            assert!(seen.insert(u32::from_be_bytes(number)));
        }
        assert!(!seen.is_empty() && seen.len() < 500, "{} of 500 arrived", seen.len());
        assert_eq!(count(&registry, "udp_packets_sent_total"), 500);
        // And the socket is as good as before.
        sender.send_to(b"next", receiver.address()).await.unwrap();
        assert_eq!(receiver.receive_from_within(&mut buffer, SOON).await.unwrap().0, 4);
    });
}

#[test]
fn bad_news_of_a_datagram_ends_neither_sending_nor_receiving() {
    block_on(async {
        let registry = Registry::new();
        let ours = udp(&registry);
        let nobody = UdpSocket::bind(loopback()).unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        // The kernel tells such news to connected sockets.
        ours.socket.get_ref().connect(&address.into()).unwrap();
        ours.send_to(b"x", address).await.unwrap();
        let mut buffer = buffer();
        let error = ours.receive_from_within(&mut buffer, BRIEF).await.unwrap_err();
        assert!(matches!(error, UdpError::TimedOut { .. }), "{error}");
        assert_eq!(count(&registry, "udp_receive_errors_total:refused"), 1);

        // The news of the first comes while the second is sent, which is sent all the same.
        ours.send_to(b"x", address).await.unwrap();
        ours.send_to(b"x", address).await.unwrap();
        assert_eq!(count(&registry, "udp_send_errors_total:refused"), 1);
        assert_eq!(count(&registry, "udp_packets_sent_total"), 3);

        let somebody = UdpSocket::bind(address).unwrap();
        somebody.send_to(b"here", ours.address()).unwrap();
        let (received, from) = ours.receive_from_within(&mut buffer, SOON).await.unwrap();
        assert_eq!((&buffer[..received], from), (&b"here"[..], address));
    });
}

#[test]
fn what_has_no_way_there_is_a_typed_error_with_the_address() {
    block_on(async {
        let registry = Registry::new();
        let ours = udp(&registry);
        // Broadcast is not allowed without asking for it, and port 0 is nobody's.
        for (to, label) in [("255.255.255.255:7", "forbidden"), ("127.0.0.1:0", "io")] {
            let error = ours.send_to(b"x", to.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, UdpError::Send { .. }) && error.to_string().contains(to));
            let series = format!("udp_send_errors_total:{label}");
            assert_eq!(count(&registry, &series), 1, "{error}");
        }
    });
}

#[test]
fn sending_is_held_to_its_rate() {
    block_on(async {
        let registry = Registry::new();
        let whole = u32::try_from(DATAGRAM_BYTES_MAX + DATAGRAM_OVERHEAD_BYTES).unwrap();
        let number = |number| NonZeroU32::new(number).unwrap();
        // One datagram per millisecond, two at once.
        let rate =
            UdpRate { bytes_per_second: number(1_000 * whole), burst_bytes: number(2 * whole) };
        let options = UdpOptions { rate: Some(rate), ..UdpOptions::default() };
        let sender = Udp::bind(loopback(), &options, UdpMetrics::new(&registry)).unwrap();
        let receiver = Rc::new(udp(&Registry::new()));
        let to = receiver.address();
        let receiving = spawn_local({
            let receiver = Rc::clone(&receiver);
            async move {
                let mut buffer = buffer();
                for _ in 0..12 {
                    receiver.receive_from_within(&mut buffer, SOON).await.unwrap();
                }
            }
        });
        let began = instant();
        for _ in 0..12 {
            sender.send_to(&[0; DATAGRAM_BYTES_MAX], to).await.unwrap();
        }
        let took = instant().since(began);
        // Two went at once; the others waited a millisecond each, less what the first moment gave.
        assert!(took >= Duration::from_millis(9), "{took:?}");
        receiving.await;

        let refused = loop {
            if let Err(error) = sender.try_send_to(&[0; DATAGRAM_BYTES_MAX], to) {
                break error;
            }
        };
        let UdpError::RateLimited { wait } = refused else { panic!("{refused}") };
        assert!(wait <= Duration::from_millis(1), "{wait:?}");
        assert!(count(&registry, "udp_send_errors_total:rate_limited") >= 1);
    });
}

#[test]
fn a_burst_below_one_datagram_is_one_datagram() {
    block_on(async {
        let one = NonZeroU32::new(1).unwrap();
        let rate = UdpRate { bytes_per_second: one, burst_bytes: one };
        let options = UdpOptions { rate: Some(rate), ..UdpOptions::default() };
        let sender = Udp::bind(loopback(), &options, UdpMetrics::new(&Registry::new())).unwrap();
        sender.try_send_to(&[0; DATAGRAM_BYTES_MAX], sender.address()).unwrap();
        assert!(matches!(
            sender.try_send_to(&[], sender.address()),
            Err(UdpError::RateLimited { .. })
        ));
    });
}

#[test]
fn an_address_is_shared_when_both_say_so() {
    block_on(async {
        let metrics = UdpMetrics::new(&Registry::new());
        let alone = UdpOptions::default();
        let shared = UdpOptions { shared: true, ..alone };
        let first = Udp::bind(loopback(), &shared, metrics.clone()).unwrap();
        let second = Udp::bind(first.address(), &shared, metrics.clone()).unwrap();
        assert_eq!(first.address(), second.address());
        let error = Udp::bind(first.address(), &alone, metrics.clone()).unwrap_err();
        assert!(matches!(error, PortError::InUse { .. }), "{error}");
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
        let error = Udp::bind(elsewhere, &alone, metrics).unwrap_err();
        assert_eq!(error.to_string(), "192.0.2.1:0 is not an address of this machine");
    });
}

/// Two that joined and one that did not, all on one interface.
async fn multicast(group: IpAddr, any: IpAddr, interface: u32) -> Result<(), UdpError> {
    let registry = Registry::new();
    let options = UdpOptions { shared: true, ..UdpOptions::default() };
    let bind = |port| {
        let address = SocketAddr::new(any, port);
        Udp::bind(address, &options, UdpMetrics::new(&registry)).unwrap()
    };
    let one = bind(0);
    let to = SocketAddr::new(group, one.address().port());
    let (other, stranger, sender) = (bind(to.port()), bind(to.port()), bind(0));
    one.join(group, interface)?;
    other.join(group, interface)?;
    sender.multicast_by(interface)?;
    sender.send_to(b"all", to).await?;
    let (mut first, mut second) = (buffer(), buffer());
    let (first_is, second_is) = zip(
        one.receive_from_within(&mut first, SOON),
        other.receive_from_within(&mut second, SOON),
    )
    .await;
    assert_eq!((&first[..first_is?.0], &second[..second_is?.0]), (&b"all"[..], &b"all"[..]));
    let nothing = stranger.receive_from_within(&mut first, BRIEF).await;
    assert!(nothing.is_err(), "who has not joined gets nothing");

    other.leave(group, interface)?;
    sender.send_to(b"one", to).await?;
    assert_eq!(one.receive_from_within(&mut first, SOON).await?.0, 3);
    assert!(other.receive_from_within(&mut first, BRIEF).await.is_err(), "nor who has left");
    Ok(())
}

#[test]
fn a_group_gets_what_is_sent_to_it_and_nobody_else_does() {
    block_on(async {
        // Nothing leaves this machine: one by its interface, the other by its scope (RFC 4291,
        // section 2.7: interface-local).
        for (group, any, own) in [("239.255.7.7", "0.0.0.0", true), ("ff01::7:7", "::", false)] {
            let (group, any): (IpAddr, IpAddr) = (group.parse().unwrap(), any.parse().unwrap());
            let all = interfaces().unwrap();
            // IPv6 has no route for groups on the loopback interface.
            let usable = all.iter().find(|one| {
                let family = one.addresses.iter().any(|ip| ip.is_ipv4() == group.is_ipv4());
                one.up && family && if own { one.loopback } else { one.multicast }
            });
            let Some(usable) = usable else {
                println!("skipped for {group}: no interface carries it");
                continue;
            };
            match multicast(group, any, usable.index).await {
                Ok(()) => {}
                // A container may be without a route for groups.
                Err(error @ (UdpError::Interface { .. } | UdpError::Send { .. })) => {
                    println!("skipped for {group} on {}: {error}", usable.name);
                }
                Err(error) => panic!("{group} on {}: {error}", usable.name),
            }
        }
    });
}

#[test]
fn only_a_group_of_the_same_family_on_an_interface_that_is_there_can_be_joined() {
    block_on(async {
        let socket = udp(&Registry::new());
        for (group, why) in [("10.0.0.7", "not a multicast group"), ("ff02::7", "not a multicast")]
        {
            let group = group.parse().unwrap();
            for error in [socket.join(group, 0), socket.leave(group, 0)] {
                let error = error.unwrap_err();
                assert!(matches!(error, UdpError::NoGroup { .. }), "{error}");
                assert!(error.to_string().contains(why), "{error}");
            }
        }
        let group = "239.255.7.7".parse().unwrap();
        let missing = u32::try_from(i32::MAX).unwrap();
        let errors =
            [socket.join(group, missing), socket.multicast_by(missing), socket.leave(group, 0)];
        for error in errors {
            assert!(matches!(error, Err(UdpError::Interface { .. })), "{error:?}");
        }
    });
}
