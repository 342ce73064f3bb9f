//! A numbered, beeping clip, so that a demonstration needs no media: each picture carries its number as a row of
//! black and white blocks (and in digits), the sound beeps at each whole second.

use std::path::PathBuf;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::Geometry;
use framefleet_model::time::{MediaTime, Rational};
use gst::prelude::*;

use crate::pipe::{self, Pipe, internal};

/// The clip that is wanted; the extension of `out` names its container.
#[derive(Clone, Debug)]
pub struct SampleSpec {
    pub out: PathBuf,
    pub duration: MediaTime,
    pub geometry: Geometry,
    pub rate: Rational,
}

/// 18 bits of number, then 2 of parity.
const BITS: u32 = 20;
const SOUND_RATE: u32 = 48_000;
const BEEP_SAMPLES: u64 = 2400;
const BLACK: u8 = 16;
const WHITE: u8 = 235;
/// avenc_aac's priming; the muxers leave it to us.
const PRIMING: i64 = -21_333_333;

/// ```text
/// pictures ─▶ {appsrc} ! {x264enc} ! {h264parse} ! {queue} ! {mp4mux} ! {filesink}
/// beeps ────▶ {appsrc} ! {audioconvert} ! {avenc_aac} ! {aacparse} ! {queue} !
/// ```
pub fn make(spec: &SampleSpec) -> Result<(), Fault> {
    gst::init().map_err(|e| Fault::new(FaultKind::PluginMissing, format!("GStreamer does not start: {e}")))?;
    let pipe = Pipe::new();
    let muxer = pipe::make(muxer_of(spec)?)?;
    let sink = pipe::make("filesink")?;
    sink.set_property("location", spec.out.to_string_lossy().as_ref());
    pipe.chain(&[&muxer, &sink])?;
    let pictures = picture_row(&pipe, spec, &muxer)?;
    let sound = sound_row(&pipe, &muxer)?;
    pipe.play()?;
    std::thread::scope(|scope| {
        scope.spawn(|| push_pictures(&pictures, spec));
        scope.spawn(|| push_sound(&sound, spec.duration));
        let ended = pipe.wait_end(|| {});
        // Threads may wait for room in a pipeline that no longer moves.
        let _ = pipe.element().set_state(gst::State::Null);
        ended
    })
}

fn muxer_of(spec: &SampleSpec) -> Result<&'static str, Fault> {
    let extension = spec.out.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    match extension.as_str() {
        "mp4" | "mov" => Ok("mp4mux"),
        "mkv" => Ok("matroskamux"),
        "ts" => Ok("mpegtsmux"),
        _ => {
            let name = spec.out.display();
            Err(Fault::new(FaultKind::Settings, format!("{name} ends in none of .mp4, .mov, .mkv, .ts")))
        }
    }
}

fn picture_row(pipe: &Pipe, spec: &SampleSpec, muxer: &gst::Element) -> Result<gst_app::AppSrc, Fault> {
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, spec.geometry.width, spec.geometry.height)
        .fps(crate::formats::fraction(spec.rate))
        .build()
        .map_err(|e| Fault::new(FaultKind::Settings, format!("pictures of {}: {e}", spec.geometry)))?;
    let caps = info.to_caps().map_err(|e| internal(e.to_string()))?;
    let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).block(true).build();
    source.set_max_bytes(32 << 20);
    let encoder = pipe::make("x264enc")?;
    encoder.set_property_from_str("speed-preset", "veryfast");
    encoder.set_property_from_str("pass", "qual");
    encoder.set_property("quantizer", 23_u32);
    encoder.set_property("vbv-buf-capacity", 0_u32);
    encoder.set_property("key-int-max", 250_u32);
    let queue = roomy_queue()?;
    pipe.chain(&[source.upcast_ref(), &encoder, &pipe::make("h264parse")?, &queue])?;
    queue.link(muxer).map_err(|e| internal(e.to_string()))?;
    Ok(source)
}

fn sound_row(pipe: &Pipe, muxer: &gst::Element) -> Result<gst_app::AppSrc, Fault> {
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "F32LE")
        .field("layout", "interleaved")
        .field("rate", i32::try_from(SOUND_RATE).unwrap_or(48_000))
        .field("channels", 1_i32)
        .build();
    let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).block(true).build();
    source.set_max_bytes(4 << 20);
    let encoder = pipe::make("avenc_aac")?;
    encoder.set_property("bitrate", 96_000_i32);
    let queue = roomy_queue()?;
    pipe.chain(&[source.upcast_ref(), &pipe::make("audioconvert")?, &encoder, &pipe::make("aacparse")?, &queue])?;
    let out = queue.static_pad("src").ok_or_else(|| internal("a queue without a source pad"))?;
    out.set_offset(PRIMING);
    queue.link(muxer).map_err(|e| internal(e.to_string()))?;
    Ok(source)
}

fn roomy_queue() -> Result<gst::Element, Fault> {
    let queue = pipe::make("queue")?;
    queue.set_property("max-size-buffers", 0_u32);
    queue.set_property("max-size-time", 0_u64);
    queue.set_property("max-size-bytes", 32_u32 << 20);
    Ok(queue)
}

