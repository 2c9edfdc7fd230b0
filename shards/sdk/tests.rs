use crate::{Failure, Level, Plugin, Task, Value, json, testing};
use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Does what its input says.
struct Odd {
    config: Value,
}

impl Drop for Odd {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        assert!(self.config != "panic in drop");
    }
}

impl Plugin for Odd {
    const NAME: &CStr = c"odd";
    const VERSION: &CStr = c"1.0.0";

    fn validate_config(config: &Value) -> Result<(), String> {
        assert!(config != "panic");
        if config == "wrong" { Err("`wrong` is wrong".to_owned()) } else { Ok(()) }
    }

    fn init(config: &Value) -> Result<Self, Failure> {
        if config == "busy" {
            return Err(Failure::new("model_busy", "later").retryable());
        }
        Ok(Self { config: config.clone() })
    }

    fn execute(&self, task: &Task<'_>, input: &Value) -> Result<Value, Failure> {
        task.log(Level::Debug, "a line");
        match input.as_str() {
            Some("panic") => panic!("no {}", "way"),
            Some("fail") => Err("for no reason".into()),
            Some("who") => Ok(json!([
                task.instance(),
                task.workflow(),
                task.id(),
                task.idempotency_key(),
                task.trace(),
                task.attempt(),
                task.timeout().is_none(),
                task.is_cancelled()
            ])),
            _ => Ok(json!({ "config": self.config, "input": input })),
        }
    }
}

#[test]
fn a_task_goes_through_the_table_and_comes_back() {
    let said = testing::run::<Odd>(&json!({"a": "ä"}), &json!([1, "x"]));
    assert_eq!(said, Ok(json!({"config": {"a": "ä"}, "input": [1, "x"]})));
    let said = testing::run::<Odd>(&json!(null), &json!("who"));
    let expected = json!(["test-1", "test", "task", "test-1/task", "", 1, true, false]);
    assert_eq!(said, Ok(expected));
}

#[test]
fn failures_and_panics_are_failures_of_the_task() {
    let failed = testing::run::<Odd>(&json!(null), &json!("fail")).unwrap_err();
    assert_eq!(failed, Failure::from("for no reason"));
    let panicked = testing::run::<Odd>(&json!(null), &json!("panic")).unwrap_err();
    assert_eq!(panicked.to_string(), "panicked: the plugin panicked: no way");
    let busy = testing::run::<Odd>(&json!("busy"), &json!(null)).unwrap_err();
    assert!(busy.is_retryable() && busy.code() == "model_busy" && busy.message() == "later");
}

#[test]
fn a_configuration_is_looked_at_and_a_panic_over_it_is_a_refusal() {
    assert_eq!(testing::validate::<Odd>(&json!({})), Ok(()));
    assert_eq!(testing::validate::<Odd>(&json!("wrong")), Err("`wrong` is wrong".to_owned()));
    let panicked = testing::validate::<Odd>(&json!("panic")).unwrap_err();
    assert!(panicked.contains("panicked"), "{panicked}");
    let refused = testing::run::<Odd>(&json!("wrong"), &json!(1)).unwrap_err();
    assert_eq!(refused, Failure::new("plugin_config", "`wrong` is wrong"));
}

#[test]
fn a_plugin_is_dropped_once_and_may_panic_over_it() {
    let before = DROPPED.load(Ordering::Relaxed);
    let said = testing::run::<Odd>(&json!("panic in drop"), &json!(1));
    assert!(said.is_ok(), "{said:?}");
    assert!(DROPPED.load(Ordering::Relaxed) > before);
}
