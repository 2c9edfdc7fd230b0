use super::*;
use crate::{Flags, Head, Kind, Message, Ping, Query, write_frame};
use base::UnixMicros;
use telemetry::TraceContext;

fn head(kind: Kind, call: u64) -> Head {
    Head { kind, flags: Flags::NONE, call, sent_at: UnixMicros(5), trace: None }
}

fn read(decoder: &mut Decoder, bytes: &[u8]) {
    let space = decoder.space();
    space[..bytes.len()].copy_from_slice(bytes);
    decoder.filled(bytes.len());
}

#[test]
fn frames_come_out_as_they_were_written() {
    let mut stream = Vec::new();
    let trace = Some(TraceContext { trace: 1 << 100, span: 9 });
    write_frame(&mut stream, &Head { trace, ..head(Kind::QUERY, 7) }, |out| {
        Query { path: "/health" }.encode(out);
    });
    write_frame(&mut stream, &head(Kind::PING, 8), |out| Ping {}.encode(out));
    let mut decoder = Decoder::new(100);
    read(&mut decoder, &stream);
    let frame = decoder.next().unwrap().unwrap();
    assert_eq!((frame.header.kind, frame.header.call, frame.trace), (Kind::QUERY, 7, trace));
    assert_eq!(Query::decode(frame.payload).unwrap().path, "/health");
    let frame = decoder.next().unwrap().unwrap();
    assert_eq!((frame.header.kind, frame.header.call, frame.trace), (Kind::PING, 8, None));
    assert_eq!(decoder.next(), Ok(None));
    assert_eq!(decoder.finish(), Ok(()));
}
