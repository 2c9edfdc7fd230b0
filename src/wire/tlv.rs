//! Fields: what payloads are made of.
//!
//! | part    | bytes                                                                       |
//! |---------|-----------------------------------------------------------------------------|
//! | field   | tag u16, type u8, length u32, value                                         |
//! | array   | (a value) count u32, then as many elements: type u8, length u32, value      |
//! | map     | (a value) fields                                                            |
//!
//! All numbers are big-endian. In a record (a payload or a map) the tags rise: so a tag stands there
//! once, a reader needs one pass, and a record has one encoding.
//!
//! Invariants:
//! - a reader hands out parts of the bytes that it was given, and copies none;
//! - a length is held against the bytes that are there before it is used, a count against the bytes
//!   that its elements take at least;
//! - an unknown tag is skipped, whatever its type.

use std::fmt;

pub(crate) mod writer;

pub use writer::{ArrayWriter, TlvWriter};

/// What stands in front of a field's value: tag, type, length. Unit: bytes.
pub const FIELD_BYTES: usize = 7;

/// What stands in front of an element's value: type, length. Unit: bytes.
pub const ELEMENT_BYTES: usize = 5;

/// What stands in front of an array's elements: their count. Unit: bytes.
pub const COUNT_BYTES: usize = 4;

/// How deep arrays and maps may lie within each other. No message needs more than four.
pub const DEPTH_MAX: u8 = 8;

