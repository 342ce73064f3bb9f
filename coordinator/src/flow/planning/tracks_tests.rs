//! Which sound tracks outputs have, and what is said where they cannot.

use framefleet_model::fault::FaultKind;
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::index::{AudioTrack, Index, Missing, Part, Silent, SilentTrack, Standing};
use framefleet_model::media::Container;
use framefleet_model::pipeline::{OutputRequest, Request, SoundTrack, SoundTracks};
use framefleet_model::plan::Plan;
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Span};

use super::tests::{audio, every, ms, output, planned, steady, video, with_sound};

/// A film with these sound tracks, by their languages; players play the second.
fn film(languages: &[&str]) -> Index {
    let mut index = with_sound(steady(10, 10), 0, 400);
    let first = index.header.audio.remove(0);
    let track = |(language, number): (&&str, u32)| AudioTrack {
        number,
        id: number.to_string(),
        language: Some((*language).to_owned()),
        shown: if number == 2 { Shown::Default } else { Shown::Asked },
        ..first.clone()
    };
    index.header.audio = languages.iter().zip(1..).map(track).collect();
    index
}

fn silent(index: &mut Index, number: u32, why: Silent) {
    index.header.audio.retain(|track| track.number != number);
    index.header.silent.push(SilentTrack { number, name: "dts".into(), language: None, why });
}

fn into(to: &str, container: Container, tracks: SoundTracks) -> OutputRequest {
    OutputRequest { container, tracks, ..output(to, Some(video()), Some(audio())) }
}

fn of(outputs: Vec<OutputRequest>, index: &Index) -> Result<Plan, (FaultKind, String)> {
    planned(&Request { outputs, ..every(1000) }, index)
}

/// Numbers of the source's tracks in each output, and which of them is played.
fn sounds(plan: &Plan) -> Vec<(Vec<u32>, u32)> {
    let track = |number: &u32| plan.audio[*number as usize].track;
    plan.outputs.iter().map(|output| (output.audio.iter().map(track).collect(), output.played)).collect()
}

fn these(numbers: &[u32]) -> SoundTracks {
    SoundTracks::These(numbers.iter().copied().map(SoundTrack::Number).collect())
}

#[test]
fn a_container_of_several_has_all_and_one_of_one_the_first() {
    let index = film(&["eng", "deu", "fra"]);
    let mut wav = into("file:///c", Container::Mp3, SoundTracks::Usual);
    (wav.video, wav.audio.as_mut().unwrap().codec) = (None, framefleet_model::media::AudioCodec::Mp3);
    let outputs = vec![
        into("file:///a", Container::Mkv, SoundTracks::Usual),
        into("file:///b", Container::Flv, SoundTracks::Usual),
        wav,
        into("file:///d", Container::Mp4, these(&[3, 1])),
        into("file:///e", Container::Mp4, SoundTracks::These(vec![SoundTrack::Language("fr".into())])),
        into("file:///f", Container::Ts, SoundTracks::First),
    ];
    let plan = of(outputs, &index).unwrap();
    let due = [(vec![1, 2, 3], 1), (vec![2], 0), (vec![2], 0), (vec![3, 1], 0), (vec![3], 0), (vec![2], 0)];
    assert_eq!(sounds(&plan), due);
    // The three tracks in AAC, and one of them in MP3 as well.
    assert_eq!((plan.audio.len(), plan.sounds()), (4, vec![1, 2, 3]));
    let tasks = super::tasks::tasks(&plan);
    let audios: Vec<TaskId> = tasks.iter().map(|task| task.id).filter(|id| id.kind == TaskKind::Audio).collect();
    assert_eq!(audios, [0, 1, 2].map(|number| TaskId::new(TaskKind::Audio, number)));
    assert_eq!(plan.sound_task(&plan.audio[2]), audios[2]);
    assert_eq!(plan.outputs[0].notes, Vec::<String>::new());
    assert_eq!(plan.outputs[1].notes[0], "sound track 1 (aac) is left out: flv holds one");
    assert_eq!(plan.outputs[4].notes[1], "sound track 2 (aac) is left out: it is not asked for");
}

#[test]
fn only_tracks_that_are_taken_are_the_film() {
    let mut index = film(&["eng", "deu"]);
    index.header.audio[1].span = Span::new(ms(100), ms(9000));
    let end = |tracks| {
        let plan = of(vec![into("file:///a", Container::Mkv, tracks)], &index).unwrap();
        (plan.span.end, plan.sounds())
    };
    assert_eq!(end(these(&[1])), (ms(400), vec![1]));
    assert_eq!(end(SoundTracks::Usual), (ms(9000), vec![1, 2]));
    let missing = |track| Missing { of: Part::Sound, from: None, track: Some(track), what: "it goes on".into() };
    index.header.missing = vec![missing(2)];
    let taking = |tracks| of(vec![into("file:///a", Container::Mkv, tracks)], &index);
    assert!(taking(these(&[1])).is_ok());
    assert_eq!(taking(SoundTracks::All).unwrap_err().0, FaultKind::Damaged);
}

