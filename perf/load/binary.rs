//! The binary protocol as far as a load generator speaks it: hello, submits, what became of them.

use crate::connection::{Failure, Word};
use std::error::Error;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use wire::{
    Decoder, ErrorReply, Flags, Head, Hello, Kind, Message as _, SubmitResponse, write_frame,
};

/// The largest answer: that of a batch of which every message is refused with many words. Unit:
/// bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Reads the answers of one connection.
#[derive(Debug)]
pub(crate) struct Binary {
    decoder: Decoder,
}

/// Of which call, and whether every message of it was accepted.
pub(crate) type Answered = (u64, Result<(), Failure>);

/// Sends the hello and waits for the server's.
pub(crate) fn greet(stream: &mut TcpStream, pipeline: usize) -> io::Result<Binary> {
    let mut bytes = Vec::new();
    let head = Head {
        kind: Kind::HELLO,
        flags: Flags::NONE,
        call: 0,
        sent_at: base::UnixMicros(0),
        trace: None,
    };
    let hello = Hello {
        program: concat!("distric-load ", env!("CARGO_PKG_VERSION")),
        payload_bytes_max: u32::try_from(ANSWER_BYTES_MAX).expect("4 MiB fit"),
        ..Hello::of(Hello::CLIENT)
    };
    write_frame(&mut bytes, &head, |out| hello.encode(out));
    stream.write_all(&bytes)?;
    let mut decoder = Decoder::new(ANSWER_BYTES_MAX);
    loop {
        if let Some(frame) = decoder.next().map_err(invalid)? {
            check_hello(frame.header.kind, frame.payload, pipeline)?;
            return Ok(Binary { decoder });
        }
        let bytes = match stream.read(decoder.space()) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(io::Error::new(ErrorKind::TimedOut, "no hello came"))
            }
            other => other,
        }?;
        decoder.filled(bytes);
    }
}

fn check_hello(kind: Kind, payload: &[u8], pipeline: usize) -> io::Result<()> {
    match kind {
        Kind::HELLO => {
            let hello = Hello::decode(payload).map_err(invalid)?;
            let (calls_max, min, max) = (hello.calls_max, hello.version_min, hello.version_max);
            if !(min..=max).contains(&wire::VERSION) {
                let ours = wire::VERSION;
                let text = format!("the server speaks versions {min} to {max}, not {ours}");
                return Err(invalid(text));
            }
            if calls_max > 0 && pipeline > calls_max as usize {
                let text = format!("--pipeline {pipeline}: the server takes {calls_max} at once");
                return Err(invalid(text));
            }
            Ok(())
        }
        Kind::ERROR => {
            let error = ErrorReply::decode(payload).map_err(invalid)?;
            let text = format!("the server refused ({}): {}", error.code, error.detail);
            Err(io::Error::new(ErrorKind::ConnectionRefused, text))
        }
        other => Err(invalid(format!("{other} came before the hello"))),
    }
}

fn invalid(error: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}

impl Binary {
    /// Where to read the socket into.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.decoder.space()
    }

    /// So much was read.
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.decoder.filled(bytes);
    }

    /// The next answer.
    pub(crate) fn next(&mut self) -> Result<Option<Answered>, Failure> {
        loop {
            let frame = self.decoder.next();
            let frame = frame.map_err(|_| Failure::BadAnswer("what came is no frame"))?;
            let Some(frame) = frame else { return Ok(None) };
            let call = frame.header.call;
            let outcome = match frame.header.kind {
                Kind::RESPONSE => submitted(frame.payload)?,
                Kind::ERROR => {
                    let error = ErrorReply::decode(frame.payload);
                    let error = error.map_err(|_| BAD_MESSAGE)?;
                    let refused = Failure::Refused(Word::new(error.code));
                    if call == 0 {
                        return Err(refused);
                    }
                    Err(refused)
                }
                // A question whether this side is alive is answered by what it sends anyway.
                Kind::PING => continue,
                _ => return Err(Failure::BadAnswer("a frame came that is no answer")),
            };
            return Ok(Some((call, outcome)));
        }
    }
}

const BAD_MESSAGE: Failure = Failure::BadAnswer("an answer is not as the protocol says");

/// What became of a submit's messages: the first that is not in the log decides.
fn submitted(payload: &[u8]) -> Result<Result<(), Failure>, Failure> {
    let response = SubmitResponse::decode(payload).map_err(|_| BAD_MESSAGE)?;
    if response.outcomes.iter().all(|outcome| *outcome == 0) {
        return Ok(Ok(()));
    }
    let failure = response.answers().find_map(|answer| match answer {
        wire::Answer::Accepted { .. } | wire::Answer::Duplicate { .. } => None,
        wire::Answer::Conflict { .. } => Some(Failure::Conflict),
        wire::Answer::Refused { code, .. } => Some(Failure::Refused(Word::new(code))),
    });
    Ok(failure.map_or(Ok(()), Err))
}

#[cfg(test)]
mod tests;