/// How many elements an array may have. The largest is a submit's messages, a thousand.
pub const ELEMENTS_MAX: u32 = 64 * 1024;

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal;)*) => {
        /// The type of a value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Type {
            $($(#[$doc])* $name = $code,)*
        }

        impl Type {
            /// Every type, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The type's code on the wire.
            #[inline]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The type with this code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The type's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

types! {
    /// One byte.
    U8 = 0x01 "u8";
    /// Two bytes.
    U16 = 0x02 "u16";
    /// Four bytes.
    U32 = 0x03 "u32";
    /// Eight bytes.
    U64 = 0x04 "u64";
    /// Eight bytes, two's complement.
    I64 = 0x05 "i64";
    /// Eight bytes, IEEE 754.
    F64 = 0x06 "f64";
    /// One byte, 0 or 1.
    Bool = 0x07 "bool";
    /// UTF-8.
    String = 0x10 "string";
    /// Any bytes.
    Bytes = 0x11 "bytes";
    /// Values one after the other.
    Array = 0x20 "array";
    /// A record of its own.
    Map = 0x21 "map";
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with a field. Reads as the end of a sentence that begins with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has no default, and is not there.
    #[error("is missing")]
    Missing,
    /// It has another type.
    #[error("has type {found:#04x}, expected {} ({:#04x})", expected, expected.code())]
    Type {
        /// The code that stands there.
        found: u8,
        /// What should.
        expected: Type,
    },
    /// Its type has another length.
    #[error("is {bytes} bytes long, expected {expected}")]
    Length {
        /// As announced.
        bytes: usize,
        /// As its type asks for.
        expected: usize,
    },
    /// A string that is none.
    #[error("is not UTF-8")]
    Utf8,
    /// A value that is not among the allowed.
    #[error("is {found}, expected {expected}")]
    Value {
        /// What stands there.
        found: u64,
        /// What may.
        expected: &'static str,
    },
    /// It ends before its end.
    #[error("is cut off: {needed} bytes are needed, {left} are left")]
    Truncated {
        /// How many it announces.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// More bytes than elements.
    #[error("has {bytes} bytes after its last element")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A tag that does not rise: twice the same, or out of order.
    #[error("has tag {tag} after tag {after}: tags must rise")]
    Order {
        /// The later one.
        tag: u16,
        /// The one before.
        after: u16,
    },
    /// Too many elements.
    #[error("has {count} elements, at most {count_max} are allowed")]
    TooMany {
        /// As announced.
        count: usize,
        /// The limit.
        count_max: usize,
    },
    /// Too many bytes.
    #[error("has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLong {
        /// As announced.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Arrays and maps within each other.
    #[error("nests deeper than {depth_max}")]
    TooDeep {
        /// The limit.
        depth_max: u8,
    },
}

/// Reads a record, field by field.
#[derive(Clone, Copy, Debug)]
pub struct TlvReader<'a> {
    rest: &'a [u8],
    /// The last tag, -1 before the first.
    last: i32,
    depth: u8,
}

impl<'a> TlvReader<'a> {
    /// Reads the record that `bytes` are.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, last: -1, depth: 0 }
    }

    /// Reads the record that `bytes`, themselves `depth` deep, are.
    #[inline]
    pub(crate) fn nested(bytes: &'a [u8], depth: u8) -> Result<Self, Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::TooDeep { depth_max: DEPTH_MAX });
        }
        Ok(Self { rest: bytes, last: -1, depth })
    }

    /// How deep the record lies: 0 for a payload.
    pub fn depth(&self) -> u8 {
        self.depth
    }

    /// The next field, whatever it is.
    ///
    /// # Errors
    /// It is cut off, or its tag does not rise.
    #[allow(clippy::should_implement_trait, reason = "an error ends it, an iterator would go on")]
    pub fn next(&mut self) -> Result<Option<Field<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, code, bytes) = self.field()?;
        Ok(Some(Field { tag, value: Value { code, bytes, depth: self.depth } }))
    }

    /// The value of the field with this tag, if there is one. To be asked in rising order of tags:
    /// what lies before is skipped. So after it, all that is left has higher tags.
    #[allow(clippy::inline_always, reason = "tag and type are constants: it is one comparison")]
    #[inline(always)]
    pub(crate) fn find(&mut self, tag: u16, expected: Type) -> Result<Option<&'a [u8]>, Fault> {
        let after = std::mem::replace(&mut self.last, i32::from(tag));
        // What a writer of this very version sends: the field is next.
        if let Some((head, rest)) = self.rest.split_first_chunk::<FIELD_BYTES>()
            && u32::from_be_bytes([head[0], head[1], head[2], 0]) == start_of(tag, expected)
            && let Some((value, rest)) = rest.split_at_checked(length(&head[3..]))
        {
            self.rest = rest;
            return Ok(Some(value));
        }
        if self.is_past(tag) {
            return Ok(None);
        }
        let (found, rest) = find_slowly(self.rest, after, tag, expected)?;
        self.rest = rest;
        Ok(found)
    }

    /// The same for a value that is always `N` bytes long, and not empty.
    #[allow(clippy::inline_always, reason = "tag and type are constants: it is one comparison")]
    #[inline(always)]
    pub(crate) fn find_fixed<const N: usize>(
        &mut self,
        tag: u16,
        expected: Type,
    ) -> Result<Option<&'a [u8; N]>, Fault> {
        let after = std::mem::replace(&mut self.last, i32::from(tag));
        // Tag, type, length and the value's first byte are eight bytes: one load tells all.
        if self.rest.len() >= FIELD_BYTES + N
            && let Some(first) = self.rest.first_chunk::<8>()
            && u64::from_be_bytes(*first) >> 8 == head_number(tag, expected, N)
            && let Some((value, rest)) = self.rest[FIELD_BYTES..].split_first_chunk::<N>()
        {
            self.rest = rest;
            return Ok(Some(value));
        }
        if self.is_past(tag) {
            return Ok(None);
        }
        let (found, rest) = find_slowly(self.rest, after, tag, expected)?;
        self.rest = rest;
        match found {
            Some(value) => fixed(value).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the field with this tag was left out. One byte alone is no tag: `finish` refuses it.
    #[inline]
    fn is_past(&self, tag: u16) -> bool {
        self.rest.first_chunk().is_none_or(|next| u16::from_be_bytes(*next) > tag)
    }

    /// Takes the next field off.
    fn field(&mut self) -> Result<(u16, u8, &'a [u8]), Fault> {
        let rest = self.rest;
        let Some((head, rest)) = rest.split_first_chunk::<FIELD_BYTES>() else {
            return Err(Fault::Truncated { needed: FIELD_BYTES, left: rest.len() });
        };
        let tag = u16::from_be_bytes([head[0], head[1]]);
        if let Ok(after) = u16::try_from(self.last)
            && tag <= after
        {
            return Err(Fault::Order { tag, after });
        }
        let (value, rest) = take(rest, length(&head[3..]))?;
        (self.rest, self.last) = (rest, i32::from(tag));
        Ok((tag, head[2], value))
    }

    /// Skips what is left, to its end.
    ///
    /// # Errors
    /// What is left is not whole fields with rising tags.
    #[inline]
    pub fn finish(self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { skip(self) }
    }
}

