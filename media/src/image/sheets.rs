//! Sheets of pictures, and the WebVTT file that tells players where on them each moment's picture stands.

use std::fmt::Write as _;

use framefleet_model::fault::Fault;
use framefleet_model::ledger::Produced;
use framefleet_model::media::Geometry;
use framefleet_model::shots::{ImagePlan, Sheets};
use framefleet_model::task::ImageWork;
use framefleet_model::time::MediaTime;

use crate::image::raster::Raster;
use crate::image::still::Coder;
use crate::image::{Folder, Made, Maker};

pub(crate) struct SheetMaker<'a> {
    folder: Folder<'a>,
    work: &'a ImageWork,
    sheets: &'a Sheets,
    coder: Coder,
    /// The sheet that is not full yet, and how many pictures are on it.
    open: Option<(Raster, usize)>,
    pictures: u32,
    files: Vec<Produced>,
}

impl<'a> SheetMaker<'a> {
    pub(crate) fn begin(folder: Folder<'a>, (work, sheets): (&'a ImageWork, &'a Sheets)) -> Result<Self, Fault> {
        let coder = Coder::new(sheets.still);
        Ok(Self { folder, work, sheets, coder, open: None, pictures: 0, files: Vec::new() })
    }

    fn close(&mut self, sheet: &Raster) -> Result<(), Fault> {
        let name = format!("{}.{}", self.files.len() + 1, self.sheets.still.format.extension());
        let file = self.coder.file(sheet, (&self.folder, &name))?;
        self.files.push(file);
        Ok(())
    }
}

impl Maker for SheetMaker<'_> {
    fn push(&mut self, picture: Raster) -> Result<(), Fault> {
        let layout = self.sheets.layout;
        let fresh = || (Raster::filled(layout.sheet(picture.size), layout.colour), 0);
        let (mut sheet, on_it) = self.open.take().unwrap_or_else(fresh);
        sheet.put(&picture, layout.place(on_it, picture.size));
        self.pictures += 1;
        if on_it + 1 == layout.tiles() {
            return self.close(&sheet);
        }
        self.open = Some((sheet, on_it + 1));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Made, Fault> {
        if let Some((sheet, _)) = self.open.take() {
            self.close(&sheet)?;
        }
        let cues = cues(&self.work.plan, self.sheets, self.work.origin);
        self.files.push(self.folder.write("cues.vtt", cues.as_bytes())?);
        Ok(Made { pictures: self.pictures, duration: None, encoder: self.coder.encoder(), files: self.files })
    }
}

/// Each picture stands for the time from its moment to the next one's.
fn cues(plan: &ImagePlan, sheets: &Sheets, origin: MediaTime) -> String {
    let Geometry { width, height } = plan.size;
    let (layout, extension) = (sheets.layout, sheets.still.format.extension());
    let starts = plan.shots.iter().map(|shot| shot.at - origin);
    let ends = starts.clone().skip(1).chain([sheets.end]);
    let mut out = "WEBVTT\n".to_owned();
    for (n, (start, end)) in starts.zip(ends).enumerate() {
        let (sheet, (left, top)) = (n / layout.tiles() + 1, layout.place(n % layout.tiles(), plan.size));
        let (start, end) = (clock(start), clock(end));
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\n{start} --> {end}\n{}-{sheet}.{extension}#xywh={left},{top},{width},{height}\n",
            sheets.stem
        );
    }
    out
}

/// `HH:MM:SS.mmm`, the hours with as many digits as they need.
fn clock(time: MediaTime) -> String {
    let ms = time.to_ticks(1000).max(0);
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_have_hours_and_thousandths() {
        let at = |ms| clock(MediaTime::from_millis(ms));
        assert_eq!([at(0), at(61_005), at(360_000_999)], ["00:00:00.000", "00:01:01.005", "100:00:00.999"]);
        assert_eq!(clock(MediaTime(1_999_600_000)), "00:00:02.000");
    }
}
