//! Sealed datagrams: encrypted and authenticated under keys that all members share.
//!
//! Invariants:
//! - one nonce is never used twice under one key: 8 bytes drawn from the system's generator for each
//!   run of a process, and a count of 4 that moves on to the next 8 when it is used up;
//! - a text that is no key ring is refused with its line, and never shown.

use crate::datagram::{DATAGRAM_BYTES_MAX, Dropped, FRAME_BYTES_MAX};
use base::UnixMicros;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use std::fmt;
use wire::{Flags, Frame, GossipSealed, Head, Kind, Message, write_frame};

/// How many keys a ring has at most. Two are needed to change one for another.
pub const KEYS_MAX: usize = 8;

const KEY_BYTES: usize = 32;

/// The keys of a cluster: the first seals, all of them open.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    /// The first 4 bytes of its SHA-256.
    id: u32,
    aead: LessSafeKey,
}

/// A text that is no key ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// A line that is no key.
    #[error(
        "line {line} is no key: expected 64 hexadecimal digits, as `openssl rand -hex 32` prints"
    )]
    Key {
        /// Counted from 1.
        line: usize,
    },
    /// The same key again.
    #[error("line {line} repeats a key that stands above it")]
    Twice {
        /// Counted from 1.
        line: usize,
    },
    /// Too many.
    #[error("there are more than {KEYS_MAX} keys")]
    TooMany,
    /// None.
    #[error("there is no key: expected a line of 64 hexadecimal digits")]
    Empty,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.keys.iter().map(|key| format!("{:08x}", key.id));
        f.debug_list().entries(ids).finish()
    }
}

impl KeyRing {
    /// The ring that a file's text is: a key a line, 64 hexadecimal digits; empty lines and those
    /// that begin with `#` are skipped.
    ///
    /// # Errors
    /// It has no key, too many, or a line that is none.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<Key> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let bytes = parse_key(text).ok_or(KeyRingError::Key { line })?;
            let key = Key::new(&bytes);
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyRingError::Twice { line });
            }
            if keys.len() == KEYS_MAX {
                return Err(KeyRingError::TooMany);
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyRingError::Empty) } else { Ok(Self { keys }) }
    }

    /// The keys' names, the sealing one first: for the log, so that operators can compare nodes.
    pub fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.iter().map(|key| key.id)
    }

    /// Seals a frame.
    pub(crate) fn seal(
        &self,
        frame: &[u8],
        nonce: [u8; NONCE_LEN],
        sent_at: UnixMicros,
    ) -> Vec<u8> {
        let key = self.keys.first().expect("a ring has a key");
        let mut sealed = frame.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        key.aead
            .seal_in_place_append_tag(unique, Aad::from(key.id.to_be_bytes()), &mut sealed)
            .expect("a datagram is shorter than what the cipher can take");
        let kind = Kind::GOSSIP_SEALED;
        let head = Head { kind, flags: Flags::NONE, call: 0, sent_at, trace: None };
        let mut datagram = Vec::with_capacity(DATAGRAM_BYTES_MAX);
        let message = GossipSealed { key: key.id, nonce: &nonce, sealed: &sealed };
        write_frame(&mut datagram, &head, |out| message.encode(out));
        assert!(datagram.len() <= DATAGRAM_BYTES_MAX, "a datagram of {} bytes", datagram.len());
        datagram
    }

    /// The frame in a sealed one.
    pub(crate) fn open(&self, frame: &Frame<'_>) -> Result<Vec<u8>, Dropped> {
        if frame.header.kind != Kind::GOSSIP_SEALED {
            return Err(Dropped::Unsealed);
        }
        let message = GossipSealed::decode(frame.payload).map_err(|_| Dropped::Malformed)?;
        let nonce: [u8; NONCE_LEN] = message.nonce.try_into().map_err(|_| Dropped::Malformed)?;
        let key = self.keys.iter().find(|key| key.id == message.key).ok_or(Dropped::Key)?;
        let mut bytes = message.sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = key
            .aead
            .open_in_place(nonce, Aad::from(key.id.to_be_bytes()), &mut bytes)
            .map_err(|_| Dropped::Forged)?
            .len();
        bytes.truncate(opened);
        if bytes.len() > FRAME_BYTES_MAX { Err(Dropped::Malformed) } else { Ok(bytes) }
    }
}

impl Key {
    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let hash = digest(&SHA256, bytes);
        let id = hash.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("a key has 32 bytes");
        Self { id: u32::from_be_bytes(*id), aead: LessSafeKey::new(key) }
    }
}

fn parse_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != KEY_BYTES {
        return None;
    }
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut key = [0; KEY_BYTES];
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(key)
}

/// Where nonces come from.
#[derive(Debug)]
pub(crate) struct Nonces {
    salt: u64,
    count: u32,
}

impl Nonces {
    /// `salt` is drawn from the system's generator, for each run of a process.
    pub(crate) fn new(salt: u64) -> Self {
        Self { salt, count: 0 }
    }

    /// So far on.
    #[cfg(test)]
    pub(crate) fn at(salt: u64, count: u32) -> Self {
        Self { salt, count }
    }

    pub(crate) fn next(&mut self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&self.salt.to_be_bytes());
        nonce[8..].copy_from_slice(&self.count.to_be_bytes());
        let (count, is_over) = self.count.overflowing_add(1);
        self.count = count;
        self.salt = self.salt.wrapping_add(u64::from(is_over));
        nonce
    }
}