/// Finds a field that is not the next one, by the bytes that are left and the tag that they must
/// exceed. By value: so a reader on the quick way stays in registers.
#[cold]
fn find_slowly(
    rest: &[u8],
    after: i32,
    tag: u16,
    expected: Type,
) -> Result<(Option<&[u8]>, &[u8]), Fault> {
    let mut reader = TlvReader { rest, last: after, depth: 0 };
    while !reader.is_past(tag) {
        let (found, code, bytes) = reader.field()?;
        if found == tag {
            check_type(code, expected)?;
            return Ok((Some(bytes), reader.rest));
        }
    }
    Ok((None, reader.rest))
}

#[cold]
fn skip(mut reader: TlvReader<'_>) -> Result<(), Fault> {
    while !reader.rest.is_empty() {
        reader.field()?;
    }
    Ok(())
}

/// One field of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Which.
    pub tag: u16,
    /// What.
    pub value: Value<'a>,
}

/// A value whose type is not yet checked.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    code: u8,
    bytes: &'a [u8],
    depth: u8,
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident $kind:ident $type:ty;)*) => {
        impl<'a> Value<'a> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// It has another type or length.
                pub fn $name(self) -> Result<$type, Fault> {
                    fixed(self.of(Type::$kind)?).map(|bytes| <$type>::from_be_bytes(*bytes))
                }
            )*
        }
    };
}

scalars! {
    /// An unsigned number.
    u8 U8 u8;
    /// An unsigned number.
    u16 U16 u16;
    /// An unsigned number.
    u32 U32 u32;
    /// An unsigned number.
    u64 U64 u64;
    /// A signed number.
    i64 I64 i64;
    /// A number that may have a fraction.
    f64 F64 f64;
}

impl<'a> Value<'a> {
    /// The code of its type, known or not.
    pub fn type_code(self) -> u8 {
        self.code
    }

    /// The value's bytes, whatever they are.
    pub fn raw(self) -> &'a [u8] {
        self.bytes
    }

    fn of(self, expected: Type) -> Result<&'a [u8], Fault> {
        check_type(self.code, expected).map(|()| self.bytes)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// It has another type or length, or is neither.
    pub fn bool(self) -> Result<bool, Fault> {
        read_bool(*fixed(self.of(Type::Bool)?)?)
    }

    /// A text.
    ///
    /// # Errors
    /// It has another type, or is not UTF-8.
    pub fn string(self) -> Result<&'a str, Fault> {
        read_str(self.of(Type::String)?)
    }

    /// Bytes.
    ///
    /// # Errors
    /// It has another type.
    pub fn bytes(self) -> Result<&'a [u8], Fault> {
        self.of(Type::Bytes)
    }

    /// A list.
    ///
    /// # Errors
    /// It has another type, lies too deep, or cannot have as many elements as it says.
    pub fn array(self) -> Result<ArrayReader<'a>, Fault> {
        ArrayReader::nested(self.of(Type::Array)?, self.depth + 1)
    }

    /// A record.
    ///
    /// # Errors
    /// It has another type, or lies too deep.
    pub fn map(self) -> Result<TlvReader<'a>, Fault> {
        TlvReader::nested(self.of(Type::Map)?, self.depth + 1)
    }
}

/// Reads an array, element by element.
#[derive(Clone, Copy, Debug)]
pub struct ArrayReader<'a> {
    count: u32,
    rest: &'a [u8],
    depth: u8,
}

