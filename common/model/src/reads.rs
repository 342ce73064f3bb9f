//! The socket between a media child and its parent: ranged reads of numbered objects, tagged so that several may be
//! under way at once. It is the child's standard input.
//!
//! ```text
//! parent → child, once: len:u32le spec(JSON, ChildSpec)
//! child → parent:       tag:u32le op:u32le object:u32le len:u32le offset:u64le
//! parent → child:       tag:u32le status:u32le len:u64le payload
//! ```
//! A size reply carries the size in `len` and no payload. A read reply is short only at the object's end.
//! A failed reply carries its message as payload. Either side closing the socket ends the child.

pub const REQUEST_BYTES: usize = 24;
pub const REPLY_BYTES: usize = 16;
/// A child never asks for more in one read.
pub const READ_BYTES_MAX: u32 = 8 << 20;
pub const SPEC_BYTES_MAX: u32 = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Size,
    Read { offset: u64, len: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    pub tag: u32,
    pub object: u32,
    pub op: Op,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReply {
    pub tag: u32,
    pub status: Status,
    pub len: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadsError {
    #[error("operation {0} is none of size (0) and read (1)")]
    Op(u32),
    #[error("status {0} is none of done (0) and failed (1)")]
    Status(u32),
    #[error("a read of {0} bytes is over the bound of {READ_BYTES_MAX}")]
    TooLong(u32),
}

impl ReadRequest {
    pub fn to_bytes(self) -> [u8; REQUEST_BYTES] {
        let (op, offset, len) = match self.op {
            Op::Size => (0_u32, 0, 0),
            Op::Read { offset, len } => (1, offset, len),
        };
        let mut out = [0; REQUEST_BYTES];
        for (at, word) in [self.tag, op, self.object, len].into_iter().enumerate() {
            out[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        out[16..].copy_from_slice(&offset.to_le_bytes());
        out
    }

    pub fn from_bytes(bytes: &[u8; REQUEST_BYTES]) -> Result<Self, ReadsError> {
        let [tag, op, object, len] = [0, 4, 8, 12].map(|at| word(bytes, at));
        let op = match op {
            0 => Op::Size,
            1 if len > READ_BYTES_MAX => return Err(ReadsError::TooLong(len)),
            1 => Op::Read { offset: long(bytes, 16), len },
            other => return Err(ReadsError::Op(other)),
        };
        Ok(Self { tag, object, op })
    }
}

impl ReadReply {
    pub fn to_bytes(self) -> [u8; REPLY_BYTES] {
        let status: u32 = match self.status {
            Status::Done => 0,
            Status::Failed => 1,
        };
        let mut out = [0; REPLY_BYTES];
        out[..4].copy_from_slice(&self.tag.to_le_bytes());
        out[4..8].copy_from_slice(&status.to_le_bytes());
        out[8..].copy_from_slice(&self.len.to_le_bytes());
        out
    }

    pub fn from_bytes(bytes: &[u8; REPLY_BYTES]) -> Result<Self, ReadsError> {
        let status = match word(bytes, 4) {
            0 => Status::Done,
            1 => Status::Failed,
            other => return Err(ReadsError::Status(other)),
        };
        Ok(Self { tag: word(bytes, 0), status, len: long(bytes, 8) })
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_read_back() {
        for op in [Op::Size, Op::Read { offset: 1 << 40, len: READ_BYTES_MAX }] {
            let request = ReadRequest { tag: 7, object: 16, op };
            assert_eq!(ReadRequest::from_bytes(&request.to_bytes()), Ok(request));
        }
        let reply = ReadReply { tag: 9, status: Status::Failed, len: 1 << 33 };
        assert_eq!(ReadReply::from_bytes(&reply.to_bytes()), Ok(reply));
        let greedy = ReadRequest { tag: 1, object: 0, op: Op::Read { offset: 0, len: READ_BYTES_MAX + 1 } };
        assert_eq!(ReadRequest::from_bytes(&greedy.to_bytes()), Err(ReadsError::TooLong(READ_BYTES_MAX + 1)));
    }
}
