use super::*;
use crate::globals::{Draft, Globals, Prepared};
use crate::record::{Accepted, AcceptedView, Born, CatalogueChanged, Change, Match, Passed};
use base::UnixMicros;
use proptest::prelude::*;

/// Who gives orders, and who takes them in these tests.
const GIVER: PartitionId = PartitionId(0);

const WORKFLOWS: [&str; 2] = [
    r#"{"id":"waits","version":1,"tasks":[{"id":"a","type":"delay","with":{"for":"1s"}}]}"#,
    r#"{"id":"pure","version":1,"tasks":[{"id":"a","type":"transform","with":{"n":"${ input.n }"}}]}"#,
];

const RULES: [&str; 4] = [
    r#"{"id":"keyed","version":1,"conditions":[{"field":"n","op":"exists"}],"actions":[{"workflow":"waits","key":"${ msg.key }"},{"workflow":"waits"}]}"#,
    r#"{"id":"pure","version":1,"conditions":[{"field":"n","op":"exists"}],"actions":[{"workflow":"pure","key":"${ msg.key }","timeout":"9s"}]}"#,
    r#"{"id":"made","version":1,"conditions":[{"field":"n","op":"exists"}],"enrich":{"user.level":"${ msg.n + 1 }"},"actions":[{"workflow":"pure","transform":{"n":"${ msg.user.level * 2 }"},"params":{"was":"${ msg.n }"}}]}"#,
    r#"{"id":"fails","version":1,"conditions":[{"field":"n","op":"exists"}],"actions":[{"workflow":"pure","key":"${ msg.missing }"},{"workflow":"pure","params":{"x":"${ 1 / msg.zero }"}}]}"#,
];

struct World {
    globals: Globals,
    partitions: Vec<Partition>,
    index: u64,
    out: Outbox<PartitionEffect>,
}

impl World {
    fn new(partitions: u16) -> Self {
        let born = Born {
            cluster_id: 1,
            partitions,
            retention_bytes: 8_192 * u64::from(partitions),
            keys_max: 100,
            key_ttl_ms: 1_000,
        };
        let mut globals = Globals::default();
        let mut changes: Vec<Change> =
            WORKFLOWS.iter().map(|text| Change::PutDefinition((*text).into())).collect();
        changes.extend(RULES.iter().map(|text| Change::PutRule((*text).into())));
        globals.apply_born(born.clone());
        let mut world = Self {
            globals,
            partitions: (0..partitions)
                .map(|number| Partition::new(PartitionId(number), &born, 0))
                .collect(),
            index: 0,
            out: Outbox::new(),
        };
        world.change(changes);
        world
    }

    fn change(&mut self, changes: Vec<Change>) {
        let change = CatalogueChanged::new("default", "", changes);
        let prepared = Prepared::new(&self.globals.catalogue, Arc::new(Draft::of(change)));
        let next = prepared.next(UnixMicros(0));
        self.globals.catalogue =
            Arc::clone(next.unwrap_or_else(|| panic!("{:?}", prepared.changed())));
    }

    fn now(&self) -> UnixMicros {
        UnixMicros(self.index)
    }

    fn begin(&mut self) {
        self.index += 1;
        let now = self.now();
        for partition in &mut self.partitions {
            assert!(partition.begin(self.index, now, &mut self.out));
        }
    }

    fn accept(&mut self, rule: &str, payload: &str) -> Outcome {
        self.begin();
        let matches = [Match { rule, version: self.globals.catalogue.rules[rule].rule.version }];
        let payload = payload.as_bytes();
        let record =
            Accepted { namespace: "default", matches: &matches, payload, ..Accepted::default() };
        let mut body = Vec::new();
        record.write(&mut body);
        let view = AcceptedView::read(record.version(), &body).unwrap();
        let now = self.now();
        self.partitions[0].apply_accepted(&self.globals, now, &view, &mut self.out)
    }

