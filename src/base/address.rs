//! Where somebody can be reached: `HOST:PORT`.
//!
//! | form | example |
//! | --- | --- |
//! | IPv4 | `10.0.0.7:8080` |
//! | IPv6, in brackets (RFC 3986, section 3.2.2) | `[fd00::7]:8080` |
//! | a name (RFC 1123, section 2.1) | `node-7.example:8080` |
//!
//! A name is checked for its form; whether it leads anywhere is for whoever looks it up.
//!
//! Invariants:
//! - what an address is written as is read as the same address;
//! - whatever the text, an error says what was given, where it is wrong, what is expected, and
//!   what to write instead.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// The longest name, without the dot of the root. RFC 1035, section 2.3.4. Unit: bytes.
pub const HOST_NAME_BYTES_MAX: usize = 253;

/// The longest part of a name between two dots. RFC 1035, section 2.3.4. Unit: bytes.
const LABEL_BYTES_MAX: usize = 63;

/// The longest name with its dot, a colon, and five digits; no other form is longer. Unit: bytes.
const ADDRESS_BYTES_MAX: usize = HOST_NAME_BYTES_MAX + 1 + 1 + 5;

/// How much of a wrong text is repeated in its error. Unit: characters.
const REPEATED_MAX: usize = 80;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: Host,
    port: u16,
}

/// A machine, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// IPv4 or IPv6.
    Ip(IpAddr),
    /// A name that must be looked up.
    Name(HostName),
}

/// A name of the form of RFC 1123, in lower case: names are compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

impl HostName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Address {
    /// Reads an address that somebody can be called at: its port is 1 to 65535.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        Reader { text }.address(1)
    }

    /// Reads an address to listen on. Port 0 stands for a free one.
    pub fn parse_to_listen(text: &str) -> Result<Self, AddressError> {
        Reader { text }.address(0)
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address as sockets take it, unless the host is a name.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, self.port)),
            Host::Name(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    /// An IPv6 address loses its zone, which means something on one machine only.
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Ip(address.ip()), port: address.port() }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// As [`Address::parse`].
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{}:{}", name.0, self.port),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(&name.0),
        }
    }
}

/// A text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not an address: {fault} (character {character}); expected {expected}; {hint}"
)]
pub struct AddressError {
    /// The text, shortened, with control characters made visible.
    pub given: String,
    /// What is wrong.
    pub fault: AddressFault,
    /// Where, counted from 1.
    pub character: usize,
    /// What would have been right.
    pub expected: &'static str,
    /// What to do.
    pub hint: String,
}

/// What is wrong with an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// No address is as long.
    #[error("it has {bytes} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A space, a tab, a line's end, or another character that cannot be seen.
    #[error("there is a space or a control character in it")]
    Space,
    /// `http://` and the like.
    #[error("it is a URL")]
    Scheme,
    /// Something behind a slash, a question mark or a hash.
    #[error("there is a path or a query behind it")]
    Path,
    /// Something before an `@`.
    #[error("there is a user in it")]
    User,
    /// Nothing before the colon.
    #[error("the host is missing")]
    NoHost,
    /// Nothing behind the host.
    #[error("the port is missing")]
    NoPort,
    /// The port is not made of digits.
    #[error("the port is not a number")]
    PortNotNumber,
    /// The port has more than 16 bits.
    #[error("the port is too large")]
    PortTooLarge,
    /// Port 0, where somebody is to be called.
    #[error("the port is 0")]
    PortZero,
    /// An IPv6 address without brackets: nobody can tell where its port begins.
    #[error("an IPv6 address needs brackets")]
    BracketsMissing,
    /// `[` without `]`.
    #[error("the bracket is not closed")]
    BracketOpen,
    /// Brackets around something else.
    #[error("what is in brackets is not an IPv6 address")]
    NotIpv6,
    /// `fe80::1%eth0`.
    #[error("there is a zone in it")]
    Zone,
    /// Several colons, and not an IPv6 address.
    #[error("there is more than one colon")]
    Colons,
    /// Numbers and dots that are not an IPv4 address.
    #[error("it looks like an IPv4 address and is none")]
    NotIpv4,
    /// The name is too long.
    #[error("the name has {bytes} bytes")]
    NameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// Two dots in a row, or one at the beginning.
    #[error("a part of the name is empty")]
    PartEmpty,
    /// A part between two dots is too long.
    #[error("a part of the name has {bytes} bytes")]
    PartTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A part between two dots begins or ends with a hyphen.
    #[error("a part of the name begins or ends with a hyphen")]
    Hyphen,
    /// A character that no name has.
    #[error("a name has no {character:?}")]
    NameCharacter {
        /// The character.
        character: char,
    },
}

