//! Where the film is cut, and why there.
//!
//! Cuts are wanted at `start + k·d`. Each is moved to the nearest key unit within half a segment, where no picture is
//! decoded twice; where none is near, it falls on the first picture shown not before the wanted moment, and the
//! segment decodes from the key unit before it. Every cut is the time of a shown picture, so a segment's last picture
//! lasts exactly until its end.
//!
//! Packages need cuts of their own: at the first picture shown not before each `start + k·t`, whatever keys are near, so
//! that their segments are as long as was asked for. Between two of them the film is cut as it would be otherwise.

use framefleet_model::cost;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::IndexHeader;
use framefleet_model::picture::Deinterlace;
use framefleet_model::pipeline::{Coding, SegmentDuration};
use framefleet_model::plan::{Cut, CutReason, Decode, PACE_EVEN, Segment, VideoRendition, output_end};
use framefleet_model::time::{MediaTime, Span};

use crate::flow::planning::film::{Counting, Film, KeyUnit};
use crate::flow::planning::span::Wanted;

const AUTO: MediaTime = MediaTime::from_secs(5);
const AUTO_MIN: MediaTime = MediaTime::from_secs(1);
/// Films longer than this have at least `AUTO_SEGMENTS_MIN` segments.
const AUTO_LONG: MediaTime = MediaTime::from_secs(60);
const AUTO_SEGMENTS_MIN: i64 = 16;
/// No task should keep one core longer.
const AUTO_TASK_MAX: MediaTime = MediaTime::from_secs(60);
const DURATION_MIN: MediaTime = MediaTime::from_millis(100);
/// What one transaction can create.
const SEGMENTS_MAX: i64 = 16_000;

pub(crate) struct Cutting<'a> {
    pub(crate) film: &'a Film<'a>,
    pub(crate) wanted: Wanted,
    pub(crate) asked: SegmentDuration,
    pub(crate) renditions: &'a [VideoRendition],
    /// How long the segments of packages are.
    pub(crate) packages: Option<MediaTime>,
    /// Where the film may be cut, if not anywhere: some rendition is a copy.
    pub(crate) only_at: Option<Vec<KeyUnit>>,
}