#[test]
fn more_than_a_container_holds_or_a_film_has_is_refused_with_the_bound() {
    let index = film(&["eng", "deu"]);
    let refused = |container, tracks| of(vec![into("file:///a", container, tracks)], &index).unwrap_err();
    let text = "file:///a: flv holds 1 sound track, 2 are asked for (the source has 2: 1 (aac, eng), 2 (aac, deu))";
    assert_eq!(refused(Container::Flv, SoundTracks::All), (FaultKind::Settings, text.to_owned()));
    let text = "sound track 3 was asked for, the source has 2: 1 (aac, eng), 2 (aac, deu)";
    assert_eq!(refused(Container::Mkv, these(&[3])), (FaultKind::Settings, text.to_owned()));
    let named = |language: &str| SoundTracks::These(vec![SoundTrack::Number(2), SoundTrack::Language(language.into())]);
    assert!(refused(Container::Mkv, named("fr")).1.starts_with("sound in \"fr\" was asked for"));
    assert_eq!(refused(Container::Mkv, named("ger")).1, "file:///a: sound track 2 is asked for twice");
    assert!(of(vec![into("file:///a", Container::Flv, SoundTracks::All)], &film(&["eng"])).is_ok());
}

#[test]
fn a_track_that_does_not_decode_is_never_passed_over() {
    let mut index = film(&["eng", "deu", "fra"]);
    silent(&mut index, 2, Silent::Undecodable);
    let taken = |container, tracks, index: &Index| of(vec![into("file:///a", container, tracks)], index);
    let text = "sound track 2 (dts) does not decode (--audio-tracks 1,3 leaves it out)";
    let refusal = Err((FaultKind::Unsupported, text.to_owned()));
    assert_eq!(taken(Container::Mkv, SoundTracks::Usual, &index), refusal);
    assert_eq!(taken(Container::Flv, these(&[2]), &index), refusal);
    let plan = taken(Container::Mkv, these(&[1, 3]), &index).unwrap();
    assert_eq!((sounds(&plan)[0].clone(), plan.outputs[0].notes.len()), ((vec![1, 3], 0), 1));
    let plan = taken(Container::Flv, SoundTracks::Usual, &index).unwrap();
    assert_eq!(sounds(&plan), [(vec![1], 0)]);
    let mut only = film(&["eng"]);
    silent(&mut only, 1, Silent::Undecodable);
    let text = "sound track 1 (dts) does not decode (--audio-codec none leaves it out)";
    for container in [Container::Mkv, Container::Flv] {
        assert_eq!(taken(container, SoundTracks::Usual, &only).unwrap_err().1, text);
    }
    let mut empty = film(&["eng", "deu"]);
    silent(&mut empty, 1, Silent::Empty);
    let plan = taken(Container::Mkv, SoundTracks::Usual, &empty).unwrap();
    assert_eq!(plan.outputs[0].notes, ["sound track 1 (dts) is left out: it has no units"]);
    assert_eq!(taken(Container::Mkv, these(&[1]), &empty).unwrap_err().1, "sound track 1 (dts) has no units");
}

#[test]
fn what_goes_on_where_another_ends_is_no_track_of_its_own() {
    let mut index = film(&["eng", "eng"]);
    (index.header.audio[1].standing, index.header.audio[1].span) = (Standing::Behind, Span::new(ms(400), ms(900)));
    let plan = of(vec![into("file:///a", Container::Ts, SoundTracks::All)], &index).unwrap();
    assert_eq!((sounds(&plan), plan.span.end), (vec![(vec![1], 0)], ms(400)));
    let plan = of(vec![into("file:///a", Container::Ts, these(&[2]))], &index).unwrap();
    assert_eq!((sounds(&plan), plan.span.end > MediaTime::from_millis(400)), (vec![(vec![2], 0)], true));
}

/// Old plans and indexes knew one track, and still are what they were.
#[test]
fn one_track_is_written_as_it_always_was() {
    let index = with_sound(steady(10, 10), 0, 400);
    let plan = planned(&every(1000), &index).unwrap();
    let json = String::from_utf8(plan.to_bytes()).unwrap();
    assert!(json.contains("\"audio\":0,") && !json.contains("\"track\"") && !json.contains("\"played\""), "{json}");
    assert_eq!(&index.to_bytes()[4..8], &1_u32.to_le_bytes());
    assert_eq!(Index::from_bytes(&index.to_bytes()).unwrap().header.audio, index.header.audio);
    let several = film(&["eng", "deu"]);
    assert_eq!(&several.to_bytes()[4..8], &2_u32.to_le_bytes());
    assert_eq!(Index::from_bytes(&several.to_bytes()).unwrap().header.audio, several.header.audio);
}
