//! Answers a child's ranged reads (`framefleet_model::reads`) from the parent's objects, several at once.
//!
//! Ends when the child closes the socket, breaks the protocol, or the future is dropped, which closes our end and so
//! stops the child. An object's fault is told to the child in words and kept here: when the child then fails, it is
//! that fault that counts.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::reads::{Op, REQUEST_BYTES, ReadReply, ReadRequest, Status};
use framefleet_model::task::object;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use super::Objects;
use super::read_ahead::ReadAhead;

/// Reads of one child that are under way at once; the next waits in the socket.
const READS_MAX: usize = 8;

/// What the watch looks at, and what remains when the child has gone.
#[derive(Default)]
pub(crate) struct Traffic {
    bytes_served: AtomicU64,
    /// Reads that wait for an object, not for the child.
    pending: AtomicU32,
    fault: OnceLock<Fault>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("it broke the protocol of reads: {0}")]
    Protocol(String),
    #[error("its socket failed: {0}")]
    Io(#[from] io::Error),
}

struct Desk {
    objects: Arc<dyn Objects>,
    source: ReadAhead,
    traffic: Arc<Traffic>,
    writer: Mutex<OwnedWriteHalf>,
}

impl Traffic {
    pub(crate) fn bytes_served(&self) -> u64 {
        self.bytes_served.load(Ordering::Relaxed)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0
    }

    /// The first fault that an object answered with.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.fault.get()
    }
}

/// Sends the spec, then answers until the child closes its end.
pub(crate) async fn serve(
    socket: UnixStream,
    spec: &[u8],
    objects: Arc<dyn Objects>,
    traffic: Arc<Traffic>,
) -> Result<(), ServeError> {
    let (mut reader, mut writer) = socket.into_split();
    let len = u32::try_from(spec.len()).map_err(|_| ServeError::Protocol("the spec is over 4 GiB".to_owned()))?;
    if let Err(error) = send(&mut writer, &len.to_le_bytes(), spec).await {
        return if gone(&error) { Ok(()) } else { Err(error.into()) };
    }
    let desk = Desk { objects, source: ReadAhead::of(object::SOURCE), traffic, writer: Mutex::new(writer) };
    let desk = Arc::new(desk);
    let slots = Arc::new(Semaphore::new(READS_MAX));
    let mut answers = JoinSet::new();
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        let mut request = [0; REQUEST_BYTES];
        match reader.read_exact(&mut request).await {
            Ok(_) => {}
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let request = ReadRequest::from_bytes(&request).map_err(|e| ServeError::Protocol(e.to_string()))?;
        let desk = Arc::clone(&desk);
        answers.spawn(async move {
            desk.answer(request).await;
            drop(slot);
        });
        while answers.try_join_next().is_some() {}
    }
}

impl Desk {
    async fn answer(&self, request: ReadRequest) {
        self.traffic.pending.fetch_add(1, Ordering::Relaxed);
        let answer = self.fetch(request).await;
        self.traffic.pending.fetch_sub(1, Ordering::Relaxed);
        let (reply, payload) = match answer {
            Ok((len, payload)) => (ReadReply { tag: request.tag, status: Status::Done, len }, payload),
            Err(fault) => {
                let payload = Bytes::from(fault.message.clone());
                self.traffic.fault.get_or_init(|| fault);
                (ReadReply { tag: request.tag, status: Status::Failed, len: payload.len() as u64 }, payload)
            }
        };
        // A child that left does not hear the answer; that it left is seen by whoever waits for it.
        let sent = send(&mut *self.writer.lock().await, &reply.to_bytes(), &payload).await;
        if sent.is_ok() {
            self.traffic.bytes_served.fetch_add(payload.len() as u64, Ordering::Relaxed);
        }
    }

    /// The length for the reply's head, and the payload.
    async fn fetch(&self, request: ReadRequest) -> Result<(u64, Bytes), Fault> {
        match request.op {
            Op::Size => Ok((self.objects.size(request.object).await?, Bytes::new())),
            Op::Read { offset, len } => {
                let bytes = match request.object {
                    object::SOURCE => self.source.read(self.objects.as_ref(), offset, len).await?,
                    other => self.objects.read(other, offset, len).await?,
                };
                if bytes.len() > len as usize {
                    let message = format!("a read of {len} bytes of object {} gave {}", request.object, bytes.len());
                    return Err(Fault::new(FaultKind::Internal, message));
                }
                Ok((bytes.len() as u64, bytes))
            }
        }
    }
}

async fn send(writer: &mut OwnedWriteHalf, head: &[u8], payload: &[u8]) -> io::Result<()> {
    writer.write_all(head).await?;
    writer.write_all(payload).await
}

fn gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
