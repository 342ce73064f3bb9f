//! Reading the finished file back by demuxing it: what it holds against what went in.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::index::Unit;
use framefleet_model::ledger::{AudioReadback, OutputProof, Produced, Stand, VideoReadback};
use framefleet_model::media::{AudioCodec, Container};
use framefleet_model::pipeline::Coding;
use framefleet_model::task::{MergeWork, SourceLimits};
use framefleet_model::time::MediaTime;
use sha2::{Digest as _, Sha256};

use crate::indexing::scratch_fault;
use crate::isobmff::reader::Presented;
use crate::merge::inputs::{Inputs, PictureInput};
use crate::merge::sound::SoundInput;
use crate::pass::{self, Until};
use crate::read_at::ReadAt;
use crate::sound_coding;
use crate::tap::{Heard, Kind, sound_taps};

/// What a container's clock may round off a picture's time.
const OFF_MAX: MediaTime = MediaTime::from_millis(1);
/// The same for sound beside pictures: both clocks round.
const SOUND_OFF_MAX: MediaTime = MediaTime::from_millis(2);
/// More than an output of a film within bounds has: its own, and one of chapters.
const TRACKS: u32 = SourceLimits::DEFAULT.tracks_max + 2;

pub(crate) fn of(work: &MergeWork, inputs: &Inputs, path: &Path, name: String) -> Result<OutputProof, Fault> {
    let file = File::open(path).map_err(|e| scratch_fault(&e))?;
    let produced = produced(&file, name).map_err(|e| scratch_fault(&e))?;
    let (video, audio) = readback((inputs, work.container), Arc::new(file))?;
    let shown = inputs.pictures.as_ref().map(|pictures| pictures.schedule.end);
    let heard = inputs.heard_until();
    Ok(OutputProof {
        output: work.output,
        file: produced,
        stands: Stand::Named,
        beside: Vec::new(),
        duration: [shown, heard].into_iter().flatten().fold(MediaTime::ZERO, MediaTime::max),
        video,
        audio,
        variants: Vec::new(),
    })
}

/// What a demuxer finds in a finished output of one variant.
pub(crate) fn readback(
    (inputs, container): (&Inputs, Container),
    file: Arc<dyn ReadAt>,
) -> Result<(Option<VideoReadback>, Vec<AudioReadback>), Fault> {
    let film = Arc::new(Presented::of(file));
    let passed = pass::run(film.clone(), (TRACKS, Until::End), |_| {})?;
    if let Some(trouble) = passed.trouble {
        return Err(Fault::new(FaultKind::LedgerOpen, format!("the output does not read back: {}", trouble.message)));
    }
    let track = |kind: Kind| passed.taps.iter().find(|tap| tap.heard().kind == kind).cloned();
    let missing = |what: &str| Fault::new(FaultKind::LedgerOpen, format!("the output has no {what} track"));
    let mut video = None;
    if let Some(pictures) = &inputs.pictures {
        let tap = track(Kind::Video).ok_or_else(|| missing("video"))?;
        let last = pictures.schedule.times.last().copied().unwrap_or_default();
        if let Some(end) = film.end_of(&tap.heard().id).filter(|end| *end <= last) {
            let message = format!("the output's edit list ends at {end}, before its last picture at {last}");
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        video = Some(pictures_of(&shown(&tap.heard(), container), pictures)?);
    }
    let beside = inputs.pictures.as_ref().and_then(|p| p.schedule.times.first().copied());
    let first = track(Kind::Video).and_then(|tap| shown(&tap.heard(), container).first().copied());
    let taps = sound_taps(&passed.taps);
    if taps.len() != inputs.sounds.len() {
        let (found, due) = (taps.len(), inputs.sounds.len());
        let message = format!("{found} sound tracks read back from the output, {due} went in");
        return Err(Fault::new(FaultKind::LedgerOpen, message));
    }
    let audio = taps.iter().zip(&inputs.sounds).map(|(tap, sound)| sound_of(&tap.heard(), sound, first.zip(beside)));
    Ok((video, audio.collect::<Result<_, _>>()?))
}

fn produced(mut file: &File, name: String) -> std::io::Result<Produced> {
    let mut hasher = Sha256::new();
    let mut buf = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let got = file.read(&mut buf)?;
        if got == 0 {
            break;
        }
        hasher.update(&buf[..got]);
        size += got as u64;
    }
    Ok(Produced { name, size, digest: Digest::from_bytes(hasher.finalize().into()) })
}

