use super::*;
use std::mem::offset_of;

/// What the structs are on a machine of 64 bits: frozen with version 1 of the ABI. That a C compiler
/// lays the header out the same way is tested with the fixtures in tests/plugins.
#[test]
fn every_struct_has_the_layout_of_version_1() {
    assert_eq!(ABI_VERSION, 1);
    let sizes = [
        size_of::<Text>(),
        size_of::<Output>(),
        size_of::<Config>(),
        size_of::<Task>(),
        size_of::<Context>(),
        size_of::<Interface>(),
    ];
    assert_eq!(sizes, [16, 32, 24, 104, 32, 56]);
    assert_eq!(offset_of!(Task, attempt), 88);
    assert_eq!(offset_of!(Task, timeout_ms), 96);
    assert_eq!([offset_of!(Output, write), offset_of!(Output, fail)], [16, 24]);
    assert_eq!([offset_of!(Context, is_cancelled), offset_of!(Context, log)], [16, 24]);
    let table = [
        offset_of!(Interface, get_name),
        offset_of!(Interface, get_version),
        offset_of!(Interface, validate_config),
        offset_of!(Interface, init),
        offset_of!(Interface, execute),
        offset_of!(Interface, cleanup),
    ];
    assert_eq!(table, [8, 16, 24, 32, 40, 48]);
    assert_eq!(head::<Interface>(), (1, 56));
}

#[test]
fn the_header_and_the_code_have_the_same_numbers() {
    let defines = [
        ("DISTRIC_PLUGIN_ABI_VERSION", format!("{ABI_VERSION}u")),
        ("DISTRIC_OK", OK.to_string()),
        ("DISTRIC_FAILED", FAILED.to_string()),
        ("DISTRIC_FAILED_RETRY", FAILED_RETRY.to_string()),
        ("DISTRIC_LOG_DEBUG", LOG_LEVELS[0].to_string()),
        ("DISTRIC_LOG_INFO", LOG_LEVELS[1].to_string()),
        ("DISTRIC_LOG_WARN", LOG_LEVELS[2].to_string()),
        ("DISTRIC_LOG_ERROR", LOG_LEVELS[3].to_string()),
    ];
    for (name, value) in defines {
        let mut lines = HEADER.lines().filter_map(|line| line.strip_prefix("#define "));
        let said = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let said = said.and_then(|rest| rest.split_whitespace().next());
        assert_eq!(said, Some(value.as_str()), "{name}");
    }
    assert!(HEADER.contains(SYMBOL));
}
