//! From fields to whole pictures.
//!
//! A field's missing lines are taken from the fields before and after it where nothing moves, and from between its own
//! lines where something does. So a picture is a function of itself and its two neighbours alone: whoever has those
//! three makes the same, wherever the film is cut.

use framefleet_model::fault::Fault;
use gst_video::prelude::*;

use crate::pipe::internal;

/// Which of a picture's two fields is made whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    First,
    Second,
}

/// A picture and its neighbours, where it has any.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) before: Option<&'a gst::Sample>,
    pub(crate) picture: &'a gst::Sample,
    pub(crate) after: Option<&'a gst::Sample>,
}

type Frame<'a> = gst_video::VideoFrameRef<&'a gst::BufferRef>;

/// The whole picture of one field; a picture that was never interlaced is itself.
pub(crate) fn whole(around: Around<'_>, field: Field) -> Result<gst::Sample, Fault> {
    let (buffer, info) = parts(around.picture)?;
    let caps = progressive(around.picture)?;
    let kept = match (order(buffer, &info), field) {
        (None, _) => return Ok(gst::Sample::builder().buffer(&plain(buffer)).caps(&caps).build()),
        (Some(Order::TopFirst), Field::First) | (Some(Order::BottomFirst), Field::Second) => 0,
        (Some(Order::TopFirst), Field::Second) | (Some(Order::BottomFirst), Field::First) => 1,
    };
    let like = |sample: &Option<&gst::Sample>| {
        let (_, told) = parts((*sample)?).ok()?;
        let size = |info: &gst_video::VideoInfo| (info.format(), info.width(), info.height());
        (size(&told) == size(&info)).then_some(told)
    };
    let infos = [&around.before, &around.after].map(like);
    let here = Frame::from_buffer_ref_readable(buffer, &info).map_err(|e| internal(e.to_string()))?;
    let before = frame(around.before, infos[0].as_ref());
    let after = frame(around.after, infos[1].as_ref());
    let mut made = gst::Buffer::with_size(info.size()).map_err(|e| internal(e.to_string()))?;
    let target = made.get_mut().ok_or_else(|| internal("a new buffer that others hold"))?;
    let mut target = gst_video::VideoFrameRef::from_buffer_ref_writable(target, &info)
        .map_err(|e| internal(format!("a new picture: {e}")))?;
    for plane in 0..info.n_planes() {
        let now = Plane::of(&here, plane);
        let [before, after] = [&before, &after].map(|frame| frame.as_ref().and_then(|frame| Plane::of(frame, plane)));
        let done = now.and_then(|now| Fields { kept, field, before, now, after }.fill(plane, &mut target));
        done.ok_or_else(|| internal("a picture with less lines than its format says"))?;
    }
    drop(target);
    Ok(gst::Sample::builder().buffer(&made).caps(&caps).build())
}

fn frame<'a>(sample: Option<&'a gst::Sample>, info: Option<&gst_video::VideoInfo>) -> Option<Frame<'a>> {
    let (buffer, info) = sample?.buffer().zip(info)?;
    Frame::from_buffer_ref_readable(buffer, info).ok()
}

fn parts(sample: &gst::Sample) -> Result<(&gst::BufferRef, gst_video::VideoInfo), Fault> {
    let buffer = sample.buffer().ok_or_else(|| internal("a sample without a picture"))?;
    let caps = sample.caps().ok_or_else(|| internal("a picture without caps"))?;
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|e| internal(e.to_string()))?;
    Ok((buffer, info))
}

fn progressive(sample: &gst::Sample) -> Result<gst::Caps, Fault> {
    let mut caps = sample.caps_owned().ok_or_else(|| internal("a picture without caps"))?;
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        structure.set("interlace-mode", "progressive");
        structure.remove_field("field-order");
    }
    Ok(caps)
}

/// In a progressive stream no picture is flagged.
fn plain(buffer: &gst::BufferRef) -> gst::Buffer {
    let mut copy = buffer.copy();
    if let Some(buffer) = copy.get_mut() {
        buffer.unset_flags(gst::BufferFlags::from_bits_retain(gst_video::VideoBufferFlags::INTERLACED.bits()));
    }
    copy
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    TopFirst,
    BottomFirst,
}

/// `None`: the picture is not interlaced.
fn order(buffer: &gst::BufferRef, info: &gst_video::VideoInfo) -> Option<Order> {
    let flags = gst_video::VideoBufferFlags::from_bits_truncate(buffer.flags().bits());
    let flagged = if flags.contains(gst_video::VideoBufferFlags::TFF) { Order::TopFirst } else { Order::BottomFirst };
    match (info.interlace_mode(), info.field_order()) {
        (gst_video::VideoInterlaceMode::Progressive, _) => None,
        (gst_video::VideoInterlaceMode::Mixed, _) => {
            flags.contains(gst_video::VideoBufferFlags::INTERLACED).then_some(flagged)
        }
        (_, gst_video::VideoFieldOrder::TopFieldFirst) => Some(Order::TopFirst),
        (_, gst_video::VideoFieldOrder::BottomFieldFirst) => Some(Order::BottomFirst),
        _ => Some(flagged),
    }
}

