//! The child's window on the world: ranged reads of numbered objects through the socket that is its standard input.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::reads::{Op, READ_BYTES_MAX, REPLY_BYTES, ReadReply, ReadRequest, SPEC_BYTES_MAX, Status};
use framefleet_model::task::ChildSpec;

use crate::read_at::ReadAt;

/// Clones share the socket; one read is under way at a time, the parent reads ahead.
#[derive(Clone)]
pub struct Reader {
    socket: Arc<Mutex<Socket>>,
}

/// One object behind a [`Reader`].
#[derive(Clone)]
pub struct Object {
    reader: Reader,
    number: u32,
    size: u64,
}

struct Socket {
    stream: UnixStream,
    last_tag: u32,
}

impl Reader {
    /// Takes the socket and the spec that comes first on it.
    pub fn accept(mut stream: UnixStream) -> io::Result<(Self, ChildSpec)> {
        let mut len = [0; 4];
        stream.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len);
        if len > SPEC_BYTES_MAX {
            return Err(io::Error::other(format!("a spec of {len} bytes is over the bound of {SPEC_BYTES_MAX}")));
        }
        let mut json = vec![0; len as usize];
        stream.read_exact(&mut json)?;
        let spec = serde_json::from_slice(&json)?;
        Ok((Self { socket: Arc::new(Mutex::new(Socket { stream, last_tag: 0 })) }, spec))
    }

    pub fn object(&self, number: u32) -> io::Result<Object> {
        let size = self.lock().ask(number, Op::Size)?.len;
        Ok(Object { reader: self.clone(), number, size })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAt for Object {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            if at >= self.size {
                break;
            }
            let want = (buf.len() - done).min(READ_BYTES_MAX as usize);
            let got = self.reader.lock().read(self.number, at, &mut buf[done..done + want])?;
            if got == 0 {
                break;
            }
            done += got;
        }
        Ok(done)
    }
}

impl Socket {
    fn ask(&mut self, object: u32, op: Op) -> io::Result<ReadReply> {
        self.last_tag = self.last_tag.wrapping_add(1);
        let tag = self.last_tag;
        self.stream.write_all(&ReadRequest { tag, object, op }.to_bytes())?;
        let mut head = [0; REPLY_BYTES];
        self.stream.read_exact(&mut head)?;
        let reply = ReadReply::from_bytes(&head).map_err(io::Error::other)?;
        if reply.tag != tag {
            return Err(io::Error::other(format!("a reply to request {} came for request {tag}", reply.tag)));
        }
        match reply.status {
            Status::Done => Ok(reply),
            Status::Failed => {
                let mut message = vec![0; usize::try_from(reply.len.min(4096)).unwrap_or(4096)];
                self.stream.read_exact(&mut message)?;
                Err(io::Error::other(String::from_utf8_lossy(&message).into_owned()))
            }
        }
    }

    fn read(&mut self, object: u32, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let len = u32::try_from(buf.len()).unwrap_or(READ_BYTES_MAX).min(READ_BYTES_MAX);
        let reply = self.ask(object, Op::Read { offset, len })?;
        let got = usize::try_from(reply.len).unwrap_or(usize::MAX);
        if got > buf.len() {
            return Err(io::Error::other(format!("a reply of {got} bytes to a read of {}", buf.len())));
        }
        self.stream.read_exact(&mut buf[..got])?;
        Ok(got)
    }
}
