//! A payload as a tree that can be changed anywhere and written again.

use crate::tlv::{TlvReader, Type, Value};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) code: u8,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Leaf(Vec<u8>),
    Array(Vec<Node>),
    Map(Vec<(u16, Node)>),
}

pub(super) fn read_record(mut reader: TlvReader<'_>) -> Vec<(u16, Node)> {
    let mut fields = Vec::new();
    while let Some(field) = reader.next().unwrap() {
        fields.push((field.tag, read_value(field.value)));
    }
    fields
}

fn read_value(value: Value<'_>) -> Node {
    let content = if let Ok(mut array) = value.array() {
        let mut elements = Vec::new();
        while let Some(element) = array.next().unwrap() {
            elements.push(read_value(element));
        }
        Content::Array(elements)
    } else if let Ok(map) = value.map() {
        Content::Map(read_record(map))
    } else {
        Content::Leaf(value.raw().to_vec())
    };
    Node { code: value.type_code(), content }
}

pub(super) fn leaf(kind: Type, bytes: &[u8]) -> Node {
    Node { code: kind.code(), content: Content::Leaf(bytes.to_vec()) }
}

pub(super) fn write_record(fields: &[(u16, Node)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, node) in fields {
        out.extend_from_slice(&tag.to_be_bytes());
        write_node(node, &mut out);
    }
    out
}

fn write_node(node: &Node, out: &mut Vec<u8>) {
    let mut value = Vec::new();
    match &node.content {
        Content::Leaf(bytes) => value.extend_from_slice(bytes),
        Content::Array(elements) => {
            value.extend_from_slice(&u32::try_from(elements.len()).unwrap().to_be_bytes());
            for element in elements {
                write_node(element, &mut value);
            }
        }
        Content::Map(fields) => value = write_record(fields),
    }
    out.push(node.code);
    out.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    out.extend_from_slice(&value);
}

/// Fields, by tag.
pub(super) type Fields = Vec<(u16, Node)>;

/// What is done to a record: by its name and its fields, every variant of it, each with what was done.
pub(super) type Change<'c, T> = dyn FnMut(&'static str, &[(u16, Node)]) -> Vec<(T, Fields)> + 'c;

/// Every variant of a record in which `change` was applied to it, or to one record within it.
pub(super) fn variants<T>(
    name: &'static str,
    fields: &[(u16, Node)],
    change: &mut Change<'_, T>,
) -> Vec<(T, Fields)> {
    let mut all = change(name, fields);
    for (at, (tag, node)) in fields.iter().enumerate() {
        let Some(info) = fields_of(name).iter().find(|info| info.tag == *tag) else { continue };
        let changed = match &node.content {
            Content::Leaf(_) => Vec::new(),
            Content::Map(inner) => {
                let inner = variants(info.of, inner, change).into_iter();
                inner.map(|(done, inner)| (done, Content::Map(inner))).collect()
            }
            Content::Array(elements) => variants_of_elements(info.of, elements, change),
        };
        for (done, content) in changed {
            let mut fields = fields.to_vec();
            fields[at].1.content = content;
            all.push((done, fields));
        }
    }
    all
}

fn variants_of_elements<T>(
    of: &'static str,
    elements: &[Node],
    change: &mut Change<'_, T>,
) -> Vec<(T, Content)> {
    let mut all = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let Content::Map(inner) = &element.content else { continue };
        for (done, inner) in variants(of, inner, change) {
            let mut elements = elements.to_vec();
            elements[index].content = Content::Map(inner);
            all.push((done, Content::Array(elements)));
        }
    }
    all
}

/// The fields of a record, by its name.
pub(super) fn fields_of(name: &str) -> &'static [crate::FieldInfo] {
    let messages = super::cases::messages();
    let message = messages.iter().find(|(record, ..)| *record == name);
    let part = super::cases::PARTS.iter().find(|(record, _)| *record == name);
    message.map(|(_, _, fields, _)| *fields).or(part.map(|(_, fields)| *fields)).unwrap()
}