/// One plane of a picture: samples of one component, or of two by turns.
#[derive(Clone, Copy)]
struct Plane<'a> {
    data: &'a [u8],
    stride: usize,
    /// Samples in a line, of all its components.
    width: usize,
    rows: usize,
    bytes: usize,
    /// From a sample to the next one of the same component.
    step: usize,
}

impl<'a> Plane<'a> {
    fn of(frame: &'a Frame<'_>, plane: u32) -> Option<Self> {
        let info = frame.info();
        let component = (0..info.n_components()).find(|c| frame.comp_plane(*c) == plane)?;
        let bytes = if frame.comp_depth(component) > 8 { 2 } else { 1 };
        let step = usize::try_from(frame.comp_pstride(component)).ok()? / bytes;
        let width = frame.comp_width(component) as usize * step;
        let stride = usize::try_from(*frame.plane_stride().get(plane as usize)?).ok()?;
        let rows = frame.comp_height(component) as usize;
        Some(Self { data: frame.plane_data(plane).ok()?, stride, width, rows, bytes, step })
    }

    fn bytes_of(&self, row: usize) -> Option<&'a [u8]> {
        self.data.get(row * self.stride..row * self.stride + self.width * self.bytes)
    }

    fn line(&self, row: usize) -> Option<Vec<i32>> {
        let bytes = self.bytes_of(row)?;
        Some(match self.bytes {
            1 => bytes.iter().map(|v| i32::from(*v)).collect(),
            _ => bytes.chunks_exact(2).map(|v| i32::from(u16::from_le_bytes([v[0], v[1]]))).collect(),
        })
    }
}

struct Fields<'a> {
    /// The parity of the lines that the field has.
    kept: usize,
    field: Field,
    before: Option<Plane<'a>>,
    now: Plane<'a>,
    after: Option<Plane<'a>>,
}

impl Fields<'_> {
    fn fill(&self, plane: u32, target: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>) -> Option<()> {
        let stride = usize::try_from(*target.plane_stride().get(plane as usize)?).ok()?;
        let out = target.plane_data_mut(plane).ok()?;
        for row in 0..self.now.rows {
            let line = out.get_mut(row * stride..row * stride + self.now.width * self.now.bytes)?;
            if row % 2 == self.kept || self.now.rows < 2 {
                line.copy_from_slice(self.now.bytes_of(row)?);
                continue;
            }
            let made = self.between(row)?;
            match self.now.bytes {
                1 => line.iter_mut().zip(&made).for_each(|(to, v)| *to = u8::try_from(*v).unwrap_or(u8::MAX)),
                _ => line.chunks_exact_mut(2).zip(&made).for_each(|(to, v)| {
                    to.copy_from_slice(&u16::try_from(*v).unwrap_or(u16::MAX).to_le_bytes());
                }),
            }
        }
        Some(())
    }

    /// A line that the field lacks: between the lines around it, but no further from the mean of the same line in the
    /// fields before and after than what moves there.
    fn between(&self, row: usize) -> Option<Vec<i32>> {
        let rows = self.now.rows;
        let (above, below) = (row.checked_sub(1).unwrap_or(row + 1), if row + 1 < rows { row + 1 } else { row - 1 });
        let (before, after) = (self.before.unwrap_or(self.now), self.after.unwrap_or(self.now));
        let (earlier, later) = match self.field {
            Field::First => (before, self.now),
            Field::Second => (self.now, after),
        };
        let (up, down) = (self.now.line(above)?, self.now.line(below)?);
        let (then, next) = (earlier.line(row)?, later.line(row)?);
        let moves = [motion(&before, (above, below), (&up, &down))?, motion(&after, (above, below), (&up, &down))?];
        let mut made = inside(&up, &down, self.now.step);
        for (n, value) in made.iter_mut().enumerate() {
            let mean = (then[n] + next[n]) / 2;
            let apart = ((then[n] - next[n]).abs() / 2).max(moves[0][n]).max(moves[1][n]);
            *value = (*value).clamp(mean - apart, mean + apart);
        }
        Some(made)
    }
}

