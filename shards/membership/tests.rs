use super::*;
use runtime::block_on;
use std::fs;
use telemetry::Value;

#[derive(Default)]
struct Said(RefCell<Vec<String>>);

impl Host for Said {
    fn note(&self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }

    fn notice(&self, text: &str) {
        self.0.borrow_mut().push(format!("! {text}"));
    }
}

struct Node {
    gossip: Gossip,
    registry: Registry,
    host: Rc<Said>,
    changed: Rc<LocalNotify>,
}

fn data(id: u64) -> MemberData {
    MemberData { roles: Roles::BOTH, name: format!("node-{id}"), ..MemberData::default() }
}

fn options(id: u64, seeds: &[SocketAddr]) -> Options {
    Options {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        seeds: seeds.iter().map(|seed| Address::parse(&seed.to_string()).unwrap()).collect(),
        member: MemberId(id),
        boot: BootId(1),
        group: None,
        cluster: (id == 1).then_some(7),
        data: data(id),
        key_file: None,
        pace: Pace::default(),
        random: [id, id],
    }
}

fn start(options: Options) -> Node {
    let (registry, host) = (Registry::new(), Rc::new(Said::default()));
    let gossip = Gossip::start(options, &registry, host.clone()).unwrap();
    let changed = Rc::new(LocalNotify::new());
    let notify = Rc::clone(&changed);
    gossip.watch(move |_| notify.notify());
    Node { gossip, registry, host, changed }
}

impl Node {
    /// Waits until something holds; whatever makes it hold is a change of the view.
    async fn until(&self, holds: impl Fn(&Gossip) -> bool) {
        let wait = async {
            while !holds(&self.gossip) {
                self.changed.notified().await;
            }
        };
        timeout(Duration::from_secs(20), wait).await.expect("it comes to hold");
    }

    fn count(&self, name: &str) -> u64 {
        let snapshot = self.registry.snapshot();
        let found = snapshot.samples().iter().find(|sample| sample.name() == name);
        match found.map(telemetry::Sample::value) {
            Some(Value::Count(count)) => *count,
            Some(Value::Buckets { buckets, .. }) => buckets.iter().sum(),
            other => panic!("{name} is {other:?}"),
        }
    }
}

fn state(gossip: &Gossip, id: u64) -> Option<State> {
    gossip.member(MemberId(id)).map(|member| member.state)
}

#[test]
fn nodes_on_a_real_network_find_each_other_hear_of_a_leader_and_say_goodbye() {
    block_on(async {
        let first = start(options(1, &[]));
        let seed = first.gossip.address();
        let others = [start(options(2, &[seed])), start(options(3, &[seed]))];
        let all = || std::iter::once(&first).chain(&others);
        for node in all() {
            node.until(|gossip| {
                let members = gossip.members();
                let named = |member: &Member| member.data.name == format!("node-{}", member.id);
                members.len() == 3 && members.iter().all(named)
            })
            .await;
            assert_eq!(node.gossip.cluster(), Some(7));
        }
        assert!(first.gossip.leader().is_none());
        first.gossip.update(|data| data.leader_term = 4).unwrap();
        for node in &others {
            let leads = |gossip: &Gossip| gossip.leader().is_some_and(|it| it.id == MemberId(1));
            node.until(leads).await;
            assert_eq!(node.gossip.leader().unwrap().address, seed);
            assert!(node.count("distric_gossip_convergence_seconds") > 0);
            assert!(node.count("udp_packets_received_total") > 0);
        }
        let long = first.gossip.update(|data| data.name = "x".repeat(200)).unwrap_err();
        assert_eq!(long.to_string(), "a member's name has 200 bytes, at most 128 are allowed");
        others[1].gossip.leave().await;
        for node in [&first, &others[0]] {
            node.until(|gossip| state(gossip, 3) == Some(State::Left)).await;
            assert_eq!(node.count("distric_gossip_failures_total"), 0);
        }
        let said = first.host.0.borrow().join("\n");
        assert!(
            said.contains("member 3 (node-3) at 127.0.0.1:") && said.contains("has left"),
            "{said}"
        );
        others[0].gossip.leave().await;
        first.gossip.leave().await;
    });
}

#[test]
fn a_node_that_is_killed_is_found_by_the_other() {
    block_on(async {
        let first = start(options(1, &[]));
        let second = start(options(2, &[first.gossip.address()]));
        first.until(|gossip| state(gossip, 2) == Some(State::Alive)).await;
        // Its tasks end, and with them all that it does.
        second.gossip.inner.tasks.cancel_all().await;
        first.until(|gossip| state(gossip, 2) == Some(State::Failed)).await;
        assert_eq!(first.count("distric_gossip_failure_detections_total"), 1);
        assert_eq!(first.count("distric_gossip_failures_total"), 1);
        first.gossip.leave().await;
    });
}

