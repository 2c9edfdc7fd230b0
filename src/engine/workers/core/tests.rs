//! A worker and its leader, word by word; and leases under pauses, drift and broken links.

mod leases;

use super::*;
use base::{InstanceId, MessageId};
use flow::TaskIndex;

const LEASE_MS: u32 = 10_000;
const BOOT: BootId = BootId(7 << 20);

fn at(ms: u64) -> Instant {
    Instant(ms * 1_000_000)
}

fn door(port: u16) -> Address {
    Address::parse(&format!("127.0.0.1:{port}")).unwrap()
}

fn order(number: u64) -> OrderId {
    let instance = InstanceId { message: MessageId(number), ordinal: 1 };
    OrderId { instance, task: TaskIndex(0), attempt: 1 }
}

fn run(number: u64) -> ToWorker {
    run_of(number, BOOT, "echo")
}

fn run_of(number: u64, boot: BootId, plugin: &str) -> ToWorker {
    ToWorker::Run(Box::new(Run {
        boot,
        order: order(number),
        plugin: plugin.to_owned(),
        config: Bytes::from_static(b"{}"),
        input: Bytes::from_static(b"{}"),
        timeout_ms: 0,
        idempotency_key: String::new(),
        workflow: String::new(),
        task: String::new(),
        trace: None,
    }))
}

fn output() -> Ended {
    Ended::Output(b"1".to_vec())
}

fn failed() -> Ended {
    Ended::Failed(Failed { code: "plugin_crashed".into(), message: String::new(), retryable: true })
}

/// A worker, and what it says.
struct Desk {
    core: WorkerCore,
    out: Outbox<WorkerEffect>,
}

impl Desk {
    fn new(capacity: u32) -> Self {
        let plugin = |name: &str| PluginInfo { name: name.into(), version: "1".into(), abi: 1 };
        let core = WorkerCore::new(WorkerConfig {
            worker: WorkerId(1 << 63),
            boot: BOOT,
            name: "w".into(),
            address: String::new(),
            zone: String::new(),
            capacity,
            plugins: vec![plugin("echo"), plugin("sleep")],
            seed: 1,
        });
        Self { core, out: Outbox::new() }
    }

    /// One that is registered at 0, with the leader at port 1.
    fn registered(capacity: u32) -> Self {
        let mut desk = Self::new(capacity);
        desk.link(0);
        desk.says();
        desk
    }

    /// Links it with the leader at port 1, and registers it.
    fn link(&mut self, ms: u64) {
        self.core.on_leader(at(ms), Some(&door(1)), &mut self.out);
        if !self.core.link.is_up() {
            let due = self.core.link.deadline().unwrap_or(at(ms)).max(at(ms));
            self.core.on_deadline(due, &mut self.out);
            self.core.on_link_up(at(ms), &mut self.out);
        }
        let registered = ToWorker::Registered { lease_ms: LEASE_MS, boot: self.core.boot };
        self.core.on_message(at(ms), registered, &mut self.out);
    }

    fn hears(&mut self, ms: u64, message: ToWorker) -> Vec<String> {
        self.core.on_message(at(ms), message, &mut self.out);
        self.says()
    }

    fn due(&mut self, ms: u64) -> Vec<String> {
        self.core.on_deadline(at(ms), &mut self.out);
        self.says()
    }

    fn ends(&mut self, ms: u64, number: u64) -> Vec<String> {
        self.core.on_task_ended(at(ms), order(number), output(), &mut self.out);
        self.says()
    }

    fn is_stopped(&mut self, ms: u64, number: u64) -> Vec<String> {
        self.core.on_task_stopped(at(ms), order(number), &mut self.out);
        self.says()
    }

