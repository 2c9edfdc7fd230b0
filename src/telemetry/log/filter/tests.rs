use super::*;

#[test]
fn a_component_goes_by_its_own_level_and_the_rest_by_the_common_one() {
    let filter = Filter::parse("warn, ingress=debug ,ingress::http=ERROR,hyper=off").unwrap();
    let rows = [
        (Level::Info, "engine", false),
        (Level::Warn, "engine", true),
        (Level::Debug, "ingress", true),
        (Level::Debug, "ingress::limits", true),
        (Level::Warn, "ingress::http", false),
        (Level::Error, "ingress::http::body", true),
        (Level::Info, "ingress_two", false),
        (Level::Error, "hyper::proto", false),
    ];
    for (level, target, expected) in rows {
        assert_eq!(filter.enabled(level, target), expected, "{level:?} {target}");
    }
    assert_eq!(filter.lowest(), Some(Level::Debug));
}

#[test]
fn nothing_means_info_and_off_means_nothing() {
    assert_eq!(Filter::parse(" , "), Ok(Filter::default()));
    assert!(Filter::default().enabled(Level::Info, "x"));
    assert!(!Filter::default().enabled(Level::Debug, "x"));
    assert_eq!(Filter::parse("off").unwrap().lowest(), None);
}

#[test]
fn the_last_word_on_a_component_counts() {
    let filter = Filter::parse("info,a=off,a=debug,error").unwrap();
    assert!(filter.enabled(Level::Debug, "a"));
    assert!(!filter.enabled(Level::Warn, "b"));
}

#[test]
fn what_is_no_filter_is_refused_with_the_part_at_fault() {
    for (text, directive) in [("loud", "loud"), ("info,a=verbose", "a=verbose"), ("=info", "=info")]
    {
        let error = Filter::parse(text).unwrap_err();
        assert_eq!(error.directive, directive);
        assert!(error.to_string().contains("info,ingress=debug"), "{error}");
    }
    let many: Vec<_> = (0..=DIRECTIVES_MAX).map(|number| format!("c{number}=info")).collect();
    assert!(Filter::parse(&many.join(",")).is_err());
}

#[test]
fn a_filter_is_written_as_it_is_read() {
    let rows = [
        ("", "info"),
        ("OFF", "off"),
        (" hyper=off , debug ", "debug,hyper=off"),
        ("warn,b=info,ingress::http=debug,a=error", "warn,ingress::http=debug,a=error,b=info"),
    ];
    for (text, expected) in rows {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.to_string(), expected, "{text}");
        assert_eq!(Filter::parse(expected), Ok(filter), "{text}");
    }
}
