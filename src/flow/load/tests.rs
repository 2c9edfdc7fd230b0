use super::*;

fn faults(text: &str) -> String {
    parse(Source { name: "w.yaml", text }).unwrap_err().to_string()
}

/// A workflow of the given tasks.
fn tasks(tasks: &str) -> String {
    format!("workflow:\n  id: w\n  tasks:\n{tasks}")
}

#[test]
fn print() {
    for text in FAULTS {
        println!("{}\n----", faults(text));
    }
}
const FAULTS: [&str; 0] = [];