/// When the file shows its pictures, ascending.
fn shown(heard: &Heard, container: Container) -> Vec<MediaTime> {
    // AVI tells only when pictures are decoded, which is when they are shown: none waits for a later one.
    let time = |unit: &Unit| if container == Container::Avi { unit.pts.or(unit.dts) } else { unit.pts };
    let mut times: Vec<MediaTime> = heard.units.iter().filter(|u| u.shows > 0).filter_map(time).collect();
    times.sort_unstable();
    times
}

fn pictures_of(times: &[MediaTime], input: &PictureInput) -> Result<VideoReadback, Fault> {
    let open = |what: String| Err(Fault::new(FaultKind::LedgerOpen, what));
    if times.len() != input.schedule.times.len() {
        let (got, due) = (times.len(), input.schedule.times.len());
        let text = format!("{got} pictures read back from the output, {due} went in");
        return match input.rendition.settings.coding {
            Coding::Encode => open(text),
            // They are the source's, bit for bit: a reader that finds fewer finds them damaged.
            Coding::Copy => {
                let text =
                    format!("not all pictures read back as the source has them coded, so encode them anew: {text}");
                Err(Fault::new(FaultKind::Corrupt, text))
            }
        };
    }
    let (Some(first), Some(due)) = (times.first().copied(), input.schedule.times.first().copied()) else {
        return open("the output has no pictures".to_owned());
    };
    let off = |(got, due_at): (&MediaTime, &MediaTime)| MediaTime(((*got - first) - (*due_at - due)).ns().abs());
    let off_max = times.iter().zip(&input.schedule.times).map(off).max().unwrap_or_default();
    if off_max > OFF_MAX {
        return open(format!("a picture of the output stands {off_max} off its place, the bound is {OFF_MAX}"));
    }
    let last = times.last().copied().unwrap_or_default() - first + due;
    Ok(VideoReadback { pictures: u32::try_from(times.len()).unwrap_or(u32::MAX), first: due, last, off_max })
}

/// Every unit is there, and the first stands where it must beside the first picture.
fn sound_of(
    heard: &Heard,
    input: &SoundInput,
    pictures: Option<(MediaTime, MediaTime)>,
) -> Result<AudioReadback, Fault> {
    let open = |what: String| Err(Fault::new(FaultKind::LedgerOpen, what));
    let due = input.track.entries.len() as u64;
    // Priming may be told to a player and left out by a demuxer, and a transport stream's demuxer begins at the first
    // clock reference, which comes with the first picture: nothing that stands later may be missing.
    let begins = pictures.map_or(MediaTime::ZERO, |(_, due_at)| due_at).max(input.first());
    let early = input.track.entries.iter().filter(|e| e.pts < begins).count() as u64;
    let settings = &input.rendition.settings;
    // GStreamer's parser gives the frame with the tag for sound.
    let extra = u8::from(settings.codec == AudioCodec::Mp3 && pictures.is_none());
    if settings.codec == AudioCodec::Pcm {
        // PCM has no units of its own: a demuxer gives it in blocks of any length.
        let frame = u64::from(input.rendition.format.channels) * sound_coding::layout(settings.codec).1;
        let (got, bytes) = (heard.bytes, input.track.extent.samples * frame);
        if got != bytes {
            return open(format!("{got} bytes of sound read back from the output, {bytes} went in"));
        }
    } else if heard.count > due + u64::from(extra) || heard.count + early < due {
        return open(format!("{} sound units read back from the output, {due} went in", heard.count));
    }
    let count_of = if settings.codec == AudioCodec::Pcm { due } else { heard.count.min(due) };
    let mut off_max = MediaTime::ZERO;
    if let (Some((heard_at, due_at)), Some(span)) = (pictures, heard.span) {
        let stands = span.start - heard_at + due_at;
        let left_out = usize::try_from(due - count_of).unwrap_or(0);
        let must = input.track.entries.get(left_out).map_or(MediaTime::ZERO, |e| e.pts);
        // A unit of priming that would stand before zero, or before its edit, is put where that begins; a unit that
        // holds nothing but padding may be left out at the end instead.
        let head = input.track.entries.first().map_or(must, |e| e.pts);
        let places = [head, must, must.max(MediaTime::ZERO), must.max(input.first())];
        off_max = places.map(|place| MediaTime((stands - place).ns().abs())).into_iter().min().unwrap_or_default();
        if off_max > SOUND_OFF_MAX {
            return open(format!(
                "the sound of the output stands {off_max} off its place, the bound is {SOUND_OFF_MAX}"
            ));
        }
    }
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(AudioReadback { units: count(count_of), left_out: count(due - count_of), first: input.first(), off_max })
}
