//! The binary protocol with every frame under control, over a plain socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use telemetry::TraceContext;
use wire::{Decoder, ErrorReply, Flags, Frame, Head, Hello, Kind, Message, write_frame};

/// A node that says nothing for so long is taken for hung.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The largest answer that is taken. Unit: bytes.
const PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One connection.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    last_call: u64,
}

/// A frame that came, with a copy of its payload.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) call: u64,
    payload: Vec<u8>,
}

impl Answer {
    /// What it says; it must be a message of that kind.
    pub(crate) fn read<'a, M: Message<'a>>(&'a self) -> M {
        assert_eq!(self.kind, M::KIND, "{}", self.said());
        M::decode(&self.payload).expect("a node sends messages as they should be")
    }

    /// The error that it is.
    pub(crate) fn error(&self) -> ErrorReply<'_> {
        self.read()
    }

    /// For a test that failed.
    pub(crate) fn said(&self) -> String {
        match ErrorReply::decode(&self.payload) {
            Ok(error) if self.kind == Kind::ERROR => format!("{error:?}"),
            _ => format!("{} of {} bytes", self.kind, self.payload.len()),
        }
    }
}

impl Caller {
    /// A connection on which both sides have said who they are.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut caller = Self::silent(address)?;
        let hello = Hello {
            program: "test",
            payload_bytes_max: u32::try_from(PAYLOAD_BYTES_MAX).expect("it is 16 MiB"),
            calls_max: 1_000,
            ..Hello::of(Hello::CLIENT)
        };
        caller.send(&hello)?;
        match caller.next()? {
            Some(answer) if answer.kind == Kind::HELLO => Ok(caller),
            other => Err(io::Error::other(format!("no hello, but {other:?}"))),
        }
    }

    /// One on which nobody has said anything.
    pub(crate) fn silent(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(Self { stream, decoder: Decoder::new(PAYLOAD_BYTES_MAX), last_call: 0 })
    }

    /// Sends a call, and tells its number.
    pub(crate) fn send<'a>(&mut self, message: &impl Message<'a>) -> io::Result<u64> {
        self.send_traced(message, None)
    }

    pub(crate) fn send_traced<'a, M: Message<'a>>(
        &mut self,
        message: &M,
        trace: Option<TraceContext>,
    ) -> io::Result<u64> {
        self.send_raw(M::KIND, trace, |out| message.encode(out))
    }

    /// Any kind with any payload.
    pub(crate) fn send_raw(
        &mut self,
        kind: Kind,
        trace: Option<TraceContext>,
        payload: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<u64> {
        self.last_call += 1;
        let head = Head {
            kind,
            flags: Flags::NONE,
            call: self.last_call,
            sent_at: base::UnixMicros(0),
            trace,
        };
        let mut frame = Vec::new();
        write_frame(&mut frame, &head, payload);
        self.stream.write_all(&frame)?;
        Ok(self.last_call)
    }

    /// The next frame; none when the node has closed.
    pub(crate) fn next(&mut self) -> io::Result<Option<Answer>> {
        loop {
            let frame = self.decoder.next().map_err(io::Error::other)?;
            if let Some(Frame { header, payload, .. }) = frame {
                let (kind, call) = (header.kind, header.call);
                return Ok(Some(Answer { kind, call, payload: payload.to_vec() }));
            }
            let bytes = self.stream.read(self.decoder.space())?;
            if bytes == 0 {
                self.decoder.finish().map_err(io::Error::other)?;
                return Ok(None);
            }
            self.decoder.filled(bytes);
        }
    }

    /// One call, one answer.
    pub(crate) fn call<'a>(&mut self, message: &impl Message<'a>) -> io::Result<Answer> {
        let call = self.send(message)?;
        let answer = self.next()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        assert_eq!(answer.call, call, "{}", answer.said());
        Ok(answer)
    }
}