    /// Its effects since the last time, in short; what it tells the log is left out.
    fn says(&mut self) -> Vec<String> {
        let number = |order: &OrderId| order.instance.message.0;
        let effects = self.out.take();
        let said = effects.iter().filter_map(|effect| {
            Some(match effect {
                WorkerEffect::Connect { address } => format!("connect {}", address.port()),
                WorkerEffect::Disconnect => "disconnect".to_owned(),
                WorkerEffect::Run(run) => format!("run {}", number(&run.order)),
                WorkerEffect::Stop { order } => format!("stop {}", number(order)),
                WorkerEffect::KillAll => "kill all".to_owned(),
                WorkerEffect::Keep { until } => format!("keep {}", until.0 / 1_000_000),
                WorkerEffect::Validate { ticket, plugin, .. } => {
                    format!("validate {ticket} {plugin}")
                }
                WorkerEffect::Exit { left } => format!("exit {left}"),
                WorkerEffect::Note(_) | WorkerEffect::Notice(_) => return None,
                WorkerEffect::Send(message) => match message {
                    FromWorker::Register { boot, .. } => format!("register {}", boot.0 - BOOT.0),
                    FromWorker::Renew { number, .. } => format!("renew {number}"),
                    FromWorker::Accepted { order } => format!("accepted {}", number(order)),
                    FromWorker::Refused { order, why } => {
                        format!("refused {} {why:?}", number(order))
                    }
                    FromWorker::Ended { order, ended: Ended::Output(_) } => {
                        format!("ended {}", number(order))
                    }
                    FromWorker::Ended { order, ended: Ended::Failed(failed) } => {
                        format!("failed {} {}", number(order), failed.code)
                    }
                    FromWorker::Stopped { order } => format!("stopped {}", number(order)),
                    FromWorker::Drain { on } => format!("drain {on}"),
                    FromWorker::Leave { boot } => format!("leave {}", boot.0 - BOOT.0),
                    FromWorker::Validated { ticket, verdict } => {
                        format!("validated {ticket} {verdict:?}")
                    }
                },
            })
        });
        said.collect()
    }
}

#[test]
fn a_lease_counts_from_when_that_was_sent_which_was_answered() {
    let mut desk = Desk::new(4);
    desk.core.on_leader(at(0), Some(&door(1)), &mut desk.out);
    assert_eq!(desk.says(), ["connect 1"]);
    desk.core.on_link_up(at(100), &mut desk.out);
    assert_eq!(desk.says(), ["register 0"]);
    let registered = ToWorker::Registered { lease_ms: LEASE_MS, boot: BOOT };
    assert_eq!(desk.hears(900, registered), ["keep 8100"]);
    assert_eq!(desk.core.deadline(), Some(at(2_600)));
    assert_eq!(desk.due(2_600), ["renew 1"]);
    assert_eq!(desk.due(5_100), ["renew 2"]);
    // The answer to the first came late: it counts from when the first was sent.
    assert_eq!(desk.hears(5_200, ToWorker::Renewed { number: 1 }), ["keep 10600"]);
    assert_eq!(desk.hears(5_300, ToWorker::Renewed { number: 1 }), [""; 0], "known");
    assert_eq!(desk.hears(5_300, ToWorker::Renewed { number: 9 }), [""; 0], "never asked");
    assert_eq!(desk.hears(5_400, ToWorker::Renewed { number: 2 }), ["keep 13100"]);
}

#[test]
fn an_end_is_said_on_every_link_until_it_is_recorded_and_then_the_order_is_refused() {
    let mut desk = Desk::registered(4);
    assert_eq!(desk.hears(1, run(1)), ["run 1", "accepted 1"]);
    assert_eq!(desk.hears(2, run(1)), ["accepted 1"], "it runs already");
    assert_eq!(desk.ends(3, 1), ["ended 1"]);
    assert_eq!(desk.hears(4, run(1)), ["ended 1"], "it has run");
    desk.core.on_link_down(at(5), "reset", &mut desk.out);
    desk.says();
    desk.link(100);
    let said = desk.says();
    assert!(said.ends_with(&["register 0".into(), "keep 8100".into(), "ended 1".into()]));
    assert_eq!(desk.hears(101, ToWorker::Recorded { order: order(1) }), [""; 0]);
    assert_eq!(desk.core.kept(), 0);
    assert_eq!(desk.hears(102, run(1)), ["refused 1 Over"]);
}

