//! What payloads have in common: records of typed fields, made by one macro.
//!
//! Invariants:
//! - a field without a default is required: its absence is an error that names record and field;
//! - a field with one is left out where it has that value, and read as that value where it is absent;
//! - the tags of a record rise in the order of its fields: that is checked when it is compiled.

use crate::kind::Kind;
use crate::tlv::writer::{begin_element, begin_field, end, put_bytes, put_element, put_fixed};
use crate::tlv::{self, Fault, TlvReader, Type};

/// One field of a record, as docs/WIRE.md draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Of which record.
    pub record: &'static str,
    /// Its number.
    pub tag: u16,
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub value: Type,
    /// Of an array, what its elements are; of a map, which record it is; else nothing.
    pub of: &'static str,
    /// What stands there when it is left out; nothing when it must not be.
    pub default: Option<&'static str>,
}

impl FieldInfo {
    #[cold]
    pub(crate) fn error(&self, fault: Fault) -> MessageError {
        MessageError { record: self.record, field: self.name, fault }
    }
}

/// A payload that is not the message it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{record}.{field} {fault}")]
pub struct MessageError {
    /// Of which record: a message, or a part of one.
    pub record: &'static str,
    /// Which field, `*` where that cannot be said.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
}

impl MessageError {
    #[cold]
    pub(crate) fn of_record(record: &'static str, fault: Fault) -> Self {
        Self { record, field: "*", fault }
    }
}

/// A struct whose fields travel as a record.
pub trait Record<'a>: Sized {
    /// Its name.
    const NAME: &'static str;

    /// Its fields, by rising tags.
    const FIELDS: &'static [FieldInfo];

    /// Appends the fields.
    fn write_fields(&self, out: &mut Vec<u8>);

    /// Reads the fields.
    ///
    /// # Errors
    /// One is missing or is not what it should be.
    fn read_fields(reader: TlvReader<'a>) -> Result<Self, MessageError>;
}

/// A record that is the payload of a frame.
pub trait Message<'a>: Record<'a> {
    /// The kind of its frames.
    const KIND: Kind;

    /// Appends the payload.
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.write_fields(out);
    }

    /// Reads a payload. The message borrows it.
    ///
    /// # Errors
    /// A field is missing or is not what it should be.
    #[inline]
    fn decode(payload: &'a [u8]) -> Result<Self, MessageError> {
        Self::read_fields(TlvReader::new(payload))
    }
}

/// What a field can be.
pub trait FieldType<'a>: Copy + PartialEq {
    /// How it travels.
    const TYPE: Type;

    /// What it is called where it is an element: its type, or its record.
    const NAME: &'static str = Self::TYPE.name();

    /// What it consists of, when it is an array or a map.
    const OF: &'static str = "";

    /// Appends it as a field.
    fn write_field(&self, tag: u16, out: &mut Vec<u8>);

    /// Appends it as an element of an array.
    fn write_element(&self, out: &mut Vec<u8>);

    /// Reads it from its bytes, `depth` deep.
    ///
    /// # Errors
    /// They are not what they should be.
    fn read(bytes: &'a [u8], depth: u8, field: &FieldInfo) -> Result<Self, MessageError>;

    /// Finds it in a record.
    ///
    /// # Errors
    /// It is not what it should be, or something up to it is broken.
    #[allow(clippy::inline_always, reason = "the field is a constant")]
    #[inline(always)]
    fn find(reader: &mut TlvReader<'a>, field: &FieldInfo) -> Result<Option<Self>, MessageError> {
        match reader.find(field.tag, Self::TYPE) {
            Ok(Some(bytes)) => Self::read(bytes, reader.depth() + 1, field).map(Some),
            Ok(None) => Ok(None),
            Err(fault) => Err(field.error(fault)),
        }
    }
}

macro_rules! fixed_types {
    ($($name:ty: $kind:ident $width:literal, $write:expr, $read:expr;)*) => {$(
        impl<'a> FieldType<'a> for $name {
            const TYPE: Type = Type::$kind;

            #[inline]
            fn write_field(&self, tag: u16, out: &mut Vec<u8>) {
                put_fixed(out, tag, Type::$kind, $write(*self));
            }

            #[inline]
            fn write_element(&self, out: &mut Vec<u8>) {
                put_element(out, Type::$kind, &$write(*self));
            }

            #[inline]
            fn read(bytes: &'a [u8], _: u8, field: &FieldInfo) -> Result<Self, MessageError> {
                let read: fn(&[u8; $width]) -> Result<Self, Fault> = $read;
                tlv::fixed(bytes).and_then(read).map_err(|fault| field.error(fault))
            }

            #[allow(clippy::inline_always, reason = "the field is a constant")]
            #[inline(always)]
            fn find(
                reader: &mut TlvReader<'a>,
                field: &FieldInfo,
            ) -> Result<Option<Self>, MessageError> {
                let read: fn(&[u8; $width]) -> Result<Self, Fault> = $read;
                let found = match reader.find_fixed(field.tag, Self::TYPE) {
                    Ok(Some(bytes)) => read(bytes),
                    Ok(None) => return Ok(None),
                    Err(fault) => Err(fault),
                };
                found.map(Some).map_err(|fault| field.error(fault))
            }
        }
    )*};
}

