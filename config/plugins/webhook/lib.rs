//! webhook: posts JSON to a web server, over plain HTTP/1.1.
//!
//! The built-in `http` task does more (TLS, kept connections, headers) and needs no process. This one
//! is here to show a plugin that uses the network, which its manifest has to allow.
//!
//! ```text
//! config   {"url": "http://127.0.0.1:9000/hook"}
//! input    any JSON: it is the body
//! output   {"status": 200, "body": ...}            JSON where the answer is, text otherwise
//! ```

use distric_plugin_sdk::{Failure, Plugin, Task, Value, export_plugin, json};
use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long a call may take where the task has no limit of its own.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The longest answer that is read. Unit: bytes.
const ANSWER_BYTES_MAX: u64 = 128 * 1024;

/// Where it posts to.
pub struct Webhook {
    /// `host:port`.
    authority: String,
    path: String,
}

impl Webhook {
    fn of(config: &Value) -> Result<Self, String> {
        let url = config["url"].as_str().ok_or("the configuration needs `url`")?;
        let rest = url.strip_prefix("http://").ok_or("`url` must begin with http://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || !is_plain(rest) {
            return Err(format!("`{url}` is no URL that can be posted to"));
        }
        let port =
            if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
                ""
            } else {
                ":80"
            };
        Ok(Self { authority: format!("{authority}{port}"), path: format!("/{path}") })
    }

    fn post(&self, task: &Task<'_>, body: &str) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + task.timeout().unwrap_or(TIMEOUT);
        let left = || {
            deadline
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
                .ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut))
        };
        let address = self.authority.to_socket_addrs()?.next();
        let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, left()?)?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Idempotency-Key: {}\r\nConnection: close\r\n\r\n",
            self.path,
            self.authority,
            body.len(),
            task.idempotency_key()
        );
        stream.set_write_timeout(Some(left()?))?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            stream.set_read_timeout(Some(left()?))?;
            let bytes = stream.read(&mut piece)?;
            answer.extend_from_slice(&piece[..bytes]);
            if bytes == 0 || answer.len() as u64 > ANSWER_BYTES_MAX {
                return Ok(answer);
            }
        }
    }
}

/// Status and body. A body in chunks is refused: `Connection: close` asks for none, and HTTP/1.0 has
/// none.
fn read_answer(answer: &[u8]) -> Option<(u16, Value)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = words.next()?.parse().ok()?;
    if lines.any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding:")) {
        return None;
    }
    let body = String::from_utf8_lossy(&answer[end + 4..]);
    let body = distric_plugin_sdk::parse_json(&body).unwrap_or_else(|| json!(body));
    Some((status, body))
}

impl Plugin for Webhook {
    const NAME: &CStr = c"webhook";
    const VERSION: &CStr = c"1.0.0";

    fn validate_config(config: &Value) -> Result<(), String> {
        Self::of(config).map(|_| ())
    }

    fn init(config: &Value) -> Result<Self, Failure> {
        Self::of(config).map_err(Failure::from)
    }

    fn execute(&self, task: &Task<'_>, input: &Value) -> Result<Value, Failure> {
        let authority = &self.authority;
        let answer = self.post(task, &input.to_string()).map_err(|error| {
            Failure::new("no_answer", format!("{authority}: {error}")).retryable()
        })?;
        let (status, body) = read_answer(&answer).ok_or_else(|| {
            Failure::new("bad_answer", format!("what {authority} answered is no HTTP of one piece"))
        })?;
        match status {
            200..=299 => Ok(json!({ "status": status, "body": body })),
            500..=599 | 429 => {
                let message = format!("{authority} answered {status}");
                Err(Failure::new(format!("http_{status}"), message).retryable())
            }
            _ => Err(Failure::new(
                format!("http_{status}"),
                format!("{authority} answered {status}"),
            )),
        }
    }
}

export_plugin!(Webhook);

#[cfg(test)]
mod tests;