const ANY_FORM: &str = "HOST:PORT, such as 10.0.0.7:8080, [fd00::7]:8080 or node-7.example:8080";
const A_PORT: &str = "a port from 1 to 65535 behind the last colon";
const A_PORT_TO_LISTEN: &str = "a port from 1 to 65535, or 0 for a free one, behind the last colon";
const AN_IPV4: &str = "four numbers from 0 to 255 without leading zeros, such as 10.0.0.7";
const AN_IPV6: &str = "an IPv6 address in brackets, such as [fd00::7]:8080";
const A_NAME: &str = "letters, digits and hyphens in parts of at most 63 bytes, 253 in all";
const NO_ZONE: &str =
    "leave out the `%` and what is behind it, and use an address that is not link-local";

/// One text. Errors point into it by bytes, and are told by characters.
#[derive(Clone, Copy)]
struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(
        self,
        fault: AddressFault,
        at: usize,
        expected: &'static str,
        hint: impl Into<String>,
    ) -> AddressError {
        // What is before an `@` may be a secret.
        let given = match self.text.rfind('@') {
            Some(user_end) => format!("…{}", shown(&self.text[user_end..])),
            None => shown(self.text),
        };
        AddressError {
            given,
            fault,
            character: self.text[..at].chars().count() + 1,
            expected,
            hint: hint.into(),
        }
    }

    fn address(self, port_min: u16) -> Result<Address, AddressError> {
        self.check_whole()?;
        let (host, port_at) =
            if self.text.starts_with('[') { self.bracketed()? } else { self.plain()? };
        let port = self.port(port_at, port_min)?;
        Ok(Address { host, port })
    }

    /// What is wrong wherever it stands.
    fn check_whole(self) -> Result<(), AddressError> {
        let text = self.text;
        if text.is_empty() {
            return Err(self.error(AddressFault::Empty, 0, ANY_FORM, "write a host and a port"));
        }
        if text.len() > ADDRESS_BYTES_MAX {
            let fault = AddressFault::TooLong { bytes: text.len() };
            let hint = format!("no address is longer than {ADDRESS_BYTES_MAX} bytes");
            return Err(self.error(fault, 0, ANY_FORM, hint));
        }
        if let Some(at) = text.find(|c: char| c.is_whitespace() || c.is_control()) {
            let hint = "leave it out; several addresses are given one by one";
            return Err(self.error(AddressFault::Space, at, ANY_FORM, hint));
        }
        if let Some(at) = text.find("://") {
            let hint = format!("leave out `{}`", shown(&text[..at + 3]));
            return Err(self.error(AddressFault::Scheme, 0, ANY_FORM, hint));
        }
        if let Some(at) = text.find(['/', '?', '#']) {
            let hint = format!("leave out `{}`", shown(&text[at..]));
            return Err(self.error(AddressFault::Path, at, ANY_FORM, hint));
        }
        if let Some(at) = text.find('@') {
            let hint = "leave out the `@` and what is before it";
            return Err(self.error(AddressFault::User, at, ANY_FORM, hint));
        }
        Ok(())
    }

    /// `[…]:PORT`. The second value is where the port begins.
    fn bracketed(self) -> Result<(Host, usize), AddressError> {
        let Some(close) = self.text.find(']') else {
            let hint = "write `]` behind the IPv6 address";
            return Err(self.error(AddressFault::BracketOpen, 0, AN_IPV6, hint));
        };
        let inner = &self.text[1..close];
        if let Some(zone) = inner.find('%') {
            return Err(self.error(AddressFault::Zone, 1 + zone, AN_IPV6, NO_ZONE));
        }
        let Ok(ip) = inner.parse::<Ipv6Addr>() else {
            let hint = "brackets are for IPv6 addresses alone: correct it, or leave them out";
            return Err(self.error(AddressFault::NotIpv6, 1, AN_IPV6, hint));
        };
        let port_at = self.behind_colon(close + 1)?;
        Ok((Host::Ip(ip.into()), port_at))
    }

    /// The place behind the colon that must be at `at`.
    fn behind_colon(self, at: usize) -> Result<usize, AddressError> {
        match self.text[at..].chars().next() {
            Some(':') => Ok(at + 1),
            Some(_) => {
                let hint = format!("write `:` and the port behind `{}`", shown(&self.text[..at]));
                Err(self.error(AddressFault::NoPort, at, A_PORT, hint))
            }
            None => Err(self.no_port(at)),
        }
    }

    fn no_port(self, at: usize) -> AddressError {
        let host = self.text.trim_end_matches(':');
        let hint = format!("add it: `{}:8080`", shown(host));
        self.error(AddressFault::NoPort, at, A_PORT, hint)
    }

    /// `10.0.0.7:PORT` or `name:PORT`.
    fn plain(self) -> Result<(Host, usize), AddressError> {
        let text = self.text;
        let Some(colon) = text.find(':') else {
            // What is wrong with the host comes first: `1.2.3` is not a host without a port.
            self.host(text)?;
            return Err(self.no_port(text.len()));
        };
        if let Some(second) = text[colon + 1..].find(':') {
            return Err(self.too_many_colons(colon + 1 + second));
        }
        let host = &text[..colon];
        if host.is_empty() {
            let hint = "write the host before the colon (to listen on every interface: 0.0.0.0 or \
                        [::])";
            return Err(self.error(AddressFault::NoHost, 0, ANY_FORM, hint));
        }
        Ok((self.host(host)?, colon + 1))
    }

    fn too_many_colons(self, second: usize) -> AddressError {
        let text = self.text;
        let (before, after) = text.rsplit_once(':').expect("there are two colons");
        let is_number = !after.is_empty() && after.bytes().all(|byte| byte.is_ascii_digit());
        let address = |text: &str| text.split('%').next().unwrap_or("").parse::<Ipv6Addr>().is_ok();
        if let (true, Some(zone)) = (address(text), text.find('%')) {
            return self.error(AddressFault::Zone, zone, AN_IPV6, NO_ZONE);
        }
        // `::1:8080` is an address too, and hardly what was meant.
        let hint = if is_number && address(before) {
            format!("write `[{before}]:{after}`")
        } else if address(text) {
            format!("write `[{text}]:8080`")
        } else {
            let hint = "put brackets around an IPv6 address; otherwise leave one colon";
            return self.error(AddressFault::Colons, second, ANY_FORM, hint);
        };
        self.error(AddressFault::BracketsMissing, 0, AN_IPV6, hint)
    }

    /// The host, which is the beginning of the text and not empty.
    fn host(self, host: &str) -> Result<Host, AddressError> {
        let without_root = host.strip_suffix('.').unwrap_or(host);
        let last = without_root.rsplit('.').next().unwrap_or(without_root);
        // A name never ends in a number, so that one can be told from an IPv4 address: RFC 1123,
        // section 2.1.
        if !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()) {
            let ip = host.parse::<Ipv4Addr>();
            return ip.map(|ip| Host::Ip(ip.into())).map_err(|_| {
                let hint = "correct the numbers; the last part of a name is not a number";
                self.error(AddressFault::NotIpv4, 0, AN_IPV4, hint)
            });
        }
        self.check_name(without_root)?;
        Ok(Host::Name(HostName(host.to_ascii_lowercase().into_boxed_str())))
    }

    fn check_name(self, name: &str) -> Result<(), AddressError> {
        if name.len() > HOST_NAME_BYTES_MAX {
            let fault = AddressFault::NameTooLong { bytes: name.len() };
            return Err(self.error(fault, 0, A_NAME, "shorten it"));
        }
        let mut at = 0;
        for part in name.split('.') {
            let wrong = |character: &char| !character.is_ascii_alphanumeric() && *character != '-';
            if let Some((offset, character)) = part.char_indices().find(|(_, c)| wrong(c)) {
                let hint = match character {
                    '_' => "use a hyphen in the place of `_`",
                    '[' | ']' => "brackets stand around a whole IPv6 address",
                    '%' => "a zone belongs to an IPv6 address, and is not taken there either",
                    _ if !character.is_ascii() => {
                        "write a name of other letters in its ASCII form, which begins with `xn--`"
                    }
                    _ => "leave it out",
                };
                let fault = AddressFault::NameCharacter { character };
                return Err(self.error(fault, at + offset, A_NAME, hint));
            }
            if part.is_empty() {
                let hint = "leave one dot between two parts, and none at the beginning";
                return Err(self.error(AddressFault::PartEmpty, at, A_NAME, hint));
            }
            if part.len() > LABEL_BYTES_MAX {
                let fault = AddressFault::PartTooLong { bytes: part.len() };
                return Err(self.error(fault, at, A_NAME, "shorten it"));
            }
            if part.starts_with('-') || part.ends_with('-') {
                let hint = "leave the hyphen out";
                return Err(self.error(AddressFault::Hyphen, at, A_NAME, hint));
            }
            at += part.len() + 1;
        }
        Ok(())
    }

    fn port(self, at: usize, least: u16) -> Result<u16, AddressError> {
        let digits = &self.text[at..];
        let expected = if least == 0 { A_PORT_TO_LISTEN } else { A_PORT };
        if digits.is_empty() {
            return Err(self.no_port(at));
        }
        if let Some(wrong) = digits.find(|c: char| !c.is_ascii_digit()) {
            let hint = "write digits alone";
            return Err(self.error(AddressFault::PortNotNumber, at + wrong, expected, hint));
        }
        // Digits alone fail by their number alone.
        let Ok(port) = digits.parse::<u16>() else {
            let hint = "choose a smaller one";
            return Err(self.error(AddressFault::PortTooLarge, at, expected, hint));
        };
        if port < least {
            let hint = "nobody can be called at port 0: write the one that is listened on";
            return Err(self.error(AddressFault::PortZero, at, expected, hint));
        }
        Ok(port)
    }
}

/// A text from outside, for a message: of bounded length, and nothing in it that a terminal obeys.
fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown: String =
        characters.by_ref().take(REPEATED_MAX).flat_map(char::escape_debug).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