#[test]
fn an_end_without_a_link_waits_for_the_registration() {
    let mut desk = Desk::registered(4);
    desk.hears(1, run(1));
    desk.core.on_link_down(at(2), "reset", &mut desk.out);
    desk.says();
    assert_eq!(desk.ends(3, 1), [""; 0]);
    desk.link(100);
    assert!(desk.says().contains(&"ended 1".to_owned()));
}

#[test]
fn orders_that_a_worker_must_not_run_are_refused_with_the_reason() {
    let mut desk = Desk::registered(1);
    assert_eq!(desk.hears(1, run_of(1, BOOT, "nothing")), ["refused 1 Plugin"]);
    assert_eq!(desk.hears(1, run_of(2, BootId(BOOT.0 - 1), "echo")), ["refused 2 Boot"]);
    assert_eq!(desk.hears(1, run(2)), ["run 2", "accepted 2"]);
    assert_eq!(desk.hears(1, run(3)), ["refused 3 Full"]);
    desk.core.on_stop(at(4), at(10_000), &mut desk.out);
    assert_eq!(desk.says(), ["drain true"]);
    assert_eq!(desk.hears(5, run(4)), ["refused 4 Draining"]);

    let mut late = Desk::registered(1);
    assert_eq!(late.hears(8_000, run(1)), ["refused 1 Lease"]);
}

#[test]
fn what_was_refused_is_not_run_when_it_comes_again() {
    let mut desk = Desk::registered(1);
    desk.hears(1, run(1));
    assert_eq!(desk.hears(1, run(2)), ["refused 2 Full"]);
    desk.hears(1, run_of(3, BOOT, "nothing"));
    desk.ends(2, 1);
    // The leader, or its successor, has not applied that it was refused, and sends it again.
    desk.core.on_link_down(at(3), "reset", &mut desk.out);
    desk.link(100);
    desk.says();
    assert_eq!(desk.hears(101, run(2)), ["refused 2 Over"]);
    assert_eq!(desk.hears(101, run_of(3, BOOT, "echo")), ["refused 3 Over"]);
    assert_eq!(desk.hears(102, run(4)), ["run 4", "accepted 4"], "there is room");
    desk.core.on_stop(at(105), at(10_000), &mut desk.out);
    desk.says();
    assert_eq!(desk.hears(106, run(5)), ["refused 5 Draining"]);
    assert_eq!(desk.hears(107, run(5)), ["refused 5 Over"]);
}

#[test]
fn too_many_ends_that_are_not_recorded_close_the_door_and_records_open_it() {
    let mut desk = Desk::registered(1);
    let kept_max = KEPT_MAX as u64;
    for number in 0..kept_max {
        assert_eq!(desk.hears(1, run(number)).len(), 2);
        desk.ends(1, number);
    }
    assert_eq!(desk.hears(2, run(kept_max)), [format!("refused {kept_max} Full")]);
    desk.hears(3, ToWorker::Recorded { order: order(0) });
    let next = kept_max + 1;
    assert_eq!(desk.hears(4, run(next)).len(), 2);
    desk.core.on_task_ended(at(5), order(next), too_large(), &mut desk.out);
    assert_eq!(desk.says(), [format!("failed {next} output_too_large")]);
}

fn too_large() -> Ended {
    Ended::Output(vec![b' '; OUTPUT_BYTES_MAX + 1])
}

