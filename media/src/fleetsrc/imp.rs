use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;

use crate::read_at::ReadAt;

/// What a push-mode demuxer is handed at once; pull-mode ones say how much they want.
pub(super) const BLOCK_BYTES: u32 = 256 << 10;
/// Small pulls of a demuxer are served out of blocks of this size, so that each does not cross the socket.
const CACHE_BYTES: usize = 256 << 10;
/// A demuxer reads each of a film's tracks at a place of its own: each needs its block.
const BLOCKS_MAX: usize = 8;

/// Nobody needs so many pulls for bytes that were read before: a damaged film can send a demuxer round in circles.
const IDLE_PULLS_MAX: u64 = 4 << 20;
/// Nor the whole object so many times, beyond a little.
const READS_MAX: u64 = 16;
const READ_SLACK: u64 = 64 << 20;

#[derive(Default)]
pub struct FleetSrc {
    object: Mutex<Option<Arc<dyn ReadAt>>>,
    /// The one used last stands last.
    cache: Mutex<VecDeque<Block>>,
    bytes_read: AtomicU64,
    /// Pulls since bytes were read anew.
    idle_pulls: AtomicU64,
}

struct Block {
    offset: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn holds(&self, at: u64) -> bool {
        (self.offset..self.offset + self.bytes.len() as u64).contains(&at)
    }
}

impl FleetSrc {
    pub(super) fn open(&self, object: Arc<dyn ReadAt>) {
        *self.object.lock().unwrap_or_else(PoisonError::into_inner) = Some(object);
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    fn object(&self) -> Option<Arc<dyn ReadAt>> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fill(&self, object: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        if buf.len() >= CACHE_BYTES {
            self.count_read(buf.len());
            return object.read_at(offset, buf).map(drop);
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let block = match cache.iter().position(|block| block.holds(at)).and_then(|held| cache.remove(held)) {
                Some(block) => block,
                None => self.read_block(object, at)?,
            };
            let from = usize::try_from(at - block.offset).unwrap_or(0);
            let n = (block.bytes.len() - from).min(buf.len() - done);
            buf[done..done + n].copy_from_slice(&block.bytes[from..from + n]);
            cache.push_back(block);
            if cache.len() > BLOCKS_MAX {
                cache.pop_front();
            }
            done += n;
        }
        Ok(())
    }
}

impl FleetSrc {
    fn count_read(&self, len: usize) {
        self.bytes_read.fetch_add(len as u64, Ordering::Relaxed);
        self.idle_pulls.store(0, Ordering::Relaxed);
    }

    /// Counts a pull, and says whether the reader gets nowhere.
    fn in_circles(&self, size: u64) -> bool {
        let read_max = size.saturating_mul(READS_MAX).saturating_add(READ_SLACK);
        self.idle_pulls.fetch_add(1, Ordering::Relaxed) >= IDLE_PULLS_MAX || self.bytes_read() > read_max
    }

    fn read_block(&self, object: &dyn ReadAt, at: u64) -> std::io::Result<Block> {
        let offset = at / CACHE_BYTES as u64 * CACHE_BYTES as u64;
        let len = CACHE_BYTES.min(usize::try_from(object.size() - offset).unwrap_or(CACHE_BYTES));
        let bytes = object.read_exact_at(offset, len)?;
        self.count_read(len);
        Ok(Block { offset, bytes })
    }
}

#[glib::object_subclass]
impl ObjectSubclass for FleetSrc {
    const NAME: &'static str = "FrameFleetSrc";
    type Type = super::FleetSrc;
    type ParentType = gst_base::BaseSrc;
}

impl ObjectImpl for FleetSrc {
    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_format(gst::Format::Bytes);
    }
}

impl GstObjectImpl for FleetSrc {}

impl ElementImpl for FleetSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new("Fleet source", "Source", "Ranged reads of an object", "framefleet")
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst::Caps::new_any();
            gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &caps).into_iter().collect()
        });
        &TEMPLATES
    }
}

impl BaseSrcImpl for FleetSrc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        match self.object() {
            Some(_) => Ok(()),
            None => Err(gst::error_msg!(gst::ResourceError::NotFound, ["no object to read"])),
        }
    }

    fn is_seekable(&self) -> bool {
        true
    }

    fn size(&self) -> Option<u64> {
        self.object().map(|o| o.size())
    }

    fn create(
        &self,
        offset: u64,
        room: Option<&mut gst::BufferRef>,
        length: u32,
    ) -> Result<CreateSuccess, gst::FlowError> {
        let object = self.object().ok_or(gst::FlowError::Error)?;
        if self.in_circles(object.size()) {
            gst::element_imp_error!(self, gst::StreamError::Demux, ["the demuxer goes round in circles"]);
            return Err(gst::FlowError::Error);
        }
        if offset >= object.size() {
            return Err(gst::FlowError::Eos);
        }
        let len = u64::from(length).min(object.size() - offset);
        let len = usize::try_from(len).map_err(|_| gst::FlowError::Error)?;
        let fill = |buf: &mut [u8]| {
            self.fill(&*object, offset, buf).map_err(|error| {
                gst::element_imp_error!(self, gst::ResourceError::Read, ["{error}"]);
                gst::FlowError::Error
            })
        };
        let stamp = |buffer: &mut gst::BufferRef| {
            buffer.set_offset(offset);
            buffer.set_offset_end(offset + len as u64);
        };
        if let Some(room) = room {
            room.set_size(len);
            fill(&mut room.map_writable().map_err(|_| gst::FlowError::Error)?)?;
            stamp(room);
            return Ok(CreateSuccess::FilledBuffer);
        }
        let mut data = vec![0; len];
        fill(&mut data)?;
        let mut buffer = gst::Buffer::from_mut_slice(data);
        if let Some(buffer) = buffer.get_mut() {
            stamp(buffer);
        }
        Ok(CreateSuccess::NewBuffer(buffer))
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Scheduling(scheduling) = query.view_mut() {
            scheduling.set(gst::SchedulingFlags::SEEKABLE, 1, -1, 0);
            scheduling.add_scheduling_modes([gst::PadMode::Pull, gst::PadMode::Push]);
            return true;
        }
        BaseSrcImplExt::parent_query(self, query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_gets_nowhere_is_told_from_one_that_reads_on() {
        gst::init().unwrap();
        let film: Arc<dyn ReadAt> = Arc::new(vec![0; 3 * CACHE_BYTES]);
        let source = super::super::FleetSrc::over(film.clone());
        let source = source.imp();
        let mut byte = [0];
        for pull in 0..IDLE_PULLS_MAX {
            assert!(!source.in_circles(film.size()), "pull {pull}");
        }
        assert!(source.in_circles(film.size()));
        source.fill(&*film, CACHE_BYTES as u64, &mut byte).unwrap();
        assert!(!source.in_circles(film.size()), "a block was read anew");
        source.count_read(usize::try_from(film.size() * READS_MAX + READ_SLACK).unwrap());
        assert!(source.in_circles(film.size()), "the film was read over and over");
    }
}