fixed_types! {
    u8: U8 1, u8::to_be_bytes, |bytes| Ok(u8::from_be_bytes(*bytes));
    u16: U16 2, u16::to_be_bytes, |bytes| Ok(u16::from_be_bytes(*bytes));
    u32: U32 4, u32::to_be_bytes, |bytes| Ok(u32::from_be_bytes(*bytes));
    u64: U64 8, u64::to_be_bytes, |bytes| Ok(u64::from_be_bytes(*bytes));
    i64: I64 8, i64::to_be_bytes, |bytes| Ok(i64::from_be_bytes(*bytes));
    f64: F64 8, f64::to_be_bytes, |bytes| Ok(f64::from_be_bytes(*bytes));
    bool: Bool 1, |value| [u8::from(value)], |bytes| tlv::read_bool(*bytes);
}

impl<'a> FieldType<'a> for &'a [u8] {
    const TYPE: Type = Type::Bytes;

    #[inline]
    fn write_field(&self, tag: u16, out: &mut Vec<u8>) {
        put_bytes(out, tag, Type::Bytes, self);
    }

    #[inline]
    fn write_element(&self, out: &mut Vec<u8>) {
        put_element(out, Type::Bytes, self);
    }

    #[inline]
    fn read(bytes: &'a [u8], _: u8, _: &FieldInfo) -> Result<Self, MessageError> {
        Ok(bytes)
    }
}

impl<'a> FieldType<'a> for &'a str {
    const TYPE: Type = Type::String;

    #[inline]
    fn write_field(&self, tag: u16, out: &mut Vec<u8>) {
        put_bytes(out, tag, Type::String, self.as_bytes());
    }

    #[inline]
    fn write_element(&self, out: &mut Vec<u8>) {
        put_element(out, Type::String, self.as_bytes());
    }

    #[inline]
    fn read(bytes: &'a [u8], _: u8, field: &FieldInfo) -> Result<Self, MessageError> {
        tlv::read_str(bytes).map_err(|fault| field.error(fault))
    }
}

/// Appends a record as a field of another.
#[inline]
pub(crate) fn write_record_field<'a>(record: &impl Record<'a>, tag: u16, out: &mut Vec<u8>) {
    let at = begin_field(out, tag, Type::Map);
    record.write_fields(out);
    end(out, at);
}

/// Appends a record as an element.
#[inline]
pub(crate) fn write_record_element<'a>(record: &impl Record<'a>, out: &mut Vec<u8>) {
    let at = begin_element(out, Type::Map);
    record.write_fields(out);
    end(out, at);
}

/// Whether every tag is larger than the one before.
pub(crate) const fn tags_rise(fields: &[FieldInfo]) -> bool {
    let mut at = 1;
    while at < fields.len() {
        if fields[at].tag <= fields[at - 1].tag {
            return false;
        }
        at += 1;
    }
    true
}