#[test]
fn an_order_that_is_not_wanted_is_stopped_and_said_to_be_once() {
    let mut desk = Desk::registered(4);
    let stop = || ToWorker::Stop { order: order(1) };
    desk.hears(1, run(1));
    assert_eq!(desk.hears(2, stop()), ["stop 1"]);
    assert_eq!(desk.hears(3, stop()), [""; 0], "it is being stopped");
    assert_eq!(desk.hears(3, run(1)), [""; 0], "its end is told when it has come");
    assert_eq!(desk.is_stopped(4, 1), ["stopped 1"]);
    assert_eq!(desk.core.kept(), 0);
    assert_eq!(desk.hears(5, stop()), ["stopped 1"], "again, when it is asked again");
    assert_eq!(desk.hears(6, run(1)), ["refused 1 Over"]);
    // One that ended before it could be stopped.
    desk.hears(7, run(2));
    desk.hears(8, ToWorker::Stop { order: order(2) });
    assert_eq!(desk.ends(9, 2), ["ended 2"]);
    assert_eq!(desk.is_stopped(9, 2), [""; 0]);
    // One whose process died of it.
    desk.hears(9, run(5));
    desk.hears(9, ToWorker::Stop { order: order(5) });
    desk.core.on_task_ended(at(9), order(5), failed(), &mut desk.out);
    assert_eq!(desk.says(), ["stopped 5"]);
    // One that never came.
    assert_eq!(desk.hears(10, ToWorker::Stop { order: order(3) }), ["stopped 3"]);
    assert_eq!(desk.hears(11, run(3)), ["refused 3 Over"]);
    // One that nobody wants to hear of.
    desk.hears(12, run(4));
    assert_eq!(desk.hears(13, ToWorker::Recorded { order: order(4) }), ["stop 4"]);
}

#[test]
fn when_the_lease_runs_out_everything_is_killed_and_what_has_ended_is_kept() {
    let mut desk = Desk::registered(4);
    desk.hears(1, run(1));
    desk.hears(1, run(2));
    desk.core.on_link_down(at(2), "reset", &mut desk.out);
    desk.ends(3, 2);
    desk.says();
    assert!(desk.core.deadline().is_some_and(|due| due < at(8_000)), "it tries to connect");
    // Whatever comes first after a long pause: the lease ran out before it.
    assert_eq!(desk.ends(60_000, 9), ["kill all"]);
    assert_eq!(desk.is_stopped(60_001, 1), [""; 0]);
    assert_eq!((desk.core.running(), desk.core.kept()), (0, 2));
    desk.link(60_100);
    let said = desk.says();
    assert!(said.ends_with(&["stopped 1".into(), "ended 2".into()]), "{said:?}");
    desk.hears(60_101, ToWorker::Recorded { order: order(1) });
    desk.hears(60_101, ToWorker::Recorded { order: order(2) });
    assert_eq!(desk.core.kept(), 0);
}

#[test]
fn what_is_slow_to_stop_is_killed_when_the_lease_runs_out() {
    let mut desk = Desk::registered(4);
    desk.hears(1, run(1));
    desk.hears(2, ToWorker::Stop { order: order(1) });
    assert_eq!(desk.due(7_999), ["renew 1"]);
    assert_eq!(desk.core.deadline(), Some(at(8_000)));
    assert_eq!(desk.due(8_000), ["kill all"]);
    assert_eq!(desk.due(9_000), [""; 0], "once");
    assert_eq!(desk.is_stopped(9_001, 1), ["stopped 1"]);
    assert_eq!(desk.core.kept(), 0, "as the leader wished");
}

#[test]
fn a_run_that_was_lost_has_stopped_before_its_successor_registers() {
    let mut desk = Desk::registered(4);
    desk.hears(1, run(1));
    desk.hears(1, run(2));
    desk.ends(2, 2);
    assert_eq!(desk.hears(3, ToWorker::Lost { boot: BootId(1) }), [""; 0], "long ago");
    assert_eq!(desk.hears(3, ToWorker::Lost { boot: BOOT }), ["kill all"]);
    assert_eq!(desk.hears(4, run(3)), ["refused 3 Boot"]);
    assert_eq!(desk.is_stopped(5, 1), ["register 1"]);
    assert_eq!((desk.core.kept(), desk.core.boot().0), (0, BOOT.0 + 1));
    let boot = BootId(BOOT.0 + 1);
    assert_eq!(desk.hears(6, ToWorker::Registered { lease_ms: LEASE_MS, boot }), ["keep 8005"]);
    assert_eq!(desk.hears(7, run_of(3, boot, "echo")), ["run 3", "accepted 3"]);
}

