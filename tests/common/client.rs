//! HTTP/1.1 with every byte under control: connections that stay open, requests sent ahead of
//! their answers, halves of requests.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A peer that says nothing for so long is taken for hung.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// Read and not yet taken.
    buffer: Vec<u8>,
}

/// A request or an answer, whole.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// The request's or the status line.
    pub(crate) first_line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address)?)
    }

    pub(crate) fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> io::Result<Message> {
        self.message(true)
    }

    /// One request, one answer.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Message> {
        self.send(&request(method, path, headers, body))?;
        self.message(method != "HEAD")
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Message> {
        self.call("GET", path, &[], b"")
    }

    /// The next request or answer. A peer that has closed is `UnexpectedEof`.
    pub(crate) fn message(&mut self, has_body: bool) -> io::Result<Message> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more()?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end - 4]).into_owned();
        self.buffer.drain(..end);
        let mut lines = head.split("\r\n");
        let mut message = Message {
            first_line: lines.next().unwrap_or_default().to_owned(),
            headers: lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect(),
            body: Vec::new(),
        };
        if let (true, Some(length)) = (has_body, message.header("content-length")) {
            let length: usize = length.parse().map_err(io::Error::other)?;
            while self.buffer.len() < length {
                self.read_more()?;
            }
            message.body = self.buffer.drain(..length).collect();
        }
        Ok(message)
    }

    fn read_more(&mut self) -> io::Result<()> {
        let used = self.buffer.len();
        self.buffer.resize(used + CHUNK_BYTES, 0);
        // A read with a timeout is not begun again by itself when something interrupts it.
        let read = loop {
            match self.stream.read(&mut self.buffer[used..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(used + read.as_ref().map_or(0, |read| *read));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Whether the peer has closed in order: its end, and nothing before it.
    pub(crate) fn is_closed_by_peer(&mut self) -> bool {
        matches!(self.read_more(), Err(error) if error.kind() == io::ErrorKind::UnexpectedEof)
    }
}

impl Message {
    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        let status = self.first_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("`{}` is no status line", self.first_line))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.first_line, self.text()))
    }

    /// The body as JSON, of an answer that must have this status.
    pub(crate) fn json_of(&self, status: u16) -> Value {
        assert_eq!(self.status(), status, "{}", self.text());
        self.json()
    }
}

/// A request's bytes.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() || matches!(method, "POST" | "PUT") {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}
