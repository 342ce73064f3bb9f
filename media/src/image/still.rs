//! Still pictures: coded, written, and decoded again.

use framefleet_model::fault::Fault;
use framefleet_model::image::{Still, StillFormat};
use framefleet_model::ledger::Produced;
use framefleet_model::media::Geometry;
use framefleet_model::shots::Stills;
use gst::prelude::*;

use crate::image::raster::{Line, Raster, converter, raw};
use crate::image::{Folder, Made, Maker, open};
use crate::pipe::{internal, make};

/// Full range by BT.601's matrix: the only colours that a JFIF file has.
const JFIF: &str = "1:4:0:0";

/// Codes rasters of one size, and proves each by decoding it.
pub(crate) struct Coder {
    still: Still,
    lines: Option<(Geometry, Line, Line)>,
}

impl Coder {
    pub(crate) fn new(still: Still) -> Self {
        Self { still, lines: None }
    }

    pub(crate) fn encoder(&self) -> &'static str {
        factory(self.still.format)
    }

    /// The picture's file, by its whole name.
    pub(crate) fn file(&mut self, picture: &Raster, (folder, name): (&Folder<'_>, &str)) -> Result<Produced, Fault> {
        let Still { format, .. } = self.still;
        let lines = match self.lines.take() {
            Some(known) if known.0 == picture.size => known,
            _ => (picture.size, encoding(self.still, picture.size)?, decoding(format)?),
        };
        let (_, encoder, decoder) = self.lines.insert(lines);
        let sample = picture.to_sample()?;
        let (buffer, caps) =
            sample.buffer().zip(sample.caps()).ok_or_else(|| internal("a raster without a picture"))?;
        let coded = encoder.pass(buffer, caps)?;
        let data = coded.buffer().and_then(|b| b.map_readable().ok()).ok_or_else(|| internal("an empty still"))?;
        let produced = folder.write(name, &data)?;
        read_back(decoder, (folder, &produced), (format, picture.size))?;
        Ok(produced)
    }
}

/// What stands on the disk decodes, and has the size that it should have.
fn read_back(
    decoder: &mut Line,
    (folder, produced): (&Folder<'_>, &Produced),
    (format, size): (StillFormat, Geometry),
) -> Result<(), Fault> {
    let bytes = folder.read(produced)?;
    let caps = gst::Caps::builder(media_type(format)).field("framerate", gst::Fraction::new(25, 1)).build();
    let decoded = decoder.pass(&gst::Buffer::from_mut_slice(bytes), &caps);
    let decoded = decoded.map_err(|fault| open(format!("{} does not read back: {}", produced.name, fault.message)))?;
    let info = decoded.caps().and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok());
    let found = info.map(|info| Geometry { width: info.width(), height: info.height() });
    if found == Some(size) {
        return Ok(());
    }
    let found = found.map_or_else(|| "no size".to_owned(), |found| found.to_string());
    Err(open(format!("{} reads back as {found}, planned is {size}", produced.name)))
}

/// ```text
/// jpeg:  RGB ─▶ {videoconvertscale} ! I420, JFIF's colours ! {jpegenc}
/// png:   RGB ─▶ {pngenc}
/// webp:  RGB ─▶ {webpenc}
/// ```
fn encoding(still: Still, size: Geometry) -> Result<Line, Fault> {
    let encoder = make(factory(still.format))?;
    let mut row = Vec::new();
    match still.format {
        StillFormat::Jpeg => {
            row.push(converter()?);
            row.push(raw("I420", size, Some(JFIF))?);
            encoder.set_property("quality", i32::from(still.quality));
            encoder.set_property_from_str("idct-method", "islow");
            encoder.set_property("snapshot", false);
        }
        StillFormat::Png => {
            encoder.set_property("compression-level", 6_u32);
            encoder.set_property("snapshot", false);
        }
        StillFormat::Webp => {
            encoder.set_property("lossless", false);
            encoder.set_property("quality", f32::from(still.quality));
            encoder.set_property("speed", 4_u32);
            encoder.set_property_from_str("preset", "photo");
        }
    }
    row.push(encoder);
    Line::new(row)
}

/// ```text
/// file ─▶ {jpegdec}, {pngdec} or {webpdec} ─▶ picture
/// ```
fn decoding(format: StillFormat) -> Result<Line, Fault> {
    Line::new(vec![make(match format {
        StillFormat::Jpeg => "jpegdec",
        StillFormat::Png => "pngdec",
        StillFormat::Webp => "webpdec",
    })?])
}

fn factory(format: StillFormat) -> &'static str {
    match format {
        StillFormat::Jpeg => "jpegenc",
        StillFormat::Png => "pngenc",
        StillFormat::Webp => "webpenc",
    }
}

fn media_type(format: StillFormat) -> &'static str {
    match format {
        StillFormat::Jpeg => "image/jpeg",
        StillFormat::Png => "image/png",
        StillFormat::Webp => "image/webp",
    }
}

/// One file for each picture, numbered from 1.
pub(crate) struct StillMaker<'a> {
    folder: Folder<'a>,
    extension: &'a str,
    coder: Coder,
    files: Vec<Produced>,
}

impl<'a> StillMaker<'a> {
    pub(crate) fn begin(folder: Folder<'a>, stills: &'a Stills) -> Self {
        Self { folder, extension: &stills.extension, coder: Coder::new(stills.still), files: Vec::new() }
    }
}

impl Maker for StillMaker<'_> {
    fn push(&mut self, picture: Raster) -> Result<(), Fault> {
        let name = format!("{}.{}", self.files.len() + 1, self.extension);
        let file = self.coder.file(&picture, (&self.folder, &name))?;
        self.files.push(file);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Made, Fault> {
        let pictures = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        Ok(Made { pictures, duration: None, encoder: self.coder.encoder(), files: self.files })
    }
}
