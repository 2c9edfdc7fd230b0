//! The examples of config/plugins, as they are built, in processes of the real binary.

use crate::fixture::{Folder, PATIENCE, options};
use bytes::Bytes;
use host::{Host, Job, TaskError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The libraries that cargo built for this test, as a node wants them named.
fn built(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let deps = Path::new(env!("CARGO_BIN_EXE_distric-shard")).with_file_name("deps");
    for name in names {
        let library = format!("{name}.so");
        std::fs::copy(deps.join(format!("lib{library}")), folder.path().join(library)).unwrap();
        let manifest = format!("{name}.yaml");
        std::fs::copy(source(name).join(&manifest), folder.path().join(manifest)).unwrap();
    }
    folder
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/plugins").join(name)
}

fn run(host: &Host, plugin: &str, config: &Value, input: &Value) -> Result<Value, TaskError> {
    let legal = host.validate(plugin, Bytes::from(config.to_string())).wait();
    legal?;
    let job = Job {
        key: 1,
        plugin: plugin.to_owned(),
        config: Bytes::from(config.to_string()),
        input: Bytes::from(input.to_string()),
        timeout: Some(PATIENCE),
        attempt: 1,
        ..Job::default()
    };
    host.run(job).unwrap();
    let [finished] = &host.wait_finished()[..] else { panic!("one runs") };
    finished.outcome.clone().map(|output| serde_json::from_slice(&output).unwrap())
}

fn input(name: &str) -> Value {
    let text = std::fs::read_to_string(source(name).join("input.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_payment_validators_in_c_and_in_rust_say_the_same() {
    let rust = built(&["payment_validator"]);
    let rust = Host::open(options(rust.path())).unwrap();
    let Some(folder) = Folder::new() else { return };
    let name = "payment_validator";
    folder.compile_source(name, &source(name).join("payment_validator.c"), &[]);
    let c = Host::open(options(folder.path())).unwrap();
    let config = json!({"amount_max": 5000, "currencies": ["EUR", "USD"]});
    let card = "4111111111111111";
    let inputs = [
        input(name),
        json!({"amount": 0, "currency": "EUR", "card": card}),
        json!({"amount": 5000.01, "currency": "USD", "card": card, "note": {"a": [1, "}"]}}),
        json!({"amount": 1e3, "currency": "GBP", "card": "4111111111111112"}),
        json!({"amount": 1}),
        json!({"currency": "EUR"}),
        json!([]),
    ];
    for input in inputs {
        let said = run(&c, name, &config, &input);
        assert_eq!(said, run(&rust, name, &config, &input), "{input}");
    }
    let good = run(&c, name, &config, &input(name)).unwrap();
    assert_eq!(good, json!({"valid": true, "reasons": []}));
    for config in
        [json!(null), json!({}), json!({"amount_max": -1}), json!({"amount": 1}), json!(7)]
    {
        let ask = |host: &Host| host.validate(name, Bytes::from(config.to_string())).wait();
        assert_eq!(ask(&c), ask(&rust), "{config}");
    }
}

/// Every example, and the workflow that it comes with.
const NAMES: [&str; 4] = ["ml_inference", "payment_validator", "user_history_checker", "webhook"];

#[test]
fn the_examples_workflows_load_and_their_configurations_are_legal() {
    let folder = built(&NAMES);
    let host = Host::open(options(folder.path())).unwrap();
    for name in NAMES {
        let path = source(name).join("workflow.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let name_of_file = path.display().to_string();
        let file = document::Source { name: &name_of_file, text: &text };
        let definitions = flow::parse(file, flow::Plugins::Known(&[name]))
            .unwrap_or_else(|faults| panic!("{faults}"));
        let tasks = definitions.iter().flat_map(|definition| &definition.tasks);
        let plugins: Vec<_> = tasks.filter_map(flow::Task::plugin).collect();
        assert!(!plugins.is_empty(), "{name} is not used in its own example");
        for (plugin, config) in plugins {
            let config = Bytes::from(config.to_owned());
            assert_eq!(host.validate(plugin, config).wait(), Ok(()), "{name_of_file}");
        }
    }
}

#[test]
fn the_examples_in_rust_run_in_a_process_with_their_manifests() {
    let names = ["ml_inference", "user_history_checker", "webhook"];
    let folder = built(&names);
    let host = Host::open(options(folder.path())).unwrap();
    assert_eq!(host.refused(), []);
    let model = json!({"features": ["amount"], "weights": [0.002], "bias": -1.5});
    let said = run(&host, "ml_inference", &model, &input("ml_inference")).unwrap();
    assert_eq!(said["positive"], true);
    let said = run(&host, "user_history_checker", &json!(null), &input("user_history_checker"));
    assert_eq!(said.unwrap()["verdict"], "known");
    // It may speak to the network; nobody listens there.
    let nobody = json!({"url": "http://127.0.0.1:9/"});
    let failed = run(&host, "webhook", &nobody, &input("webhook")).unwrap_err();
    assert_eq!(failed.code, "no_answer");
    assert!(failed.message.contains("refused"), "{failed}");
    let refused =
        host.validate("webhook", Bytes::from(r#"{"url": "ftp://a"}"#)).wait().unwrap_err();
    assert_eq!(refused.to_string(), "plugin_config: `url` must begin with http://");
}