/// How far the lines around have changed against another picture.
fn motion(other: &Plane<'_>, (above, below): (usize, usize), (up, down): (&[i32], &[i32])) -> Option<Vec<i32>> {
    let (theirs_up, theirs_down) = (other.line(above)?, other.line(below)?);
    let ours = up.iter().zip(down).zip(theirs_up.iter().zip(&theirs_down));
    Some(
        ours.map(|((up, down), (theirs_up, theirs_down))| ((up - theirs_up).abs() + (down - theirs_down).abs()) / 2)
            .collect(),
    )
}

/// Between two lines, along the edge that runs through them.
fn inside(up: &[i32], down: &[i32], step: usize) -> Vec<i32> {
    let mut made: Vec<i32> = up.iter().zip(down).map(|(up, down)| (up + down) / 2).collect();
    let Some(inner) = up.len().checked_sub(4 * step).filter(|inner| *inner > 0) else { return made };
    let from = |line: &'_ [i32], steps: usize| -> Vec<i32> { line[steps * step..steps * step + inner].to_vec() };
    let (u, d): (Vec<_>, Vec<_>) = (0..5).map(|n| (from(up, n), from(down, n))).unzip();
    for n in 0..inner {
        let unlike = |a: usize, b: usize| (u[a][n] - d[b][n]).abs();
        let straight = unlike(1, 1) + unlike(2, 2) + unlike(3, 3) - 1;
        let falling = unlike(0, 2) + unlike(1, 3) + unlike(2, 4);
        let rising = unlike(2, 0) + unlike(3, 1) + unlike(4, 2);
        made[n + 2 * step] = if straight <= falling.min(rising) {
            (u[2][n] + d[2][n]) / 2
        } else if falling <= rising {
            (u[1][n] + d[3][n]) / 2
        } else {
            (u[3][n] + d[1][n]) / 2
        };
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: u32 = 32;

    fn caps(mode: &str) -> gst::Caps {
        gst::init().unwrap();
        format!("video/x-raw,format=I420,width={SIDE},height={SIDE},framerate=25/1,interlace-mode={mode},field-order=top-field-first")
            .parse()
            .unwrap()
    }

    /// A woven picture whose fields show `value` at (x, y, moment), the moments being twice the number and one more.
    fn woven(number: i32, value: impl Fn(i32, i32, i32) -> u8) -> gst::Sample {
        let caps = caps("interleaved");
        let side = i32::try_from(SIDE).unwrap();
        let luma = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
        let mut bytes: Vec<u8> = luma.map(|(x, y)| value(x, y, 2 * number + y % 2)).collect();
        bytes.resize(bytes.len() * 3 / 2, 128);
        gst::Sample::builder().buffer(&gst::Buffer::from_mut_slice(bytes)).caps(&caps).build()
    }

    fn luma(sample: &gst::Sample) -> Vec<u8> {
        let map = sample.buffer().unwrap().map_readable().unwrap();
        map[..(SIDE * SIDE) as usize].to_vec()
    }

    fn made(scene: fn(i32, i32, i32) -> u8, field: Field) -> Vec<u8> {
        let [before, picture, after] = [0, 1, 2].map(|n| woven(n, scene));
        luma(&whole(Around { before: Some(&before), picture: &picture, after: Some(&after) }, field).unwrap())
    }

    #[test]
    fn what_stands_still_keeps_every_line() {
        let scene = |x: i32, y: i32, _: i32| u8::try_from((x * 37 + y * 91) % 256).unwrap();
        let whole = luma(&woven(1, scene));
        assert_eq!(made(scene, Field::First), whole);
        assert_eq!(made(scene, Field::Second), whole);
    }

    #[test]
    fn what_moves_shows_one_moment() {
        // An edge that runs from left to right, four pixels a field.
        let scene = |x: i32, _: i32, t: i32| if x < 4 * t { 200 } else { 50 };
        for (field, moment) in [(Field::First, 2), (Field::Second, 3)] {
            let side = i32::try_from(SIDE).unwrap();
            let due: Vec<u8> = (0..side).flat_map(|_| (0..side).map(|x| scene(x, 0, moment))).collect();
            assert_eq!(made(scene, field), due, "{field:?}");
        }
    }

    #[test]
    fn an_only_picture_and_a_progressive_one_are_taken_as_they_are() {
        let picture = woven(0, |x, _, _| u8::try_from(x).unwrap());
        let lone = Around { before: None, picture: &picture, after: None };
        assert_eq!(luma(&whole(lone, Field::First).unwrap()), luma(&picture));
        let buffer = woven(0, |x, y, t| u8::try_from(x + y * t).unwrap()).buffer_owned().unwrap();
        let picture = gst::Sample::builder().buffer(&buffer).caps(&caps("progressive")).build();
        let lone = Around { before: None, picture: &picture, after: None };
        assert_eq!(luma(&whole(lone, Field::Second).unwrap()), luma(&picture));
    }
}