/// A struct that travels as a record:
///
/// ```text
/// record! {
///     pub struct Name<'a> = "name" {
///         1 required: u64,
///         2 left_out_when_empty: &'a str = "",
///     }
///     check = function          // optional: what the fields' types do not say
/// }
/// ```
macro_rules! record {
    (
        $(#[$doc:meta])*
        pub struct $name:ident $(<$life:lifetime>)? = $text:literal {
            $($(#[$field_doc:meta])* $tag:literal $field:ident: $type:ty $(= $default:expr)?,)*
        }
        $(check = $check:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        #[allow(
            clippy::float_cmp,
            reason = "a default is left out where the very same bits would be read"
        )]
        impl<'a> $crate::message::Record<'a> for $name $(<$life>)? {
            const NAME: &'static str = $text;

            const FIELDS: &'static [$crate::message::FieldInfo] = {
                let fields: &'static [$crate::message::FieldInfo] = &[
                    $($crate::message::record!(@info $text, $tag, $field, $type $(, $default)?),)*
                ];
                assert!($crate::message::tags_rise(fields), "tags rise");
                fields
            };

            #[inline]
            fn write_fields(&self, out: &mut Vec<u8>) {
                $($crate::message::record!(@write self, out, $tag, $field $(, $default)?);)*
                let _ = out;
            }

            #[allow(clippy::inline_always, reason = "who goes through a list uses but few fields")]
            #[inline(always)]
            fn read_fields(
                reader: $crate::tlv::TlvReader<'a>,
            ) -> Result<Self, $crate::message::MessageError> {
                #[allow(unused_mut, reason = "a record without fields is only skipped through")]
                let mut reader = reader;
                $(
                    let $field = $crate::message::record!(
                        @read reader,
                        const { &$crate::message::record!(@info $text, $tag, $field, $type $(, $default)?) },
                        $type $(, $default)?
                    );
                )*
                if let Err(fault) = reader.finish() {
                    return Err($crate::message::MessageError::of_record($text, fault));
                }
                let record = Self { $($field,)* };
                $($check(&record)?;)?
                Ok(record)
            }
        }
    };

    (@info $text:literal, $tag:literal, $field:ident, $type:ty $(, $default:expr)?) => {
        $crate::message::FieldInfo {
            record: $text,
            tag: $tag,
            name: stringify!($field),
            value: <$type as $crate::message::FieldType<'_>>::TYPE,
            of: <$type as $crate::message::FieldType<'_>>::OF,
            default: $crate::message::record!(@default $($default)?),
        }
    };
    (@default) => { None };
    (@default $default:expr) => { Some(stringify!($default)) };

    (@write $self:ident, $out:ident, $tag:literal, $field:ident) => {
        $crate::message::FieldType::write_field(&$self.$field, $tag, $out)
    };
    (@write $self:ident, $out:ident, $tag:literal, $field:ident, $default:expr) => {
        if $self.$field != $default {
            $crate::message::FieldType::write_field(&$self.$field, $tag, $out)
        }
    };

    (@read $reader:ident, $info:expr, $type:ty) => {
        match <$type as $crate::message::FieldType<'_>>::find(&mut $reader, $info)? {
            Some(value) => value,
            None => return Err($info.error($crate::tlv::Fault::Missing)),
        }
    };
    (@read $reader:ident, $info:expr, $type:ty, $default:expr) => {
        match <$type as $crate::message::FieldType<'_>>::find(&mut $reader, $info)? {
            Some(value) => value,
            None => $default,
        }
    };
}

/// A record that is a message of the named kind.
macro_rules! message {
    (
        $(#[$doc:meta])*
        pub struct $name:ident $(<$life:lifetime>)?: $kind:ident = $text:literal { $($fields:tt)* }
        $($rest:tt)*
    ) => {
        $crate::message::record! {
            $(#[$doc])*
            pub struct $name $(<$life>)? = $text { $($fields)* }
            $($rest)*
        }

        impl<'a> $crate::message::Message<'a> for $name $(<$life>)? {
            const KIND: $crate::kind::Kind = $crate::kind::Kind::$kind;
        }
    };
}

/// A record that is a part of another.
macro_rules! part {
    (
        $(#[$doc:meta])*
        pub struct $name:ident $(<$life:lifetime>)? = $($rest:tt)*
    ) => {
        $crate::message::record! {
            $(#[$doc])*
            pub struct $name $(<$life>)? = $($rest)*
        }

        impl<'a> $crate::message::FieldType<'a> for $name $(<$life>)? {
            const TYPE: $crate::tlv::Type = $crate::tlv::Type::Map;
            const NAME: &'static str = <Self as $crate::message::Record<'a>>::NAME;
            const OF: &'static str = <Self as $crate::message::Record<'a>>::NAME;

            #[inline]
            fn write_field(&self, tag: u16, out: &mut Vec<u8>) {
                $crate::message::write_record_field(self, tag, out);
            }

            #[inline]
            fn write_element(&self, out: &mut Vec<u8>) {
                $crate::message::write_record_element(self, out);
            }

            #[allow(clippy::inline_always, reason = "who goes through a list uses but few fields")]
            #[inline(always)]
            fn read(
                bytes: &'a [u8],
                depth: u8,
                field: &$crate::message::FieldInfo,
            ) -> Result<Self, $crate::message::MessageError> {
                match $crate::tlv::TlvReader::nested(bytes, depth) {
                    Ok(reader) => $crate::message::Record::read_fields(reader),
                    Err(fault) => Err(field.error(fault)),
                }
            }
        }
    };
}

pub(crate) use {message, part, record};
