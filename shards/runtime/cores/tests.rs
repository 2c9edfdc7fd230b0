use super::*;

#[test]
fn a_spec_names_numbers_and_ranges() {
    for (text, cpus) in [
        ("0", vec![0]),
        ("0-3", vec![0, 1, 2, 3]),
        ("0,2,4", vec![0, 2, 4]),
        ("0-3,6", vec![0, 1, 2, 3, 6]),
        (" 1 , 0 ", vec![1, 0]),
        ("1023", vec![1023]),
    ] {
        assert_eq!(text.parse::<CoreSpec>().unwrap().0, cpus, "{text}");
    }
}

#[test]
fn nonsense_is_refused_with_the_part_that_is_wrong() {
    for (text, problem) in [
        ("", "a number is missing"),
        ("0,,1", "a number is missing"),
        ("a", "`a` is not a CPU number"),
        ("0-", "`` is not a CPU number"),
        ("-1", "`` is not a CPU number"),
        ("0-1-2", "`1-2` is not a CPU number"),
        ("+1", "`+1` is not a CPU number"),
        ("7-0", "the range 7-0 runs backwards"),
        ("0-3,2", "CPU 2 is named twice"),
        ("1024", "1024 is above the largest CPU number, 1023"),
        (
            "99999999999999999999999",
            "99999999999999999999999 is above the largest CPU number, 1023",
        ),
        ("0-64", "it names more than 64 cores"),
    ] {
        let error = text.parse::<CoreSpec>().unwrap_err();
        assert_eq!(error.problem, problem, "{text}");
        assert!(error.to_string().contains("as in 0-7 or 0,2,4 or 0-3,6"), "{error}");
    }
}

#[test]
fn a_spec_is_shown_with_its_runs_joined() {
    for text in ["0", "0-3", "0-3,6", "0,2,4", "5,3-4"] {
        assert_eq!(text.parse::<CoreSpec>().unwrap().to_string(), text);
    }
}

#[test]
fn cores_are_folded_onto_the_cpus_that_are_there() {
    for (text, allowed, cpus) in [
        ("0-1", vec![0, 1], vec![0, 1]),
        ("0-3", vec![0, 1], vec![0, 1, 0, 1]),
        ("0-7", vec![2], vec![2; 8]),
        ("4,0", vec![0, 1], vec![1, 0]),
        ("2-4", vec![3, 9], vec![9, 3, 3]),
    ] {
        let placement = text.parse::<CoreSpec>().unwrap().place_among(&allowed);
        assert_eq!(placement.cpus, cpus, "{text} on {allowed:?}");
        assert_eq!(placement.notice().is_some(), text != "0-1", "{text} on {allowed:?}");
    }
}

#[test]
fn the_notice_of_a_fold_says_who_shares_what() {
    let placement = "0-3".parse::<CoreSpec>().unwrap().place_among(&[0, 1]);
    let notice = placement.notice().unwrap();
    assert!(notice.contains("cores 0-3 were asked for"), "{notice}");
    assert!(notice.contains("may use only CPU 0-1"), "{notice}");
    assert!(notice.ends_with("CPU 0 runs core 0,2; CPU 1 runs core 1,3"), "{notice}");
}

#[test]
fn every_cpu_of_the_process_can_get_a_core() {
    let placement = Placement::everywhere().unwrap();
    assert!(!placement.is_empty());
    assert_eq!(placement.cores().next().unwrap().0, CoreId(0));
}
