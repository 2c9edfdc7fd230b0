//! How frames travel between a node and a plugin's process, seen from the node.
//!
//! A socket pair today. Whatever carries large payloads another way later takes its place: the rest
//! of the crate knows only this trait.

use plugin::frame::FrameReader;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::slice;

/// What is read before other processes have a turn: 4,096 frames, where each is nothing but its head.
/// Unit: bytes.
const READ_BYTES: usize = 64 * 1024;

/// One process, as frames go to it and come from it. Nothing here waits.
pub(crate) trait Transport: Send {
    /// What a poll waits on.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Takes some of what has come. False: nothing will come any more.
    fn receive(&mut self, into: &mut FrameReader) -> io::Result<bool>;

    /// Where frames are written that are to be sent.
    fn unsent(&mut self) -> &mut Vec<u8>;

    /// Sends what fits.
    fn flush(&mut self) -> io::Result<()>;

    /// Whether something waits for room.
    fn has_unsent(&self) -> bool;
}

/// A socket pair's near end.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: UnixStream,
    unsent: Vec<u8>,
    sent: usize,
    buffer: Box<[u8]>,
}

impl Socket {
    /// Both ends: this one, and the one that becomes the process's standard input.
    pub(crate) fn pair() -> io::Result<(Self, UnixStream)> {
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        let buffer = vec![0; READ_BYTES].into_boxed_slice();
        Ok((Self { stream: near, unsent: Vec::new(), sent: 0, buffer }, far))
    }

    /// Sends what comes in front of all frames: one byte, and with it the copy of the library, where
    /// there is one.
    pub(crate) fn greet(&self, library: Option<&OwnedFd>) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let library = library.map(AsFd::as_fd);
        if let Some(library) = &library {
            let has_room = control.push(SendAncillaryMessage::ScmRights(slice::from_ref(library)));
            assert!(has_room, "the space is made for one descriptor");
        }
        sendmsg(&self.stream, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// In the process: waits for what comes in front of all frames.
pub(crate) fn greeted(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let rights = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    Ok(rights)
}

impl Transport for Socket {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn receive(&mut self, into: &mut FrameReader) -> io::Result<bool> {
        match self.stream.read(&mut self.buffer) {
            Ok(0) => Ok(false),
            Ok(bytes) => {
                into.push(&self.buffer[..bytes]);
                Ok(true)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(true),
                ErrorKind::ConnectionReset => Ok(false),
                _ => Err(error),
            },
        }
    }

    fn unsent(&mut self) -> &mut Vec<u8> {
        &mut self.unsent
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.unsent.len() {
            match self.stream.write(&self.unsent[self.sent..]) {
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent.clear();
        // A large input was an exception; its room is not kept for the next small ones.
        self.unsent.shrink_to(READ_BYTES);
        self.sent = 0;
        Ok(())
    }

    fn has_unsent(&self) -> bool {
        self.sent < self.unsent.len()
    }
}
