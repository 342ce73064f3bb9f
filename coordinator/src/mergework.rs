//! What a merge's child is told of its plan, and where each of its inputs comes from.

use std::collections::BTreeMap;

use framefleet_model::fault::Fault;
use framefleet_model::index::Block;
use framefleet_model::pipeline::Damaged;
use framefleet_model::plan::{Decode, OutputPlan, Plan};
use framefleet_model::probe::Shown;
use framefleet_model::task::{MergeAudio, MergePackage, MergeSegment, MergeVideo, MergeWork, object};

use crate::effects::internal;
use crate::inputs::Wanted;

/// What the child is told, and for each of its objects the task and rendition that it comes from.
pub(crate) fn merge_work(plan: &Plan, number: u32) -> Result<(MergeWork, Vec<Wanted>), Fault> {
    let output = plan.outputs.iter().find(|o| o.number == number).ok_or_else(|| missing(number, "place"))?;
    let mut objects = Objects { plan, output, wanted: Vec::new() };
    let (mut video, mut package) = (None, None);
    match &output.package {
        Some(planned) => {
            let variants = planned.videos.iter().map(|rendition| objects.video(*rendition));
            let (variants, starts) = (variants.collect::<Result<_, _>>()?, planned.starts.clone());
            package = Some(MergePackage { variants, starts, manifest: planned.manifest });
        }
        None => video = output.video.map(|rendition| objects.video(rendition)).transpose()?,
    }
    let audio = output.audio.iter().zip(0..).map(|(rendition, place)| objects.audio(*rendition, place));
    let audio = audio.collect::<Result<_, _>>()?;
    let work = MergeWork {
        output: number,
        container: output.container,
        video,
        audio,
        package,
        delay: output.delay,
        tags: plan.tags.clone(),
        chapters: plan.chapters.clone(),
        folder: String::new(),
        plan: plan.content_digest(),
    };
    Ok((work, objects.wanted))
}

/// A merge's inputs, numbered as they are asked for.
struct Objects<'a> {
    plan: &'a Plan,
    output: &'a OutputPlan,
    wanted: Vec<Wanted>,
}

impl Objects<'_> {
    fn input(&mut self, wanted: Wanted) -> u32 {
        let number = u32::try_from(self.wanted.len()).unwrap_or(u32::MAX);
        self.wanted.push(wanted);
        object::INPUTS.saturating_add(number)
    }

    fn video(&mut self, rendition: u32) -> Result<MergeVideo, Fault> {
        let plan = self.plan;
        let segments = plan.segments.iter().map(|segment| {
            let object = self.input(Wanted::segment(segment.number, rendition));
            MergeSegment { object, span: segment.span }
        });
        let segments = segments.collect();
        let rendition = plan.video.iter().find(|r| r.number == rendition).cloned();
        let rendition = rendition.ok_or_else(|| missing(self.output.number, "video rendition"))?;
        Ok(MergeVideo { rendition: Box::new(rendition), origin: plan.origin, told: told(plan), segments })
    }

    /// `place`: among the output's sound tracks.
    fn audio(&mut self, rendition: u32, place: u32) -> Result<MergeAudio, Fault> {
        let plan = self.plan;
        let rendition = plan.audio.iter().find(|r| r.number == rendition);
        let rendition = rendition.ok_or_else(|| missing(self.output.number, "audio rendition"))?;
        let object = self.input(Wanted::sound(plan.sound_task(rendition), rendition.number));
        let shown = if place == self.output.played { Shown::Default } else { Shown::Asked };
        Ok(MergeAudio { rendition: rendition.clone(), shown, object })
    }
}

fn missing(output: u32, what: &str) -> Fault {
    internal(format!("output {output} of the plan has no {what}"))
}

/// All blocks of the index that any segment's units lie in. `None` where pictures may be missing, which is known only
/// once all were tried, or where the index does not tell them.
fn told(plan: &Plan) -> Option<Vec<Block>> {
    let mut told = BTreeMap::new();
    for segment in &plan.segments {
        match &segment.decode {
            Decode::Slice { blocks, .. } if segment.pictures.is_some() => {
                told.extend(blocks.iter().map(|block| (block.first_unit, *block)));
            }
            Decode::Slice { .. } | Decode::Whole => return None,
        }
    }
    (plan.damaged == Damaged::Fail).then(|| told.into_values().collect())
}