impl Cutting<'_> {
    pub(crate) fn cuts(&self) -> Result<Vec<Cut>, Fault> {
        let Span { start, end } = self.wanted.pictures;
        let mut cuts = vec![Cut { at: start, reason: CutReason::Start }];
        if let Some(duration) = self.duration()? {
            let boundaries = self.boundaries();
            self.check_boundaries(&boundaries)?;
            for boundary in boundaries {
                self.cut_between(boundary.at, duration, &mut cuts);
                cuts.push(boundary);
            }
            self.cut_between(end, duration, &mut cuts);
        }
        cuts.push(Cut { at: end, reason: CutReason::End });
        let segments = i64::try_from(cuts.len()).unwrap_or(i64::MAX) - 1;
        if segments > SEGMENTS_MAX {
            let text = format!("the film would have {segments} segments, {SEGMENTS_MAX} at most");
            return Err(Fault::new(FaultKind::Settings, text));
        }
        Ok(cuts)
    }

    /// Where segments of packages begin, but for the first, ascending.
    fn boundaries(&self) -> Vec<Cut> {
        let moments = self.packages.map(|time| self.moments(time)).unwrap_or_default();
        moments.into_iter().map(|at| Cut { at, reason: CutReason::Package { preroll: self.preroll(at) } }).collect()
    }

    /// A copy can begin a segment with a key picture alone, a package wants one wherever its time is up.
    fn check_boundaries(&self, boundaries: &[Cut]) -> Result<(), Fault> {
        let Some(keys) = &self.only_at else { return Ok(()) };
        let torn = boundaries.iter().find(|cut| keys.iter().all(|key| key.pts != cut.at));
        let Some(Cut { at, .. }) = torn else { return Ok(()) };
        let at = *at - self.wanted.span.start;
        let text = format!(
            "segments of packages begin every so often, one at {at}, and pictures that are copied can be cut at key \
             pictures alone, of which there is none: copies and packages of this film are two jobs"
        );
        Err(Fault::new(FaultKind::Settings, text))
    }

    /// The first pictures of a package's segments but the first; each shows a picture in every rendition.
    pub(crate) fn moments(&self, time: MediaTime) -> Vec<MediaTime> {
        let Span { start, end } = self.wanted.pictures;
        let mut moments: Vec<MediaTime> = Vec::new();
        let nth = |k: i64| start + MediaTime(time.ns().max(1).saturating_mul(k));
        for moment in (1..).map(nth).take_while(|moment| *moment < end) {
            let Some(at) = self.film.picture_from(moment).filter(|at| *at < end) else { break };
            if self.fills(moments.last().copied().unwrap_or(start), at) && self.fills(at, end) {
                moments.push(at);
            }
        }
        moments
    }

    /// Pictures that are decoded only to reach the one at `at`.
    fn preroll(&self, at: MediaTime) -> u32 {
        let key = self.film.key_before(at).map_or(at, |key| key.pts);
        self.film.count(key, at)
    }

    /// Cuts what lies between the last cut and `until`: by the duration asked for, or in equal parts of at most this.
    fn cut_between(&self, until: MediaTime, duration: MediaTime, cuts: &mut Vec<Cut>) {
        let start = cuts.last().map_or(until, |cut| cut.at);
        let duration = match self.asked {
            SegmentDuration::Auto => shared(until - start, duration),
            SegmentDuration::None | SegmentDuration::Every(_) => duration,
        };
        self.cut_every(duration, Span::new(start, until), cuts);
    }

    /// `None`: the film stays whole.
    fn duration(&self) -> Result<Option<MediaTime>, Fault> {
        if self.film.counting != Counting::Exact {
            return Ok(None);
        }
        match self.asked {
            SegmentDuration::None => Ok(None),
            // Copying is reading, which gains nothing from being done in parts.
            SegmentDuration::Auto if self.renditions.iter().all(|r| r.settings.coding == Coding::Copy) => Ok(None),
            SegmentDuration::Auto => Ok(Some(self.auto())),
            SegmentDuration::Every(asked) => self.check(asked).map(Some),
        }
    }

    fn auto(&self) -> MediaTime {
        let length = self.wanted.pictures.len();
        let mut duration = AUTO;
        if length > AUTO_LONG {
            duration = duration.min(MediaTime(length.ns() / AUTO_SEGMENTS_MIN));
        }
        let second = cost::second(self.renditions);
        if cost::stretch(duration, second) > AUTO_TASK_MAX {
            let affordable = i128::from(AUTO_TASK_MAX.ns()) * 1_000_000_000 / i128::from(second.ns().max(1));
            duration = MediaTime(i64::try_from(affordable).unwrap_or(i64::MAX));
        }
        duration.max(AUTO_MIN).max(MediaTime(length.ns() / SEGMENTS_MAX))
    }

    fn check(&self, asked: MediaTime) -> Result<MediaTime, Fault> {
        let refuse = |text: String| Err(Fault::new(FaultKind::Settings, text));
        if asked < DURATION_MIN {
            return refuse(format!("a segment duration of {asked} is under the bound of {DURATION_MIN}"));
        }
        let count = self.wanted.pictures.len().ns() / asked.ns();
        if count > SEGMENTS_MAX {
            return refuse(format!("segments of {asked} make {count} of them, {SEGMENTS_MAX} at most"));
        }
        Ok(asked)
    }

    fn cut_every(&self, duration: MediaTime, Span { start, end }: Span, cuts: &mut Vec<Cut>) {
        let half = MediaTime(duration.ns() / 2);
        for k in 1.. {
            let moment = start + MediaTime(duration.ns().saturating_mul(k));
            if moment + half > end {
                return;
            }
            let near = match &self.only_at {
                None => self.cut_near(moment, half),
                Some(keys) => match cut_at(keys, moment, half) {
                    Some(cut) => Some(cut),
                    None => continue,
                },
            };
            let Some(cut) = near else { return };
            let last = cuts.last().map_or(start, |cut| cut.at);
            if cut.at + half <= end && self.fills(last, cut.at) && self.fills(cut.at, end) {
                cuts.push(cut);
            }
        }
    }

    fn cut_near(&self, moment: MediaTime, half: MediaTime) -> Option<Cut> {
        let near = self.film.key_near(moment, moment - half, moment + half);
        let at = self.film.picture_from(near.map_or(moment, |key| key.pts))?;
        let reason = match near {
            Some(_) => CutReason::KeyPicture,
            None => match self.preroll(at) {
                0 => CutReason::KeyPicture,
                preroll => CutReason::InsideGop { preroll },
            },
        };
        Some(Cut { at, reason })
    }

    /// Whether every rendition shows a picture between the two.
    fn fills(&self, from: MediaTime, to: MediaTime) -> bool {
        let end = |at, r: &VideoRendition| output_end(Span::new(from, at), r.line(self.wanted.span.start));
        from < to && self.renditions.iter().all(|r| end(from, r) < end(to, r))
    }

    pub(crate) fn segments(&self, cuts: &[Cut], header: &IndexHeader) -> Vec<Segment> {
        let spans = cuts.windows(2).map(|pair| Span::new(pair[0].at, pair[1].at));
        spans.zip(0..).map(|(span, number)| self.segment(number, span, header)).collect()
    }

    /// What must be decoded: the segment, and its neighbours' nearest pictures where filters look at them.
    fn seen(&self, span: Span) -> Span {
        if self.renditions.iter().all(|r| r.deinterlace == Deinterlace::Weave) {
            return span;
        }
        let before = self.film.picture_before(span.start).unwrap_or(span.start);
        let after = self.film.picture_from(span.end).map_or(span.end, |next| MediaTime(next.ns() + 1));
        Span::new(before, after)
    }

    fn segment(&self, number: u32, span: Span, header: &IndexHeader) -> Segment {
        let slice = |(from, to)| Decode::Slice { from, to, blocks: header.blocks_of(from, to) };
        let all = (0, u32::try_from(self.film.units.len()).unwrap_or(u32::MAX));
        let (decode, pictures) = match &self.film.counting {
            Counting::Exact => {
                let Span { start, end } = self.seen(span);
                (slice(self.film.slice(start, end)), Some(self.film.count(span.start, span.end)))
            }
            Counting::Uncounted(_) => (slice(all), None),
            Counting::Untimed(_) => (Decode::Whole, None),
        };
        Segment { number, span, decode, pictures, pace: PACE_EVEN }
    }
}

/// At the nearest of these within half a segment.
fn cut_at(keys: &[KeyUnit], moment: MediaTime, half: MediaTime) -> Option<Cut> {
    let near = keys.iter().map(|key| key.pts).min_by_key(|pts| (*pts - moment).ns().unsigned_abs());
    let at = near.filter(|at| (*at - moment).ns().abs() <= half.ns())?;
    Some(Cut { at, reason: CutReason::KeyPicture })
}

/// Equal shares: a short last segment would leave a worker idle at the end.
fn shared(length: MediaTime, duration: MediaTime) -> MediaTime {
    let shares = (length.ns() + duration.ns() - 1) / duration.ns().max(1);
    MediaTime((length.ns() + shares - 1) / shares.max(1))
}
