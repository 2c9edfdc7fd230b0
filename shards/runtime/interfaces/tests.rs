use super::*;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

#[test]
fn the_machine_reaches_itself_through_its_loopback_interface() {
    let interfaces = interfaces().unwrap();
    let own = interfaces.iter().find(|interface| interface.loopback).unwrap();
    assert!(own.up && own.index != 0, "{own:?}");
    assert!(own.addresses.contains(&IpAddr::from(Ipv4Addr::LOCALHOST)), "{own:?}");
}

#[test]
fn every_interface_of_the_kernel_is_listed_once_with_its_number() {
    let listed = interfaces().unwrap();
    let known: BTreeSet<(String, u32)> = std::fs::read_dir("/sys/class/net")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // Some entries there are settings of a driver, not interfaces.
            let index = std::fs::read_to_string(path.join("ifindex")).ok()?.trim().parse().ok()?;
            Some((path.file_name()?.to_str()?.to_owned(), index))
        })
        .collect();
    let mine: BTreeSet<_> = listed.iter().map(|one| (one.name.clone(), one.index)).collect();
    assert_eq!(mine, known);
    assert_eq!(mine.len(), listed.len());
    assert!(listed.is_sorted_by_key(|interface| interface.index));
}
