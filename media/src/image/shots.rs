//! Each shot's picture: the last one that is shown not after its moment, decoded from its key unit on.

use std::collections::HashSet;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::pipeline::Damaged;
use framefleet_model::plan::Decode;
use framefleet_model::shots::{Reach, Shot};
use framefleet_model::task::ImageWork;
use framefleet_model::time::MediaTime;

use crate::decode::{self, Coded};
use crate::encode::{Sources, WholeClock};
use crate::pipe::internal;
use crate::slice::Slice;
use crate::units;

/// Takes a shot's picture and its place in the source's running time.
pub(crate) type Take<'a> = dyn FnMut(&gst::Sample, MediaTime) -> Result<(), Fault> + 'a;

/// Where the pictures stand that were taken, and how many are not those of their shots.
pub(crate) struct Taken {
    pub(crate) times: Vec<MediaTime>,
    pub(crate) lost: u32,
}

pub(crate) fn take(work: &ImageWork, sources: &Sources, take: &mut Take<'_>) -> Result<Taken, Fault> {
    let mut camera = Camera { work, due: &[], held: None, taken: Taken { times: Vec::new(), lost: 0 }, take };
    let mut shots = &work.plan.shots[..];
    for reach in &work.plan.reaches {
        let count = (reach.shots as usize).min(shots.len());
        let (due, rest) = shots.split_at(count);
        (camera.due, shots) = (due, rest);
        camera.reach(reach, sources)?;
        camera.settle()?;
    }
    if !shots.is_empty() {
        return Err(internal(format!("{} shots of the plan are not reached", shots.len())));
    }
    Ok(camera.taken)
}

struct Camera<'a> {
    work: &'a ImageWork,
    /// Shots of this reach whose picture has not been taken yet.
    due: &'a [Shot],
    /// The picture that is on the screen.
    held: Option<(gst::Sample, MediaTime)>,
    taken: Taken,
    take: &'a mut Take<'a>,
}

impl Camera<'_> {
    fn reach(&mut self, reach: &Reach, sources: &Sources) -> Result<(), Fault> {
        self.held = None;
        let track = &self.work.track;
        match &reach.decode {
            Decode::Slice { from, to, blocks } => {
                let units = units::of_slice(&*sources.index, *from..*to, blocks)?;
                let slice = Slice { track: &track.id, method: self.work.method, from: *from as usize, units: &units };
                let caps = track.caps_at(*from).ok_or_else(|| internal("the index has no caps"))?;
                let coded = Coded { caps, decoder: &track.decoder, slice };
                if self.due.iter().any(|shot| shot.picture.is_none()) {
                    let mut clock = WholeClock::at(self.work.plan.rate);
                    return decode::slice(&sources.film, &coded, &mut |sample, time| {
                        self.see(sample, clock.place(time))
                    });
                }
                // An empty packet of Theora shows the picture before it once more, which the index does not count.
                let repeats: HashSet<MediaTime> = units.iter().filter(|u| u.size == 0).filter_map(|u| u.pts).collect();
                decode::slice(&sources.film, &coded, &mut |sample, time| match repeats.contains(&time) {
                    true => Ok(()),
                    false => self.see(sample, time),
                })
            }
            Decode::Whole => {
                let mut clock = WholeClock::at(self.work.plan.rate);
                let named = (track.id.as_str(), track.decoder.as_str());
                decode::whole(&sources.film, named, &mut |sample, time| self.see(sample, clock.place(time)))
            }
        }
    }

    /// A picture comes onto the screen, in place of the one before.
    fn see(&mut self, sample: &gst::Sample, time: MediaTime) -> Result<(), Fault> {
        while let Some(shot) = self.due.first().copied()
            && self.held.is_some()
            && shot.at < time
        {
            self.shoot(shot)?;
        }
        if !self.due.is_empty() {
            self.held = Some((sample.clone(), time));
        }
        Ok(())
    }

    /// What comes last stays on the screen.
    fn settle(&mut self) -> Result<(), Fault> {
        while let Some(shot) = self.due.first().copied() {
            self.shoot(shot)?;
        }
        Ok(())
    }

    fn shoot(&mut self, shot: Shot) -> Result<(), Fault> {
        let at = shot.picture.unwrap_or(shot.at) - self.work.origin;
        let Some((sample, time)) = &self.held else {
            return Err(Fault::new(FaultKind::Damaged, format!("no picture decodes near {at}")));
        };
        if shot.picture.is_some_and(|picture| picture != *time) {
            if self.work.damaged == Damaged::Fail {
                let text = format!(
                    "the film is damaged: the picture at {at} does not decode (--damaged keep takes the one before)"
                );
                return Err(Fault::new(FaultKind::Damaged, text));
            }
            self.taken.lost += 1;
        }
        (self.take)(sample, *time)?;
        self.taken.times.push(*time);
        self.due = &self.due[1..];
        Ok(())
    }
}
