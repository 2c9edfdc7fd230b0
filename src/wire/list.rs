//! A field with many values: what is written is a slice of the writer's, what is read stays in the
//! payload.

use crate::message::{FieldInfo, FieldType, MessageError};
use crate::tlv::writer::{begin_element, begin_field, end, length};
use crate::tlv::{ArrayReader, Type};
use std::fmt;

/// Many values of one type. Make it from a slice; one that was decoded has had all its elements
/// checked.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Inner<'a, T>);

#[derive(Clone, Copy)]
enum Inner<'a, T> {
    /// To be written.
    Items(&'a [T]),
    /// Read: every element has been read once, and was right.
    Read(ArrayReader<'a>),
}

/// What a list's elements are read as, once they are known to be right.
const ELEMENT: FieldInfo = FieldInfo {
    record: "list",
    tag: 0,
    name: "element",
    value: Type::Array,
    of: "",
    default: None,
};

impl<T> List<'_, T> {
    /// No value.
    pub const EMPTY: Self = Self(Inner::Items(&[]));

    /// How many values.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Inner::Items(items) => items.len(),
            Inner::Read(array) => array.count(),
        }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: FieldType<'a>> List<'a, T> {
    /// The values, in their order.
    #[inline]
    pub fn iter(&self) -> ListIter<'a, T> {
        ListIter(self.0)
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&length(self.len()).to_be_bytes());
        match &self.0 {
            // By reference: an element may be as large as what it says.
            Inner::Items(items) => items.iter().for_each(|item| item.write_element(out)),
            Inner::Read(_) => self.iter().for_each(|item| item.write_element(out)),
        }
    }
}

impl List<'_, &[u8]> {
    /// How many bytes the values have together.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Inner::Items(items) => items.iter().map(|item| item.len()).sum(),
            Inner::Read(array) => array.value_bytes(),
        }
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a, T> From<&'a [T]> for List<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Inner::Items(items))
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for List<'a, T> {
    fn from(items: &'a [T; N]) -> Self {
        Self(Inner::Items(items))
    }
}

impl<'a, T: FieldType<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: FieldType<'a>> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: FieldType<'a>> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: FieldType<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: FieldType<'a>> FieldType<'a> for List<'a, T> {
    const TYPE: Type = Type::Array;
    const OF: &'static str = T::NAME;

    #[inline]
    fn write_field(&self, tag: u16, out: &mut Vec<u8>) {
        let at = begin_field(out, tag, Type::Array);
        self.write(out);
        end(out, at);
    }

    fn write_element(&self, out: &mut Vec<u8>) {
        let at = begin_element(out, Type::Array);
        self.write(out);
        end(out, at);
    }

    #[inline]
    fn read(bytes: &'a [u8], depth: u8, field: &FieldInfo) -> Result<Self, MessageError> {
        let error = |fault| field.error(fault);
        let array = ArrayReader::nested(bytes, depth).map_err(error)?;
        let mut elements = array;
        while let Some(element) = elements.next_of(T::TYPE).map_err(error)? {
            T::read(element, depth + 1, field)?;
        }
        Ok(Self(Inner::Read(array)))
    }
}

/// The values of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a, T>(Inner<'a, T>);

impl<'a, T: FieldType<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Inner::Items(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
            Inner::Read(array) => {
                let checked = "every element was read when the list was";
                let element = array.next_of(T::TYPE).expect(checked)?;
                // Depth was checked as well.
                Some(T::read(element, 0, &ELEMENT).expect(checked))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = match &self.0 {
            Inner::Items(items) => items.len(),
            Inner::Read(array) => array.count(),
        };
        (count, Some(count))
    }
}

impl<'a, T: FieldType<'a>> ExactSizeIterator for ListIter<'a, T> {}

impl<T> fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListIter").finish_non_exhaustive()
    }
}