impl<'a> ArrayReader<'a> {
    /// Reads the array that `bytes`, themselves `depth` deep, are.
    #[inline]
    pub(crate) fn nested(bytes: &'a [u8], depth: u8) -> Result<Self, Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::TooDeep { depth_max: DEPTH_MAX });
        }
        let Some((count, rest)) = bytes.split_first_chunk::<COUNT_BYTES>() else {
            return Err(Fault::Truncated { needed: COUNT_BYTES, left: bytes.len() });
        };
        let count = u32::from_be_bytes(*count);
        if count > ELEMENTS_MAX {
            let (count, count_max) = (count as usize, ELEMENTS_MAX as usize);
            return Err(Fault::TooMany { count, count_max });
        }
        let needed = count as usize * ELEMENT_BYTES;
        if needed > rest.len() {
            return Err(Fault::Truncated { needed, left: rest.len() });
        }
        Ok(Self { count, rest, depth })
    }

    /// How many elements are still to come.
    #[inline]
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The next element, whatever it is.
    ///
    /// # Errors
    /// It is cut off, or bytes follow the last one.
    #[allow(clippy::should_implement_trait, reason = "an error ends it, an iterator would go on")]
    pub fn next(&mut self) -> Result<Option<Value<'a>>, Fault> {
        if self.count == 0 {
            return self.finish().map(|()| None);
        }
        let rest = self.rest;
        let Some((head, rest)) = rest.split_first_chunk::<ELEMENT_BYTES>() else {
            return Err(Fault::Truncated { needed: ELEMENT_BYTES, left: rest.len() });
        };
        let (bytes, rest) = take(rest, length(&head[1..]))?;
        (self.rest, self.count) = (rest, self.count - 1);
        Ok(Some(Value { code: head[0], bytes, depth: self.depth }))
    }

    /// How many bytes the elements' values have together, if they are what their array says.
    #[inline]
    pub(crate) fn value_bytes(&self) -> usize {
        self.rest.len() - self.count() * ELEMENT_BYTES
    }

    /// The bytes of the next element, which must have this type.
    #[inline]
    pub(crate) fn next_of(&mut self, expected: Type) -> Result<Option<&'a [u8]>, Fault> {
        if self.count > 0
            && let Some((head, rest)) = self.rest.split_first_chunk::<ELEMENT_BYTES>()
            && head[0] == expected.code()
            && let Some((bytes, rest)) = rest.split_at_checked(length(&head[1..]))
        {
            (self.rest, self.count) = (rest, self.count - 1);
            return Ok(Some(bytes));
        }
        match self.next()? {
            Some(value) => value.of(expected).map(Some),
            None => Ok(None),
        }
    }

    fn finish(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Trailing { bytes: self.rest.len() }) }
    }
}

/// Tag and type, as a field with them begins, and one byte more.
#[inline]
const fn start_of(tag: u16, expected: Type) -> u32 {
    (tag as u32) << 16 | (expected.code() as u32) << 8
}

/// Tag, type and length as one number of seven bytes.
#[inline]
const fn head_number(tag: u16, expected: Type, bytes: usize) -> u64 {
    (tag as u64) << 40 | (expected.code() as u64) << 32 | bytes as u64
}

/// Tag, type and length.
#[inline]
pub(crate) const fn head_of(tag: u16, expected: Type, bytes: u32) -> [u8; FIELD_BYTES] {
    let [_, head @ ..] = head_number(tag, expected, bytes as usize).to_be_bytes();
    head
}

#[inline]
fn length(bytes: &[u8]) -> usize {
    let bytes = bytes.first_chunk().expect("a head ends with its length");
    u32::from_be_bytes(*bytes) as usize
}

#[inline]
fn take(bytes: &[u8], needed: usize) -> Result<(&[u8], &[u8]), Fault> {
    bytes.split_at_checked(needed).ok_or(Fault::Truncated { needed, left: bytes.len() })
}

#[inline]
fn check_type(found: u8, expected: Type) -> Result<(), Fault> {
    if found == expected.code() { Ok(()) } else { Err(Fault::Type { found, expected }) }
}

#[inline]
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<&[u8; N], Fault> {
    bytes.try_into().map_err(|_| Fault::Length { bytes: bytes.len(), expected: N })
}

#[inline]
pub(crate) fn read_bool(byte: [u8; 1]) -> Result<bool, Fault> {
    match byte {
        [0] => Ok(false),
        [1] => Ok(true),
        [other] => Err(Fault::Value { found: u64::from(other), expected: "0 or 1" }),
    }
}

#[inline]
pub(crate) fn read_str(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::Utf8)
}

#[cfg(test)]
mod tests;
