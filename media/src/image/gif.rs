//! A GIF: one palette for all pictures, and of each picture only what differs from the one before.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};

use framefleet_model::fault::Fault;
use framefleet_model::id::Digest;
use framefleet_model::ledger::Produced;
use framefleet_model::media::Geometry;
use framefleet_model::shots::GifPlan;
use framefleet_model::time::MediaTime;
use gif::{DecodeOptions, DisposalMethod, Encoder, EncodingError, Frame, Repeat};

use crate::image::palette::{Histogram, Indexer};
use crate::image::raster::{BYTES_A_PIXEL, Raster};
use crate::image::{Folder, Made, Maker, open};
use crate::indexing::scratch_fault;
use crate::pipe::internal;

const NAME: &str = "moving.gif";

/// Pictures wait on the disk until all colours are known.
pub(crate) struct GifMaker<'a> {
    folder: Folder<'a>,
    plan: &'a GifPlan,
    size: Geometry,
    histogram: Histogram,
    waiting: BufWriter<File>,
    pictures: usize,
}

impl<'a> GifMaker<'a> {
    pub(crate) fn begin(folder: Folder<'a>, (size, plan): (Geometry, &'a GifPlan)) -> Result<Self, Fault> {
        let waiting = File::create_new(folder.scratch.join("waiting.rgb")).map_err(|e| scratch_fault(&e))?;
        let waiting = BufWriter::with_capacity(1 << 20, waiting);
        Ok(Self { folder, plan, size, histogram: Histogram::new(), waiting, pictures: 0 })
    }

    /// Takes the pictures back, one after the other.
    fn encode(&self, waiting: impl Read, out: impl Write) -> Result<(), Fault> {
        let palette = self.histogram.palette(self.plan.palette.colours.into());
        // The index behind the last colour says that a pixel is as it was.
        let same = u8::try_from(palette.len()).map_err(|_| internal("a palette without room"))?;
        let mut table = palette.concat();
        table.extend([0; 3]);
        let (width, height) = sides(self.size)?;
        let mut encoder = Encoder::new(out, width, height, &table).map_err(gif_fault)?;
        encoder.set_repeat(Repeat::Infinite).map_err(gif_fault)?;
        let mut indexer = Indexer::new(palette, self.plan.palette);
        let mut waiting = waiting;
        let mut before: Option<Vec<u8>> = None;
        for delay in &self.plan.delays {
            let mut rgb = vec![0; width as usize * height as usize * BYTES_A_PIXEL];
            waiting.read_exact(&mut rgb).map_err(|e| scratch_fault(&e))?;
            let indices = indexer.indices(&Raster { size: self.size, rgb });
            let mut frame = difference(before.as_deref(), &indices, (self.size, same));
            frame.delay = *delay;
            encoder.write_frame(&frame).map_err(gif_fault)?;
            before = Some(indices);
        }
        Ok(())
    }
}

impl Maker for GifMaker<'_> {
    fn push(&mut self, picture: Raster) -> Result<(), Fault> {
        self.histogram.count(&picture);
        self.pictures += 1;
        self.waiting.write_all(&picture.rgb).map_err(|e| scratch_fault(&e))
    }

    fn finish(mut self: Box<Self>) -> Result<Made, Fault> {
        if self.pictures != self.plan.delays.len() {
            return Err(internal(format!("{} pictures for {} delays", self.pictures, self.plan.delays.len())));
        }
        self.waiting.flush().map_err(|e| scratch_fault(&e))?;
        let path = self.folder.scratch.join("waiting.rgb");
        let waiting = BufReader::with_capacity(1 << 20, File::open(&path).map_err(|e| scratch_fault(&e))?);
        let mut bytes = Vec::new();
        self.encode(waiting, &mut bytes)?;
        std::fs::remove_file(&path).map_err(|e| scratch_fault(&e))?;
        let file = self.folder.write(NAME, &bytes)?;
        let duration = read_back(&self.folder.read(&file)?, &file, (self.size, &self.plan.delays))?;
        let pictures = u32::try_from(self.pictures).unwrap_or(u32::MAX);
        Ok(Made { files: vec![file], pictures, duration: Some(duration), encoder: "gif" })
    }
}