#[test]
fn a_worker_that_is_told_to_stop_ends_what_runs_says_it_and_leaves() {
    let mut desk = Desk::registered(4);
    desk.hears(1, run(1));
    desk.core.on_stop(at(2), at(10_000), &mut desk.out);
    assert_eq!(desk.says(), ["drain true"]);
    assert_eq!(desk.ends(3, 1), ["ended 1"]);
    assert_eq!(desk.hears(4, ToWorker::Recorded { order: order(1) }), ["leave 0"]);
    assert_eq!(desk.hears(5, ToWorker::Left), ["disconnect", "exit true"]);
    assert_eq!(desk.core.deadline(), None);
}

#[test]
fn a_worker_that_must_stop_kills_what_runs_and_goes_without_an_answer_at_last() {
    let mut desk = Desk::registered(4);
    desk.hears(1, run(1));
    desk.core.on_stop(at(2), at(1_000), &mut desk.out);
    desk.says();
    assert_eq!(desk.due(1_000), ["kill all"]);
    assert_eq!(desk.is_stopped(1_001, 1), ["stopped 1"]);
    assert_eq!(desk.due(3_000), ["renew 1", "disconnect", "exit false"]);

    // The leader had heard of nobody.
    let mut unknown = Desk::new(4);
    unknown.core.on_stop(at(1), at(1_000), &mut unknown.out);
    assert_eq!(unknown.says(), ["exit true"]);

    // The link breaks after it said that it leaves: it says so again.
    let mut again = Desk::registered(4);
    again.core.on_stop(at(1), at(1_000), &mut again.out);
    assert_eq!(again.says(), ["drain true", "leave 0"]);
    again.core.on_link_down(at(2), "reset", &mut again.out);
    again.link(100);
    let said = again.says();
    assert!(said.ends_with(&["drain true".into(), "leave 0".into()]), "{said:?}");
}

#[test]
fn a_goodbye_whose_answer_was_lost_is_answered_on_the_next_link() {
    let mut desk = Desk::registered(4);
    desk.core.on_stop(at(1), at(1_000), &mut desk.out);
    assert_eq!(desk.says(), ["drain true", "leave 0"]);
    desk.core.on_link_down(at(2), "reset", &mut desk.out);
    let due = desk.core.link.deadline().expect("a pause");
    desk.core.on_deadline(due, &mut desk.out);
    desk.core.on_link_up(due, &mut desk.out);
    assert_eq!(desk.says(), ["connect 1", "register 0"]);
    assert_eq!(desk.hears(100, ToWorker::Left), ["disconnect", "exit true"]);

    // Another process, of a copied directory, has left as this very run.
    let mut twin = Desk::registered(4);
    twin.hears(1, run(1));
    assert_eq!(twin.hears(2, ToWorker::Left), ["kill all"]);
    assert_eq!(twin.is_stopped(3, 1), ["register 1"]);
}

#[test]
fn that_a_coordinator_does_not_lead_is_said_only_of_one_that_is_asked_for_long() {
    let mut desk = Desk::new(4);
    desk.core.on_leader(at(0), Some(&door(1)), &mut desk.out);
    let mut refuse = |ms| {
        desk.core.on_link_up(at(ms), &mut desk.out);
        let message = ToWorker::NotTaken { why: "this node does not lead".into(), leader: None };
        desk.core.on_message(at(ms), message, &mut desk.out);
        let effects = desk.out.take();
        desk.core.on_deadline(at(ms + 1_000), &mut desk.out);
        effects.iter().any(|effect| matches!(effect, WorkerEffect::Notice(_)))
    };
    assert_eq!([0, 1_000, 2_000, 3_000].map(&mut refuse), [false, true, false, false]);
}