    fn accepted(&mut self, rule: &str, payload: &str) -> MessageId {
        match self.accept(rule, payload) {
            Outcome::Accepted { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    /// The record of an order that waits, or of one that waited.
    fn record(&self, to: PartitionId, number: u64, order: &Waiting) -> Vec<u8> {
        let Waiting { start, definition } = order;
        let stored = self.globals.catalogue.definitions.get(&*start.workflow);
        let known = stored.is_some_and(|stored| stored.definition.hash == start.definition);
        let source = (!known).then_some(definition.source.as_str());
        let mut body = Vec::new();
        assert!(usize::from(to.0) < self.partitions.len());
        Passed { number, source, start }.write(&mut body);
        body
    }

    /// A record is applied by both.
    fn pass(&mut self, to: PartitionId, body: &[u8]) {
        self.begin();
        let now = self.now();
        let view = PassedView::read(body).unwrap();
        self.partitions[usize::from(GIVER.0)].apply_given(to, view.number);
        let taker = &mut self.partitions[usize::from(to.0)];
        taker.apply_taken(&self.globals, now, GIVER, &view, &mut self.out).unwrap();
    }

    /// Everything that waits is passed.
    fn pass_all(&mut self) {
        while let Some((to, body)) = {
            let mut waiting = self.partitions[0].waiting();
            waiting.next().map(|(to, passed, orders)| (to, self.record(to, passed + 1, &orders[0])))
        } {
            self.pass(to, &body);
        }
    }

    fn watermarks_are_equal(&self) -> bool {
        self.partitions.iter().all(|giver| {
            giver.passed().all(|(to, passed)| {
                let taker = &self.partitions[usize::from(to.0)];
                let last = taker.taken().find(|(from, _)| *from == giver.id());
                last.map_or(0, |(_, number)| number) == passed
            })
        })
    }

    /// The instances, as JSON, in the order of their ids.
    fn instances(&self) -> Vec<serde_json::Value> {
        let mut all: Vec<serde_json::Value> = (self.partitions.iter())
            .flat_map(Partition::instances)
            .map(|json| serde_json::from_slice(&json).unwrap())
            .collect();
        all.sort_by_key(|json| json["instance"].as_str().unwrap().to_owned());
        all
    }

    fn get(&self, id: MessageId) -> serde_json::Value {
        let partition = &self.partitions[usize::from(id.partition().0)];
        let response = partition.message_view(&self.globals, id).unwrap();
        serde_json::from_slice(&response.body).unwrap()
    }

    /// The instance that a workflow has for a key, in a list.
    fn listed(&self, workflow: &str, key: &str) -> Option<(InstanceId, MessageId)> {
        let query = api::InstancesQuery {
            workflow: Some(workflow.into()),
            key: Some(key.into()),
            ..api::InstancesQuery::default()
        };
        let (rows, more) = super::super::view::list(self.partitions.iter(), &query);
        assert!(rows.len() <= 1 && !more);
        rows.first().map(|listed| (listed.row.id, listed.message))
    }
}

#[test]
fn a_key_has_one_instance_in_the_partition_that_it_hashes_to() {
    let mut world = World::new(3);
    let first = world.accepted("keyed", r#"{"n":1,"key":"k"}"#);
    let own = InstanceId { message: first, ordinal: 2 };
    assert_eq!(world.listed("waits", "k"), None, "it is on its way");
    world.pass_all();
    let (id, cause) = world.listed("waits", "k").unwrap();
    assert_eq!(cause, first);
    let home = super::super::keyed::partition_of_key(3, "default", "waits", "k");
    assert_eq!(id.message.partition(), home);
    // A second message finds it.
    let second = world.accepted("keyed", r#"{"n":2,"key":"k"}"#);
    world.pass_all();
    assert_eq!(world.listed("waits", "k"), Some((id, first)));
    // Another workflow's key is another key, and so is another one's of the same.
    world.accepted("pure", r#"{"n":3,"key":"k"}"#);
    world.accepted("keyed", r#"{"n":4,"key":"l"}"#);
    world.pass_all();
    assert_ne!(world.listed("pure", "k").unwrap().0, id);
    assert_ne!(world.listed("waits", "l").unwrap().0, id);
    assert!(world.watermarks_are_equal());

    let shown = world.get(second);
    assert_eq!(shown["instances"].as_array().unwrap().len(), 1, "its own");
    assert_eq!(shown["keyed"][0]["key"], "k");
    assert_eq!(shown["keyed"][0]["instances"], "/api/v1/workflows?workflow=waits&key=k");
    let partition = &world.partitions[usize::from(home.0)];
    let response = partition.instance_view(id).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((&json["key"], &json["message_id"]), (&"k".into(), &first.to_string().into()));
    // What has a place in the sequence for a key is no message.
    let refused = partition.message_view(&world.globals, id.message).unwrap_err();
    assert_eq!(refused.code.status(), 404);
    assert!(partition.messages().all(|(message, _)| message != id.message));
    // The actions keep their numbers.
    assert_eq!(world.partitions[0].instance_view(own).unwrap().status, 200);
    let gap = InstanceId { message: first, ordinal: 1 };
    assert_eq!(world.partitions[0].instance_view(gap).unwrap_err().code.status(), 404);
}

#[test]
fn a_key_is_free_again_when_its_instance_is_dropped_and_a_later_one_has_a_later_number() {
    let mut world = World::new(1);
    let first = world.accepted("pure", r#"{"n":1,"key":"k"}"#);
    world.pass_all();
    let (before, _) = world.listed("pure", "k").unwrap();
    // It has ended, and is kept.
    world.accepted("pure", r#"{"n":2,"key":"k"}"#);
    world.pass_all();
    assert_eq!(world.listed("pure", "k"), Some((before, first)));
    let padding = format!(r#"{{"n":3,"key":"other","text":"{}"}}"#, "x".repeat(1_000));
    for _ in 0..12 {
        world.accepted("pure", &padding);
        world.pass_all();
    }
    assert_eq!(world.listed("pure", "k"), None);
    let later = world.accepted("pure", r#"{"n":4,"key":"k"}"#);
    world.pass_all();
    let (after, cause) = world.listed("pure", "k").unwrap();
    assert!(after > before && cause == later);
}

#[test]
fn an_order_brings_a_definition_that_the_catalogue_has_no_longer() {
    let mut world = World::new(2);
    world.accepted("pure", r#"{"n":1,"key":"a"}"#);
    let rules = RULES[1..].iter().map(|text| {
        let id = serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].clone();
        Change::DeleteRule(id.as_str().unwrap().to_owned())
    });
    let mut changes: Vec<Change> = rules.collect();
    changes.push(Change::DeleteDefinition("pure".into()));
    world.change(changes);
    // Neither an image nor the change in between makes a difference.
    let born = world.globals.born.clone().unwrap();
    let image = world.partitions[0].image();
    world.partitions[0] = Partition::from_image(&image, &born, 0).unwrap();
    world.pass_all();
    let instances = world.instances();
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0]["status"], "completed");
    assert_eq!(instances[0]["tasks"][0]["output"]["n"], 1);
}

#[test]
fn what_an_instance_is_given_is_calculated_from_the_message_as_its_rule_sees_it() {
    let mut world = World::new(1);
    world.accepted("made", r#"{"n":20,"user":{"name":"u"}}"#);
    let instances = world.instances();
    assert_eq!(instances[0]["tasks"][0]["output"]["n"], 42);
    assert_eq!(instances[0]["params"]["was"], 20);
}

#[test]
fn a_start_that_cannot_be_made_ends_at_once_as_failed() {
    let mut world = World::new(1);
    let id = world.accepted("fails", r#"{"n":1,"zero":0,"secret":"s3cret"}"#);
    assert!(!world.partitions[0].has_orders());
    let shown = world.get(id);
    assert_eq!(shown["status"], "failed");
    for (instance, place) in world.instances().iter().zip(["`key`", "`params.x`"]) {
        assert_eq!(instance["status"], "failed");
        assert_eq!(instance["error"]["code"], "expression");
        let message = instance["error"]["message"].as_str().unwrap();
        assert!(message.contains(place) && !message.contains("s3cret"), "{message}");
        assert_eq!(instance["tasks"][0]["status"], "cancelled");
    }
}

#[test]
fn a_message_whose_orders_find_no_room_is_refused_and_changes_nothing() {
    let mut world = World::new(64);
    let text = "x".repeat(200_000);
    let message = |n: u64| format!(r#"{{"n":{n},"key":"k{n}","text":"{text}"}}"#);
    let mut count = 0;
    let refused = loop {
        let before = world.partitions[0].checksum();
        match world.accept("pure", &message(count)) {
            Outcome::Accepted { keyed: 1, .. } => count += 1,
            refused => break (refused, before),
        }
        assert!(count < 100, "there is a bound");
    };
    assert_eq!((refused.0, count), (Outcome::LiveFull, 5));
    // But for the entry itself.
    let bytes = world.partitions[0].passing.bytes();
    assert!(world.partitions[0].waiting().map(|(_, _, orders)| orders.len()).sum::<usize>() == 5);
    world.pass_all();
    assert!(bytes > 1_000_000 && !world.partitions[0].has_orders());
    assert!(matches!(world.accept("pure", &message(9)), Outcome::Accepted { .. }));
    assert!(world.watermarks_are_equal());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn an_order_acts_once_however_often_and_in_whatever_order_its_records_come(
        given in prop::collection::vec(0_u64..8, 1..20),
        records in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..80),
    ) {
        let mut world = World::new(2);
        let mut records = records.into_iter();
        // Every record that ever was to go, by who takes it and its number.
        let mut all: BTreeMap<(PartitionId, u64), Vec<u8>> = BTreeMap::new();
        for key in given {
            world.accepted("keyed", &format!(r#"{{"n":{key},"key":"k{key}"}}"#));
            for (to, passed, orders) in world.partitions[0].waiting() {
                for (order, number) in orders.iter().zip(passed + 1..) {
                    all.insert((to, number), world.record(to, number, order));
                }
            }
            for (at, restarts) in records.by_ref().take(4) {
                let ((to, _), body) = all.iter().nth(at.index(all.len())).unwrap();
                let (to, body) = (*to, body.clone());
                world.pass(to, &body);
                prop_assert!(world.watermarks_are_equal());
                if restarts {
                    let born = world.globals.born.clone().unwrap();
                    for partition in &mut world.partitions {
                        let again = Partition::from_image(&partition.image(), &born, 0).unwrap();
                        prop_assert_eq!(again.checksum(), partition.checksum());
                        // The image is of the entry that is over.
                        *partition = again;
                    }
                }
            }
        }
        world.pass_all();
        prop_assert!(world.watermarks_are_equal());
        let keys: std::collections::BTreeSet<String> = world.instances().iter()
            .filter_map(|json| Some(json["key"].as_str()?.to_owned()))
            .collect();
        let count = world.instances().iter().filter(|json| json["key"].is_string()).count();
        prop_assert_eq!(keys.len(), count, "a key has one instance");
    }
}
