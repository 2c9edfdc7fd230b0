//! Fields appended to a buffer of the caller's.

use super::{COUNT_BYTES, FIELD_BYTES, Type, head_of};

/// Writes a record at the end of a buffer. Tags must rise: that is asserted.
#[derive(Debug)]
pub struct TlvWriter<'o> {
    out: &'o mut Vec<u8>,
    last: i32,
}

impl<'o> TlvWriter<'o> {
    /// Appends to `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, last: -1 }
    }

    fn next(&mut self, tag: u16) -> &mut Vec<u8> {
        assert!(i32::from(tag) > self.last, "tags rise: {tag} after {}", self.last);
        self.last = i32::from(tag);
        self.out
    }

    /// A number.
    pub fn u8(&mut self, tag: u16, value: u8) {
        put_fixed(self.next(tag), tag, Type::U8, value.to_be_bytes());
    }

    /// A number.
    pub fn u16(&mut self, tag: u16, value: u16) {
        put_fixed(self.next(tag), tag, Type::U16, value.to_be_bytes());
    }

    /// A number.
    pub fn u32(&mut self, tag: u16, value: u32) {
        put_fixed(self.next(tag), tag, Type::U32, value.to_be_bytes());
    }

    /// A number.
    pub fn u64(&mut self, tag: u16, value: u64) {
        put_fixed(self.next(tag), tag, Type::U64, value.to_be_bytes());
    }

    /// A signed number.
    pub fn i64(&mut self, tag: u16, value: i64) {
        put_fixed(self.next(tag), tag, Type::I64, value.to_be_bytes());
    }

    /// A number that may have a fraction.
    pub fn f64(&mut self, tag: u16, value: f64) {
        put_fixed(self.next(tag), tag, Type::F64, value.to_be_bytes());
    }

    /// Yes or no.
    pub fn bool(&mut self, tag: u16, value: bool) {
        put_fixed(self.next(tag), tag, Type::Bool, [u8::from(value)]);
    }

    /// A text.
    pub fn string(&mut self, tag: u16, value: &str) {
        put_bytes(self.next(tag), tag, Type::String, value.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, tag: u16, value: &[u8]) {
        put_bytes(self.next(tag), tag, Type::Bytes, value);
    }

    /// A record within this one.
    pub fn map(&mut self, tag: u16, fields: impl FnOnce(&mut TlvWriter<'_>)) {
        let out = self.next(tag);
        let at = begin_field(out, tag, Type::Map);
        fields(&mut TlvWriter::new(out));
        end(out, at);
    }

    /// A list.
    pub fn array(&mut self, tag: u16, elements: impl FnOnce(&mut ArrayWriter<'_>)) {
        let out = self.next(tag);
        let at = begin_field(out, tag, Type::Array);
        write_array(out, elements);
        end(out, at);
    }
}

/// Writes the elements of an array; it counts them itself.
#[derive(Debug)]
pub struct ArrayWriter<'o> {
    out: &'o mut Vec<u8>,
    count: u32,
}

impl ArrayWriter<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        self.count += 1;
        self.out
    }

    /// A number.
    pub fn u64(&mut self, value: u64) {
        put_element(self.next(), Type::U64, &value.to_be_bytes());
    }

    /// A text.
    pub fn string(&mut self, value: &str) {
        put_element(self.next(), Type::String, value.as_bytes());
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        put_element(self.next(), Type::Bytes, value);
    }

    /// A record.
    pub fn map(&mut self, fields: impl FnOnce(&mut TlvWriter<'_>)) {
        let out = self.next();
        let at = begin_element(out, Type::Map);
        fields(&mut TlvWriter::new(out));
        end(out, at);
    }

    /// A list.
    pub fn array(&mut self, elements: impl FnOnce(&mut ArrayWriter<'_>)) {
        let out = self.next();
        let at = begin_element(out, Type::Array);
        write_array(out, elements);
        end(out, at);
    }
}

fn write_array(out: &mut Vec<u8>, elements: impl FnOnce(&mut ArrayWriter<'_>)) {
    let at = out.len();
    out.extend_from_slice(&[0; COUNT_BYTES]);
    let mut array = ArrayWriter { out, count: 0 };
    elements(&mut array);
    let count = array.count;
    out[at..][..COUNT_BYTES].copy_from_slice(&count.to_be_bytes());
}

/// A length as it is written.
#[inline]
pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a value is shorter than 4 GiB")
}

/// The longest of the values whose length is fixed. Unit: bytes.
const FIXED_BYTES_MAX: usize = 8;

/// A field whose value always has `N` bytes. It is put together first, so that it costs one look at
/// the buffer's capacity.
#[inline]
pub(crate) fn put_fixed<const N: usize>(out: &mut Vec<u8>, tag: u16, kind: Type, value: [u8; N]) {
    const { assert!(N <= FIXED_BYTES_MAX) };
    let mut field = [0; FIELD_BYTES + FIXED_BYTES_MAX];
    field[..FIELD_BYTES].copy_from_slice(&head_of(tag, kind, length(N)));
    field[FIELD_BYTES..][..N].copy_from_slice(&value);
    out.extend_from_slice(&field[..FIELD_BYTES + N]);
}

#[inline]
pub(crate) fn put_bytes(out: &mut Vec<u8>, tag: u16, kind: Type, value: &[u8]) {
    out.extend_from_slice(&head_of(tag, kind, length(value.len())));
    out.extend_from_slice(value);
}

#[inline]
pub(crate) fn put_element(out: &mut Vec<u8>, kind: Type, value: &[u8]) {
    let [a, b, c, d] = length(value.len()).to_be_bytes();
    out.extend_from_slice(&[kind.code(), a, b, c, d]);
    out.extend_from_slice(value);
}

/// Begins a field whose length is not known yet. Returns where its value begins, for [`end`].
#[inline]
pub(crate) fn begin_field(out: &mut Vec<u8>, tag: u16, kind: Type) -> usize {
    out.extend_from_slice(&head_of(tag, kind, 0));
    out.len()
}

/// The same for an element.
#[inline]
pub(crate) fn begin_element(out: &mut Vec<u8>, kind: Type) -> usize {
    out.extend_from_slice(&[kind.code(), 0, 0, 0, 0]);
    out.len()
}

/// Ends what began at `at`: its length stands in front.
#[inline]
pub(crate) fn end(out: &mut [u8], at: usize) {
    let bytes = length(out.len() - at);
    out[at - 4..at].copy_from_slice(&bytes.to_be_bytes());
}
