//! The node, asked over HTTP.

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer that is read. Unit: bytes. A page of 1,000 instances is a quarter of a MiB; one
/// message with its instances may be larger.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How the catalogue is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Add, or do.
    Post,
    /// Put in its place.
    Put,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    agent: ureq::Agent,
}

/// What a node said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Byte for byte.
    text: String,
    /// The same, read.
    pub(crate) value: Value,
}

impl Answer {
    /// What the node said, unchanged.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Prints what the node said, unchanged: reading and writing it again could lose digits.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.text)
    }
}

impl Server {
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/');
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        anyhow::ensure!(
            url.starts_with("http://"),
            "--server {url}: only http:// is supported; a node listens on its own machine"
        );
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // A node is asked directly, whatever proxy the shell names for the web.
            .proxy(None)
            .max_redirects(0)
            .build()
            .new_agent();
        Ok(Self { url, agent })
    }

    /// `GET`.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let called = self.agent.get(format!("{}{path}", self.url)).call();
        self.answer(called)
    }

    /// `POST` without a body.
    pub(crate) fn post(&self, path: &str) -> anyhow::Result<Answer> {
        let called = self.agent.post(format!("{}{path}", self.url)).send_empty();
        self.answer(called)
    }

    /// `POST` with a JSON body.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let called = self.agent.post(format!("{}{path}", self.url)).send_json(body);
        self.answer(called)
    }

    /// `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        let called = self.agent.delete(format!("{}{path}", self.url)).call();
        self.answer(called)
    }

    /// `PUT` with a JSON body.
    pub(crate) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        let called = self.agent.put(format!("{}{path}", self.url)).send_json(body);
        self.answer(called)
    }

    /// `POST` or `PUT` of a change of the catalogue, in the name of `by`.
    pub(crate) fn change(
        &self,
        method: Change,
        path: &str,
        body: Option<&str>,
        by: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.url);
        let mut request = match method {
            Change::Post => self.agent.post(url),
            Change::Put => self.agent.put(url),
        };
        if let Some(by) = by {
            request = request.header(api::USER_HEADER, by);
        }
        let called = match body {
            Some(body) => request.header("content-type", "application/json").send(body),
            None => request.send_empty(),
        };
        self.answer(called)
    }

    fn answer(
        &self,
        called: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<Answer> {
        let mut response = called.map_err(|error| self.no_answer(error))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = body.read_to_string().map_err(|error| self.no_answer(error))?;
        let value: Option<Value> = serde_json::from_str(&text).ok();
        if status.is_success() {
            let value = value.with_context(|| {
                format!("{} answered {status} without JSON: is it a DistriC node?", self.url)
            })?;
            return Ok(Answer { text, value });
        }
        Err(match value.and_then(Refused::of) {
            Some(refused) => anyhow::Error::new(refused),
            None => anyhow!("{} answered {status}", self.url),
        })
    }

    fn no_answer(&self, error: ureq::Error) -> anyhow::Error {
        let url = &self.url;
        let refused = matches!(
            &error,
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused
        ) || matches!(error, ureq::Error::ConnectionFailed);
        if refused {
            return anyhow!(
                "no node answers at {url}; start one with `distric-shard` or name it with --server"
            );
        }
        match error {
            ureq::Error::Timeout(_) => {
                anyhow!("{url} did not answer within {} s", TIMEOUT.as_secs())
            }
            ureq::Error::HostNotFound => anyhow!("--server {url}: there is no such host"),
            ureq::Error::Protocol(_) => anyhow!(
                "what answers at {url} speaks no HTTP: name the address that the node prints as \
                 its API, not that of the binary protocol"
            ),
            other => anyhow::Error::new(other).context(format!("cannot ask {url}")),
        }
    }
}

/// A node's refusal: what happened, what to do, and the faults of a file.
#[derive(Debug)]
pub(crate) struct Refused {
    value: Value,
}

impl Refused {
    fn of(value: Value) -> Option<Self> {
        value.get("detail")?.as_str()?;
        Some(Self { value })
    }

    #[cfg(test)]
    pub(crate) fn new(value: Value) -> Self {
        Self::of(value).expect("a refusal has a detail")
    }

    /// As the node said it.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &str {
        self.value.get("hint").and_then(Value::as_str).unwrap_or_default()
    }
}

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let detail = self.value.get("detail").and_then(Value::as_str).unwrap_or_default();
        let faults = self.value.get("faults").and_then(Value::as_array);
        let Some(faults) = faults.filter(|faults| !faults.is_empty()) else {
            return write!(out, "{detail}; {}", self.hint());
        };
        // The first of them is the detail.
        write!(out, "the node refuses it; {}", self.hint())?;
        for fault in faults {
            let part = |name: &str| fault.get(name).and_then(Value::as_str).unwrap_or_default();
            let number = |name: &str| fault.get(name).and_then(Value::as_u64).unwrap_or_default();
            let (file, what) = (part("file"), part("what"));
            let (line, column) = (number("line"), number("column"));
            // What was sent may not be what stands in a file: then it has no name.
            let place = if file.is_empty() { "line " } else { file };
            let colon = if file.is_empty() { "" } else { ":" };
            write!(out, "\n{place}{colon}{line}:{column}: {what}")?;
            if let Some(hint) = fault.get("hint").and_then(Value::as_str) {
                write!(out, "\n  = {hint}")?;
            }
        }
        Ok(())
    }
}

/// `text` as it may stand in a path or a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a text takes everything");
        }
    }
    encoded
}

/// `path` with those parameters that have a value.
pub(crate) fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut text = path.to_owned();
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            write!(text, "{separator}{name}={}", encoded(value)).expect("a text takes everything");
            separator = '&';
        }
    }
    text
}