#[test]
fn sealed_nodes_hear_each_other_and_a_key_file_that_is_none_is_refused_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gossip.keys");
    fs::write(&file, format!("# the first\n{}\n", "ab".repeat(32))).unwrap();
    block_on(async {
        let sealed = |id, seeds: &[SocketAddr]| Options {
            key_file: Some(file.clone()),
            ..options(id, seeds)
        };
        let first = start(sealed(1, &[]));
        let second = start(sealed(2, &[first.gossip.address()]));
        second.until(|gossip| state(gossip, 1) == Some(State::Alive)).await;
        let stranger = start(options(3, &[first.gossip.address()]));
        second.gossip.update(|data| data.capacity = 9).unwrap();
        first
            .until(|gossip| {
                gossip.member(MemberId(2)).is_some_and(|member| member.data.capacity == 9)
            })
            .await;
        assert_eq!(state(&first.gossip, 3), None);
        assert_eq!(first.count("distric_gossip_dropped_total"), 1);
        assert!(first.host.0.borrow()[0].starts_with("gossip is sealed with key "));
        for node in [first, second, stranger] {
            node.gossip.leave().await;
        }
        fs::write(&file, "ab\n").unwrap();
        let refused = Gossip::start(sealed(1, &[]), &Registry::new(), Rc::new(Said::default()));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("gossip.keys cannot be used: line 1 is no key"), "{refused}");
        let missing = Options { key_file: Some("none".into()), ..options(1, &[]) };
        let missing = Gossip::start(missing, &Registry::new(), Rc::new(Said::default()));
        assert!(missing.unwrap_err().to_string().starts_with("gossip_keys: none cannot be read"));
    });
}

#[test]
fn keys_are_taken_over_when_the_file_changes_and_kept_when_it_is_broken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gossip.keys");
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    fs::write(&path, &old).unwrap();
    block_on(async {
        let keys = KeyFile::open(path.clone()).unwrap();
        let only = keys.describe();
        assert!(keys.look().await.unwrap().is_none());
        fs::write(&path, format!("{old}\n{new}\n")).unwrap();
        assert_eq!(keys.look().await.unwrap().unwrap().ids().count(), 2);
        assert!(keys.describe().starts_with(&format!("{only}, and opened with ")));
        fs::write(&path, "broken").unwrap();
        assert!(keys.look().await.is_err());
        assert!(keys.look().await.unwrap().is_none(), "it is said once");
        assert_eq!(keys.ring().ids().count(), 2);
        fs::write(&path, &new).unwrap();
        assert_eq!(keys.look().await.unwrap().unwrap().ids().count(), 1);
    });
}

#[test]
fn a_node_that_is_told_where_another_is_needs_no_seeds() {
    block_on(async {
        let nodes = [start(options(1, &[])), start(options(2, &[]))];
        let other = nodes[1].gossip.address();
        nodes[0].gossip.ask_too(vec![nodes[0].gossip.address(), other]);
        for node in nodes {
            node.until(|gossip| gossip.members().len() == 2).await;
            node.gossip.leave().await;
        }
    });
}

#[test]
fn an_address_that_others_cannot_send_to_is_refused() {
    block_on(async {
        let anywhere = Options { address: SocketAddr::from(([0, 0, 0, 0], 0)), ..options(1, &[]) };
        let refused = Gossip::start(anywhere, &Registry::new(), Rc::new(Said::default()));
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.contains("is not an address that other members could send to"),
            "{refused}"
        );
    });
}

#[test]
fn nodes_that_nobody_named_find_each_other_by_a_group() {
    block_on(async {
        // A port of this test's own: others may run beside it.
        let port = Udp::bind(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            &UdpOptions::default(),
            UdpMetrics::new(&Registry::new()),
        );
        let port = port.unwrap().address().port();
        let group = SocketAddr::from(([239, 255, 92, 1], port));
        let grouped = |id| Options { group: Some(group), ..options(id, &[]) };
        let (registry, host) = (Registry::new(), Rc::new(Said::default()));
        match Gossip::start(grouped(1), &registry, host) {
            // A container may have no interface for it, or no route.
            Err(GossipError::Group(error @ GroupError::Udp(_))) => {
                println!("skipped: {error}");
                return;
            }
            probe => probe.unwrap().leave().await,
        }
        let sent = registry.snapshot();
        let failed = sent.samples().iter().any(|it| it.name() == "udp_send_errors_total");
        if failed {
            println!("skipped: this machine has no route to {group} by its loopback interface");
            return;
        }
        // The first has a cluster, the others take it.
        let nodes: Vec<Node> = (1..=3).map(|id| start(grouped(id))).collect();
        for node in &nodes {
            node.until(|gossip| gossip.members().len() == 3).await;
            assert_eq!(node.gossip.cluster(), Some(7));
        }
        for node in nodes {
            node.gossip.leave().await;
        }
    });
}

#[test]
fn a_group_that_is_none_is_refused() {
    block_on(async {
        let none = SocketAddr::from(([127, 0, 0, 1], 9_209));
        let refused = Options { group: Some(none), ..options(1, &[]) };
        let refused = Gossip::start(refused, &Registry::new(), Rc::new(Said::default()));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("127.0.0.1 is not a multicast group"), "{refused}");
    });
}
