//! A reader of HTTP/1.1 answers that keeps their status and skips their bodies.
//!
//! Invariants:
//! - however the bytes are cut, the same answers come out;
//! - at most [`HEAD_BYTES_MAX`] bytes are kept.

/// The longest head. Unit: bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// An answer, once its body has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The server will close the connection.
    pub(crate) closes: bool,
}

/// Bytes that are no answer this reader understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadAnswer {
    NotHttp,
    HeadTooLong,
    Chunked,
    NoLength,
}

impl BadAnswer {
    /// What is wrong, in words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotHttp => "the answer is not HTTP/1.1",
            Self::HeadTooLong => "the answer's head is longer than 16 KiB",
            Self::Chunked => "the answer is chunked, which this generator does not read",
            Self::NoLength => "the answer has no Content-Length",
        }
    }
}

/// Reads answers out of whatever pieces a socket gives.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The beginning of a head whose end has not come yet.
    head: Vec<u8>,
    /// The answer whose body is passing, and how much of the body is still to come.
    body: Option<(Answer, u64)>,
}

/// What a head says.
#[derive(Clone, Copy, Debug)]
struct Head {
    answer: Answer,
    length: u64,
    /// 100 to 199: another head follows.
    interim: bool,
}

impl Reader {
    /// Takes bytes from the front of `input` until an answer has passed or nothing is left.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Answer>, BadAnswer> {
        loop {
            if let Some((answer, rest)) = self.body {
                let here = usize::try_from(rest).unwrap_or(usize::MAX).min(input.len());
                *input = &input[here..];
                let rest = rest - here as u64;
                if rest > 0 {
                    self.body = Some((answer, rest));
                    return Ok(None);
                }
                self.body = None;
                return Ok(Some(answer));
            }
            let Some(head) = self.head(input)? else { return Ok(None) };
            if !head.interim {
                self.body = Some((head.answer, head.length));
            }
        }
    }

    /// Reads a head from the front of `input`, together with what came before of it.
    fn head(&mut self, input: &mut &[u8]) -> Result<Option<Head>, BadAnswer> {
        if self.head.is_empty() {
            // Nearly always the whole head is there, and nothing is copied.
            if let Some(end) = head_end(input, 0) {
                let head = parse(&input[..end]);
                *input = &input[end..];
                return head.map(Some);
            }
        }
        let kept = self.head.len();
        let room = HEAD_BYTES_MAX - kept;
        let here = room.min(input.len());
        self.head.extend_from_slice(&input[..here]);
        let Some(end) = head_end(&self.head, kept.saturating_sub(3)) else {
            *input = &input[here..];
            let full = self.head.len() == HEAD_BYTES_MAX;
            return if full { Err(BadAnswer::HeadTooLong) } else { Ok(None) };
        };
        let head = parse(&self.head[..end]);
        *input = &input[end - kept..];
        self.head.clear();
        head.map(Some)
    }
}

/// Where the empty line ends that ends a head, looked for from `from` on.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'\r') {
        at += found;
        if bytes[at..].starts_with(b"\r\n\r\n") {
            return Some(at + 4);
        }
        at += 1;
    }
    None
}

fn parse(head: &[u8]) -> Result<Head, BadAnswer> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let status = status(lines.next().unwrap_or_default()).ok_or(BadAnswer::NotHttp)?;
    let mut length = None;
    let mut closes = false;
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let text = std::str::from_utf8(value).map_err(|_| BadAnswer::NotHttp)?;
            length = Some(text.parse().map_err(|_| BadAnswer::NotHttp)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(BadAnswer::Chunked);
        } else if name.eq_ignore_ascii_case(b"connection") {
            closes = value.eq_ignore_ascii_case(b"close");
        }
    }
    let interim = (100..200).contains(&status);
    let bodiless = interim || status == 204 || status == 304;
    let length = match length {
        _ if bodiless => 0,
        Some(length) => length,
        None => return Err(BadAnswer::NoLength),
    };
    Ok(Head { answer: Answer { status, closes }, length, interim })
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ")?;
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
