//! The merge task: segments and sound joined into one file, then read back and proven.
//!
//! ```text
//! index ─▶ schedule ─┐
//! segment 0, 1, 2 … ─┴▶ order, DTS ─▶ muxer ─▶ file ─▶ demuxed again ─▶ proof
//! sound 0, 1 … ──────────────────────┘
//! ```
//! A segment is opened, and waited for if it must be, when its turn to be written has come: a merge begins while the
//! film's end is still being encoded.
//! Memory holds the tables alone; unit data flows through one at a time. Nothing here depends on a clock or on chance:
//! the same segments give the same bytes.

mod headers;
pub(crate) mod inputs;
pub(crate) mod proof;
mod schedule;
pub(crate) mod sound;
mod transport;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Key;
use framefleet_model::ledger::OutputProof;
use framefleet_model::media::Container;
use framefleet_model::task::MergeWork;
use framefleet_model::time::MediaTime;

use crate::audio_files::{FlacWriter, Mp3Writer, OggWriter, WavWriter};
use crate::avi::AviWriter;
use crate::child::Teller;
use crate::flv::FlvWriter;
use crate::indexing::scratch_fault;
use crate::isobmff::writer::{Brand, FragmentedWriter, Mp4Writer};
use crate::matroska::{DocType, MatroskaWriter};
use crate::merge::inputs::Inputs;
use crate::muxing::{Film, MuxError, Muxer, Picture, Track};
use crate::package;
use crate::pipe::internal;
use crate::reader::Reader;
use crate::segment::Sync;

pub(crate) fn run(work: &MergeWork, reader: &Reader, scratch: &Path, teller: &Teller) -> Result<OutputProof, Fault> {
    if let Some(package) = &work.package {
        return package::run((work, package), reader, scratch, teller);
    }
    let mut inputs = Inputs::open(work, reader)?;
    let name = format!("output-{}.{}", work.output, work.container.name());
    let path = scratch.join(&name);
    match work.container {
        Container::Ts => transport::mux(&mut inputs, &path, teller)?,
        container => {
            let writer = writer(container, sink(&path)?, inputs.film(work)?).map_err(mux_fault)?;
            mux(writer, (&mut inputs, work.delay), teller)?;
        }
    }
    proof::of(work, &inputs, &path, name)
}

type Sink = BufWriter<File>;

fn sink(path: &Path) -> Result<Sink, Fault> {
    let file = File::create(path).map_err(|e| scratch_fault(&e))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}

fn writer(container: Container, sink: Sink, film: Film) -> Result<Box<dyn Muxer<Sink>>, MuxError> {
    Ok(match container {
        Container::Mp4 => Box::new(Mp4Writer::begin(sink, film, Brand::Mp4)?),
        Container::Fmp4 => Box::new(FragmentedWriter::begin(sink, &film)?),
        Container::M4a => Box::new(Mp4Writer::begin(sink, film, Brand::Sound)?),
        Container::Mov => Box::new(Mp4Writer::begin(sink, film, Brand::QuickTime)?),
        Container::Mkv => Box::new(MatroskaWriter::begin(sink, film, DocType::Matroska)?),
        Container::Webm => Box::new(MatroskaWriter::begin(sink, film, DocType::Webm)?),
        Container::Flv => Box::new(FlvWriter::begin(sink, film)?),
        Container::Avi => Box::new(AviWriter::begin(sink, film)?),
        Container::Mp3 => Box::new(Mp3Writer::begin(sink, film)?),
        Container::Ogg => Box::new(OggWriter::begin(sink, film)?),
        Container::Flac => Box::new(FlacWriter::begin(sink, film)?),
        Container::Wav => Box::new(WavWriter::begin(sink, film)?),
        Container::Ts | Container::Images => return Err(MuxError::Empty),
    })
}

fn mux(
    mut writer: Box<dyn Muxer<Sink>>,
    (inputs, delay): (&mut Inputs, MediaTime),
    teller: &Teller,
) -> Result<(), Fault> {
    let mut done = 0;
    while let Some(track) = writer.wants() {
        match track {
            Track::Video => {
                let (entry, data) = inputs.next_picture()?.ok_or_else(|| internal("the pictures end too early"))?;
                let key = if entry.sync == Sync::Yes { Key::Yes } else { Key::No };
                writer.push_picture(Picture { data, pts: entry.pts + delay, key }).map_err(mux_fault)?;
                done += 1;
                teller.step(done, entry.pts);
            }
            Track::Audio(number) => {
                let (entry, data) = inputs.next_sound(number)?.ok_or_else(|| internal("the sound ends too early"))?;
                writer.push_sound(data).map_err(mux_fault)?;
                teller.step(done, entry.pts);
            }
        }
    }
    writer.finish().map(drop).map_err(mux_fault)
}

pub(crate) fn mux_fault(error: MuxError) -> Fault {
    match error {
        MuxError::Io(io) => scratch_fault(&io),
        other => Fault::new(FaultKind::LedgerOpen, format!("the output cannot be written: {other}")),
    }
}