/// The smallest part of a picture that holds all that differs from the one before; what is in it and does not differ is
/// left as it was. A picture that does not differ at all is one pixel.
fn difference<'a>(before: Option<&[u8]>, now: &'a [u8], (size, same): (Geometry, u8)) -> Frame<'a> {
    let (wide, high) = (size.width as usize, size.height as usize);
    let side = |v: usize| u16::try_from(v).unwrap_or(u16::MAX);
    let of = |left: usize, top: usize, (width, height): (usize, usize), buffer: Cow<'a, [u8]>| Frame {
        dispose: DisposalMethod::Keep,
        left: side(left),
        top: side(top),
        width: side(width),
        height: side(height),
        buffer,
        ..Frame::default()
    };
    let Some(before) = before else {
        return of(0, 0, (wide, high), Cow::Borrowed(now));
    };
    let differs = |n: &usize| before[*n] != now[*n];
    let rows: Vec<usize> =
        (0..high).filter(|y| before[y * wide..(y + 1) * wide] != now[y * wide..(y + 1) * wide]).collect();
    let (Some(top), Some(bottom)) = (rows.first().copied(), rows.last().copied()) else {
        let pixel = of(0, 0, (1, 1), Cow::Owned(vec![same]));
        return Frame { transparent: Some(same), ..pixel };
    };
    let left = rows.iter().filter_map(|y| (0..wide).find(|x| differs(&(y * wide + x)))).min().unwrap_or(0);
    let right = rows.iter().filter_map(|y| (0..wide).rev().find(|x| differs(&(y * wide + x)))).max().unwrap_or(0);
    let mut part = Vec::with_capacity((right + 1 - left) * (bottom + 1 - top));
    for y in top..=bottom {
        part.extend((y * wide + left..=y * wide + right).map(|n| if differs(&n) { now[n] } else { same }));
    }
    let changed = of(left, top, (right + 1 - left, bottom + 1 - top), Cow::Owned(part));
    Frame { transparent: Some(same), ..changed }
}

/// All pictures are there, of the planned size, and stand as long as they should.
fn read_back(bytes: &[u8], file: &Produced, (size, delays): (Geometry, &[u16])) -> Result<MediaTime, Fault> {
    if Digest::of(bytes) != file.digest {
        return Err(open(format!("{} reads back as other bytes than were written", file.name)));
    }
    let unread = |e: &dyn std::fmt::Display| open(format!("{} does not read back: {e}", file.name));
    let mut decoder = DecodeOptions::new().read_info(bytes).map_err(|e| unread(&e))?;
    let found = Geometry { width: decoder.width().into(), height: decoder.height().into() };
    if found != size {
        return Err(open(format!("{} reads back as {found}, planned is {size}", file.name)));
    }
    let mut stood = Vec::new();
    while let Some(frame) = decoder.read_next_frame().map_err(|e| unread(&e))? {
        stood.push(frame.delay);
    }
    if stood != delays {
        let text = format!("{} pictures of {} read back, or not with their delays", stood.len(), delays.len());
        return Err(open(format!("{}: {text}", file.name)));
    }
    let hundredths: i64 = delays.iter().map(|delay| i64::from(*delay)).sum();
    Ok(MediaTime::from_millis(10 * hundredths))
}

fn sides(size: Geometry) -> Result<(u16, u16), Fault> {
    let side = |v: u32| u16::try_from(v).map_err(|_| internal(format!("no GIF has the size {size}")));
    Ok((side(size.width)?, side(size.height)?))
}

fn gif_fault(error: EncodingError) -> Fault {
    match error {
        EncodingError::Io(io) => scratch_fault(&io),
        other => internal(format!("the GIF cannot be written: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let size = Geometry { width: 4, height: 3 };
        let before = [0; 12];
        let mut now = before;
        (now[5], now[10]) = (1, 2);
        let frame = difference(Some(&before), &now, (size, 9));
        assert_eq!((frame.left, frame.top, frame.width, frame.height), (1, 1, 2, 2));
        assert_eq!(&*frame.buffer, [1, 9, 9, 2]);
        let still = difference(Some(&now), &now, (size, 9));
        assert_eq!((still.width, still.height, &*still.buffer), (1, 1, &[9][..]));
        assert_eq!(&*difference(None, &now, (size, 9)).buffer, now);
    }
}
