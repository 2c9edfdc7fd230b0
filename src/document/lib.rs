//! YAML or JSON as one tree that knows file, line and column.
//!
//! Rules, workflows and the config file are written by people, so whoever reads them must be able
//! to say *where* something is wrong. [`parse`] turns a text into a [`Node`] tree whose every node
//! carries its [`Span`]; [`Fields`] reads a map strictly, and a [`Fault`] shows the place.
//!
//! YAML is version 1.2 with the core schema: `no`, `on`, `yes` and `12:30` are text, `true` and
//! `null` are not. JSON gives the same tree.
//!
//! # Invariants
//! - A tree nests at most [`base::limits::NESTING_MAX`] deep and holds at most [`NODES_MAX`] nodes,
//!   aliases expanded: recursion over it is safe, a small text cannot become a large tree.
//! - No two entries of a map have the same key.
//! - `parse(node.to_json())` gives the same values; no number loses a digit on the way.

#![forbid(unsafe_code)]

mod duration;
mod fault;
mod fields;
mod json;
mod node;
mod number;
mod yaml;

pub use base::did_you_mean;
pub use duration::{DURATION_MAX, DurationError, duration, parse_duration};
pub use fault::{FAULTS_MAX, Fault, Faults, Lines, Source};
pub use fields::Fields;
pub use node::{Entry, Kind, Node, Span};

/// The longest text that is read. Unit: bytes. A catalogue of 100,000 rules is about 30 MB.
pub const TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most nodes a tree may have once aliases are expanded. A rule of three conditions is about
/// 40 nodes, so this is a catalogue of 25,000 rules in one file.
pub const NODES_MAX: usize = 1_000_000;

/// Reads one document of YAML or JSON.
///
/// Which of the two it is shows by itself: a text that begins with `{` or `[` is tried as JSON
/// first, unless its name ends in `.yaml` or `.yml`; a name that ends in `.json` allows nothing
/// else. Where both readers refuse, the one that came further tells the reason.
pub fn parse(source: Source<'_>) -> Result<Node, Fault> {
    if source.text.len() > TEXT_BYTES_MAX {
        let what = format!(
            "the text is too large: {} bytes, the limit is {TEXT_BYTES_MAX}",
            source.text.len()
        );
        return Err(Fault::nowhere(source, what));
    }
    if source.has_extension(&["json"]) {
        return json::parse(source);
    }
    let looks_like_json =
        source.text.trim_start_matches(['\u{feff}', ' ', '\t', '\n', '\r']).starts_with(['{', '[']);
    if !looks_like_json {
        return yaml::parse(source);
    }
    // JSON first also in a YAML file: YAML does not know JSON's surrogate pairs.
    let json_fault = match json::parse(source) {
        Ok(node) => return Ok(node),
        Err(fault) => fault,
    };
    let yaml_fault = match yaml::parse(source) {
        Ok(node) => return Ok(node),
        Err(fault) => fault,
    };
    let prefer_yaml = source.has_extension(&["yaml", "yml"]) || yaml_fault.span > json_fault.span;
    Err(if prefer_yaml { yaml_fault } else { json_fault })
}

#[cfg(test)]
mod tests;
