use super::*;
use std::collections::BTreeSet;

/// What `promtool check metrics` asks of names and helps.
#[test]
fn every_family_passes_the_checks_of_promtool() {
    let counters = COUNTERS.iter().map(|f| (f.name, f.help, "counter"));
    let gauges = GAUGES.iter().map(|f| (f.name, f.help, "gauge"));
    let histograms = HISTOGRAMS.iter().map(|f| (f.name, f.help, "histogram"));
    let mut names = BTreeSet::new();
    let summaries = SUMMARIES.iter().map(|f| (f.name, f.help, "summary"));
    for (name, help, kind) in counters.chain(gauges).chain(histograms).chain(summaries) {
        assert!(names.insert(name), "{name} is named once");
        assert!(help.ends_with('.') && help.len() > 10, "{name} says what it is");
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(plain, "{name} is lower case");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}: only counters are totals");
        for suffix in ["_bucket", "_sum", "_count"] {
            assert!(!name.ends_with(suffix), "{name}: {suffix} is a histogram's own");
        }
        for word in ["_ms", "_milliseconds", "_ns", "_kb", "_gauge", "_counter", "_histogram"] {
            assert!(!name.contains(word), "{name}: base units, and no kind in the name");
        }
    }
    for family in COUNTERS {
        let seconds = family.name.contains("_seconds");
        assert_eq!(family.unit == Unit::Nanoseconds, seconds, "{} names its unit", family.name);
    }
    for family in HISTOGRAMS {
        let seconds = family.name.ends_with("_seconds");
        assert_eq!(family.unit == Unit::Nanoseconds, seconds, "{} names its unit", family.name);
        assert!(family.bounds.is_sorted_by(|a, b| a < b), "{}: bounds ascend", family.name);
    }
    for family in SUMMARIES {
        let seconds = family.name.ends_with("_seconds");
        assert_eq!(family.unit == Unit::Nanoseconds, seconds, "{} names its unit", family.name);
    }
}

#[test]
fn every_family_stands_in_the_operators_guide_and_no_other_does() {
    let guide = include_str!("../../../docs/OPERATING.md");
    let names: BTreeSet<&str> = (COUNTERS.iter().map(|f| f.name))
        .chain(GAUGES.iter().map(|f| f.name))
        .chain(HISTOGRAMS.iter().map(|f| f.name))
        .chain(SUMMARIES.iter().map(|f| f.name))
        .collect();
    // The table's first column names metrics, as code, perhaps with their labels.
    let section = guide.split("\n## ").find(|section| section.starts_with("Metrics\n")).unwrap();
    let told: BTreeSet<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter_map(|code| code.split('{').next())
        .collect();
    let missing: Vec<_> = names.difference(&told).collect();
    let unknown: Vec<_> = told.difference(&names).collect();
    assert!(missing.is_empty(), "docs/OPERATING.md lacks {missing:?}");
    assert!(unknown.is_empty(), "docs/OPERATING.md names {unknown:?}, which nobody counts");
}