#[test]
fn a_worker_that_is_not_taken_asks_again_after_ever_longer_pauses_and_says_so_once() {
    let mut desk = Desk::new(4);
    desk.core.on_leader(at(0), Some(&door(1)), &mut desk.out);
    let (mut notices, mut ms) = (0, 0);
    for _ in 0..12 {
        desk.core.on_link_up(at(ms), &mut desk.out);
        let why = "a later run of this worker is known".to_owned();
        let message = ToWorker::NotTaken { why, leader: None };
        desk.core.on_message(at(ms), message, &mut desk.out);
        let due = desk.core.deadline().expect("a pause");
        ms = due.0.div_ceil(1_000_000);
        desk.core.on_deadline(at(ms), &mut desk.out);
        let effects = desk.out.take();
        notices += effects.iter().filter(|e| matches!(e, WorkerEffect::Notice(_))).count();
        assert!(effects.iter().any(|e| matches!(e, WorkerEffect::Connect { .. })));
    }
    assert_eq!(notices, 1);
    assert!(ms > 3_000, "{ms} ms for twelve tries");
    assert_eq!(desk.core.boot(), BOOT, "it is no other run by that");
}

#[test]
fn a_worker_follows_the_leader() {
    let mut desk = Desk::registered(4);
    desk.core.on_leader(at(1), None, &mut desk.out);
    assert_eq!(desk.says(), [""; 0], "who is linked knows better");
    desk.core.on_leader(at(2), Some(&door(2)), &mut desk.out);
    assert_eq!(desk.says(), ["disconnect", "connect 2"]);
    desk.core.on_link_up(at(3), &mut desk.out);
    assert_eq!(desk.says(), ["register 0"]);
    let elsewhere = ToWorker::NotTaken { why: "no".into(), leader: Some(door(3)) };
    assert_eq!(desk.hears(4, elsewhere), ["disconnect"]);
    assert_eq!(desk.hears(4, run(1)), [""; 0], "of a connection that was ended");
    let due = desk.core.deadline().expect("a pause");
    assert!(at(4) < due && due <= at(24));
    desk.core.on_deadline(due, &mut desk.out);
    assert_eq!(desk.says(), ["connect 3"]);
    // A hint is for one attempt.
    desk.core.on_link_down(at(30), "refused", &mut desk.out);
    let due = desk.core.deadline().expect("a pause");
    desk.core.on_deadline(due, &mut desk.out);
    assert_eq!(desk.says(), ["connect 2"]);
    // Nobody answers the registration.
    desk.core.on_link_up(at(1_000), &mut desk.out);
    desk.says();
    assert_eq!(desk.core.deadline(), Some(at(6_000)));
    assert_eq!(desk.due(6_000), ["disconnect"]);
}

#[test]
fn a_leader_that_answers_no_renewal_for_a_lease_is_left() {
    let mut desk = Desk::registered(4);
    for ms in [2_500, 5_000, 7_500] {
        assert_eq!(desk.due(ms).len(), 1);
    }
    let said = desk.due(10_000);
    assert_eq!(said, ["disconnect"]);
    assert!(!desk.core.is_registered());
}

#[test]
fn a_question_for_a_plugin_is_passed_on_and_its_answer_back() {
    let mut desk = Desk::registered(4);
    let question =
        ToWorker::Validate { ticket: 5, plugin: "echo".into(), config: Bytes::from_static(b"1") };
    assert_eq!(desk.hears(1, question), ["validate 5 echo"]);
    desk.core.on_validated(5, Verdict::Invalid("no".into()), &mut desk.out);
    assert_eq!(desk.says(), ["validated 5 Invalid(\"no\")"]);
}

#[test]
fn the_names_of_done_orders_are_remembered_up_to_a_bound() {
    let mut desk = Desk::registered(4);
    let many = REMEMBERED as u64 + 1;
    for number in 0..many {
        desk.hears(1, ToWorker::Stop { order: order(number) });
    }
    assert_eq!(desk.hears(2, run(many - 1)), [format!("refused {} Over", many - 1)]);
    assert_eq!(desk.hears(2, run(0)).len(), 2, "the oldest is forgotten");
}
