use super::*;
use AddressFault as Fault;
use proptest::prelude::*;

#[test]
fn an_address_is_read_and_written_in_one_form() {
    let rows = [
        ("10.0.0.7:8080", "10.0.0.7:8080"),
        ("0.0.0.0:1", "0.0.0.0:1"),
        ("255.255.255.255:65535", "255.255.255.255:65535"),
        ("[::1]:80", "[::1]:80"),
        ("[FD00:0:0::7]:8080", "[fd00::7]:8080"),
        ("[::ffff:10.0.0.7]:80", "[::ffff:10.0.0.7]:80"),
        ("localhost:8080", "localhost:8080"),
        ("Node-7.Example:08080", "node-7.example:8080"),
        ("svc.default.svc.cluster.local.:443", "svc.default.svc.cluster.local.:443"),
        // A part may begin with a digit since RFC 1123, and have nothing but digits if not the last.
        ("3com.com:25", "3com.com:25"),
        ("1.2.3.example:80", "1.2.3.example:80"),
        ("xn--bcher-kva.example:80", "xn--bcher-kva.example:80"),
        ("a:1", "a:1"),
    ];
    for (text, written) in rows {
        let address = Address::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(address.to_string(), written);
        assert_eq!(written.parse(), Ok(address));
    }
}

#[test]
fn the_longest_name_is_taken_and_one_byte_more_is_not() {
    let label = "a".repeat(63);
    let name = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(name.len(), HOST_NAME_BYTES_MAX);
    assert_eq!(Address::parse(&format!("{name}.:65535")).unwrap().port(), 65535);
    let error = Address::parse(&format!("{name}b:1")).unwrap_err();
    assert_eq!(error.fault, Fault::NameTooLong { bytes: 254 });
}

#[test]
fn port_zero_is_for_listening_alone() {
    let address = Address::parse_to_listen("127.0.0.1:0").unwrap();
    assert_eq!((address.port(), address.to_string().as_str()), (0, "127.0.0.1:0"));
    assert_eq!(Address::parse("127.0.0.1:0").unwrap_err().fault, Fault::PortZero);
    let error = Address::parse_to_listen("127.0.0.1:x").unwrap_err();
    assert!(error.expected.contains("or 0 for a free one"), "{error}");
}

#[test]
fn what_sockets_take_is_given_for_numbers_and_not_for_names() {
    let socket: SocketAddr = "[fd00::7]:8080".parse().unwrap();
    let address = Address::parse("[fd00::7]:8080").unwrap();
    assert_eq!(address.socket_address(), Some(socket));
    assert_eq!(Address::from(socket), address);
    let address = Address::parse("Localhost:8080").unwrap();
    assert_eq!(address.socket_address(), None);
    assert_eq!(address.host().to_string(), "localhost");
    assert!(matches!(address.host(), Host::Name(name) if name.as_str() == "localhost"));
}