fn push_pictures(source: &gst_app::AppSrc, spec: &SampleSpec) {
    for number in 0.. {
        let at = spec.rate.time_of(number);
        if at >= spec.duration {
            break;
        }
        let mut buffer = gst::Buffer::from_mut_slice(picture(spec.geometry, u32::try_from(number).unwrap_or(0)));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(clock(at));
            buffer.set_duration(clock(spec.rate.time_of(number + 1) - at));
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    // A pipeline that has failed tells it on its bus.
    let _ = source.end_of_stream();
}

fn push_sound(source: &gst_app::AppSrc, duration: MediaTime) {
    let samples = u64::try_from(duration.to_ticks(SOUND_RATE)).unwrap_or(0);
    let second = u64::from(SOUND_RATE);
    for start in (0..samples).step_by(SOUND_RATE as usize) {
        let block = (start..samples.min(start + second)).flat_map(|n| tone(n % second).to_le_bytes());
        let mut buffer = gst::Buffer::from_mut_slice(block.collect::<Vec<u8>>());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(clock(MediaTime::from_ticks(start.cast_signed(), SOUND_RATE)));
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    let _ = source.end_of_stream();
}

/// 1 kHz for a twentieth of a second, then silence.
fn tone(sample: u64) -> f32 {
    if sample >= BEEP_SAMPLES {
        return 0.0;
    }
    let turn = (sample % 48) as f32 / 48.0;
    0.8 * (turn * std::f32::consts::TAU).sin()
}

fn clock(time: MediaTime) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(time.ns()).unwrap_or(0))
}

/// I420: a drifting gradient, a wandering box, the number in blocks above and in digits below.
fn picture(size: Geometry, number: u32) -> Vec<u8> {
    let (width, height) = (size.width as usize, size.height as usize);
    let (stride, chroma_stride) = (width.next_multiple_of(4), width.div_ceil(2).next_multiple_of(4));
    let strip = (width / 20).max(32).min(height);
    let blocks = code(number);
    let mut luma = vec![BLACK; stride * height.next_multiple_of(2)];
    for (y, row) in luma.chunks_mut(stride).take(height).enumerate() {
        for (x, pixel) in row.iter_mut().take(width).enumerate() {
            *pixel = if y < strip { blocks[x * BITS as usize / width] } else { scene(x, y, number as usize) };
        }
    }
    draw_digits(&mut luma, (stride, width, height), number);
    let mut out = luma;
    let rows = height.div_ceil(2);
    for plane in 0..2 {
        for y in 0..rows {
            out.extend(
                (0..chroma_stride).map(|x| 96 + ((x * 64 / chroma_stride + y * 32 / rows + plane * 32) % 64) as u8),
            );
        }
    }
    out
}

fn scene(x: usize, y: usize, number: usize) -> u8 {
    let box_x = 40 + number * 3 % 200;
    let box_y = 60 + number * 2 % 80;
    if (box_x..box_x + 48).contains(&x) && (box_y..box_y + 48).contains(&y) {
        return 200;
    }
    let wave = (x + y + number * 2) % 256;
    let fold = if wave < 128 { wave } else { 255 - wave };
    48 + (fold / 2) as u8
}

fn code(number: u32) -> [u8; BITS as usize] {
    let bit = |i: u32| number >> i & 1;
    let parity = |from: u32| (from..BITS - 2).step_by(2).map(bit).sum::<u32>() & 1;
    std::array::from_fn(|i| {
        let i = u32::try_from(i).unwrap_or(0);
        let lit = match i {
            18 => parity(0),
            19 => parity(1),
            _ => bit(i),
        };
        if lit == 1 { WHITE } else { BLACK }
    })
}

/// Seven segments a digit: top, upper left, upper right, middle, lower left, lower right, bottom.
const SEGMENTS: [u8; 10] = [
    0b111_0111, 0b010_0100, 0b101_1101, 0b110_1101, 0b010_1110, 0b110_1011, 0b111_1011, 0b010_0101, 0b111_1111,
    0b110_1111,
];

fn draw_digits(luma: &mut [u8], (stride, width, height): (usize, usize, usize), number: u32) {
    let unit = (height / 60).max(2);
    let digits = format!("{number:06}");
    let top = height.saturating_sub(unit * 12);
    for (place, digit) in digits.bytes().enumerate() {
        let segments = SEGMENTS[usize::from(digit - b'0')];
        let left = unit * (2 + place * 7);
        let bars = [(0, 0, 5, 1), (0, 0, 1, 5), (4, 0, 1, 5), (0, 4, 5, 1), (0, 4, 1, 5), (4, 4, 1, 5), (0, 8, 5, 1)];
        for (segment, (x, y, w, h)) in bars.into_iter().enumerate() {
            if segments >> segment & 1 == 0 {
                continue;
            }
            for row in (top + y * unit)..(top + (y + h) * unit).min(height) {
                let from = (left + x * unit).min(width);
                let to = (left + (x + w) * unit).min(width);
                luma[row * stride + from..row * stride + to].fill(WHITE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_picture_is_written_least_bit_first_with_parity() {
        let lit = |n| code(n).map(|v| u8::from(v == WHITE));
        assert_eq!(&lit(1)[..2], &[1, 0]);
        assert_eq!(&lit(1)[18..], &[1, 0]);
        assert_eq!(&lit(0b110)[18..], &[1, 1]);
    }
}