#[test]
fn an_error_says_what_where_what_is_expected_and_what_to_do() {
    let rows: &[(&str, AddressFault, usize, &str)] = &[
        ("", Fault::Empty, 1, "write a host and a port"),
        // Whole.
        ("10.0.0.7:80 ", Fault::Space, 12, "leave it out"),
        ("a:1, b:2", Fault::Space, 5, "one by one"),
        ("a:80\n", Fault::Space, 5, "leave it out"),
        ("a\u{0}:80", Fault::Space, 2, "leave it out"),
        ("http://10.0.0.7:80", Fault::Scheme, 1, "leave out `http://`"),
        ("tcp://x", Fault::Scheme, 1, "leave out `tcp://`"),
        ("10.0.0.7:80/x?y", Fault::Path, 12, "leave out `/x?y`"),
        ("me:secret@a:80", Fault::User, 10, "leave out the `@`"),
        // Ports.
        ("10.0.0.7", Fault::NoPort, 9, "add it: `10.0.0.7:8080`"),
        ("node-7", Fault::NoPort, 7, "add it: `node-7:8080`"),
        ("node-7:", Fault::NoPort, 8, "add it: `node-7:8080`"),
        ("[::1]", Fault::NoPort, 6, "add it: `[::1]:8080`"),
        ("[::1]:", Fault::NoPort, 7, "add it: `[::1]:8080`"),
        ("[::1]80", Fault::NoPort, 6, "write `:` and the port behind `[::1]`"),
        ("a:http", Fault::PortNotNumber, 3, "write digits alone"),
        ("a:80x", Fault::PortNotNumber, 5, "write digits alone"),
        ("a:-1", Fault::PortNotNumber, 3, "write digits alone"),
        ("a:+1", Fault::PortNotNumber, 3, "write digits alone"),
        ("a:٨٠", Fault::PortNotNumber, 3, "write digits alone"),
        ("a:65536", Fault::PortTooLarge, 3, "choose a smaller one"),
        ("a:99999999999999999999", Fault::PortTooLarge, 3, "choose a smaller one"),
        ("a:0", Fault::PortZero, 3, "nobody can be called at port 0"),
        // Hosts.
        (":80", Fault::NoHost, 1, "0.0.0.0 or [::]"),
        (":", Fault::NoHost, 1, "write the host"),
        ("1.2.3:80", Fault::NotIpv4, 1, "correct the numbers"),
        ("1.2.3.256:80", Fault::NotIpv4, 1, "correct the numbers"),
        ("1.2.3.4.5:80", Fault::NotIpv4, 1, "correct the numbers"),
        ("01.2.3.4:80", Fault::NotIpv4, 1, "correct the numbers"),
        ("8080", Fault::NotIpv4, 1, "correct the numbers"),
        ("node.7:80", Fault::NotIpv4, 1, "the last part of a name is not a number"),
        // IPv6.
        ("::1:8080", Fault::BracketsMissing, 1, "write `[::1]:8080`"),
        ("fd00::7", Fault::BracketsMissing, 1, "write `[fd00::7]:8080`"),
        ("1:2:3:4:5:6:7:8:80", Fault::BracketsMissing, 1, "write `[1:2:3:4:5:6:7:8]:80`"),
        ("a:80:90", Fault::Colons, 5, "leave one colon"),
        ("[::1:80", Fault::BracketOpen, 1, "write `]`"),
        ("[10.0.0.7]:80", Fault::NotIpv6, 2, "brackets are for IPv6 addresses alone"),
        ("[]:80", Fault::NotIpv6, 2, "brackets are for IPv6 addresses alone"),
        ("[fe80::1%eth0]:80", Fault::Zone, 9, "not link-local"),
        ("fe80::1%eth0", Fault::Zone, 8, "not link-local"),
        // Names.
        ("my_node:80", Fault::NameCharacter { character: '_' }, 3, "use a hyphen"),
        ("bücher.de:80", Fault::NameCharacter { character: 'ü' }, 2, "`xn--`"),
        ("node*:80", Fault::NameCharacter { character: '*' }, 5, "leave it out"),
        ("a]:80", Fault::NameCharacter { character: ']' }, 2, "around a whole IPv6"),
        ("a..b:80", Fault::PartEmpty, 3, "one dot"),
        (".a:80", Fault::PartEmpty, 1, "none at the beginning"),
        (".:80", Fault::PartEmpty, 1, "one dot"),
        ("a.-b:80", Fault::Hyphen, 3, "leave the hyphen out"),
        ("a-:80", Fault::Hyphen, 1, "leave the hyphen out"),
    ];
    for (text, fault, character, hint) in rows {
        let error = Address::parse(text).expect_err(text);
        assert_eq!((&error.fault, error.character), (fault, *character), "{error}");
        assert!(error.hint.contains(hint), "{error}");
        let told = error.to_string();
        assert!(told.contains("expected ") && told.contains(error.expected), "{told}");
        assert!(!told.contains("secret"), "{told}");
        assert!(!told.chars().any(char::is_control), "{told:?}");
    }
}

#[test]
fn parts_and_texts_that_are_too_long_are_told_with_their_length() {
    let error = Address::parse(&format!("a.{}:80", "b".repeat(64))).unwrap_err();
    assert_eq!((error.fault, error.character), (Fault::PartTooLong { bytes: 64 }, 3));
    let error = Address::parse(&"x".repeat(10_000)).unwrap_err();
    assert_eq!(error.fault, Fault::TooLong { bytes: 10_000 });
    assert_eq!(error.given.chars().count(), REPEATED_MAX + 1);
}

#[test]
fn one_whole_error_reads_like_this() {
    let error = Address::parse("https://node-7:443").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`https://node-7:443` is not an address: it is a URL (character 1); expected HOST:PORT, \
         such as 10.0.0.7:8080, [fd00::7]:8080 or node-7.example:8080; leave out `https://`"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_written_is_read_as_the_same(
        host in prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).to_string()),
            any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
            "[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?(\\.[a-z][a-z0-9]{0,20}){0,3}\\.[a-z]{1,9}\\.?",
        ],
        port in 1_u16..,
    ) {
        let address = Address::parse(&format!("{host}:{port}")).unwrap();
        prop_assert_eq!(address.port(), port);
        prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "[a-z0-9:.%@/\\[\\]_ é-]{0,40}|\\PC{0,40}") {
        match Address::parse(&text) {
            Ok(address) => prop_assert_eq!(Address::parse(&address.to_string()), Ok(address)),
            Err(error) => {
                prop_assert!(error.character <= text.chars().count() + 1);
                prop_assert!(!error.hint.is_empty());
            }
        }
    }

    /// The standard library reads the same numbers.
    #[test]
    fn addresses_of_numbers_are_those_of_sockets(text in "(\\[[0-9a-f:]{2,12}\\]|[0-9.]{7,15}):[0-9]{1,6}") {
        let ours = Address::parse_to_listen(&text).ok().and_then(|address| address.socket_address());
        prop_assert_eq!(ours, text.parse::<SocketAddr>().ok());
    }
}
