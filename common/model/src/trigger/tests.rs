use super::rules::{Conflict, check};
use super::*;
use crate::event::Claims;
use crate::media::Container;
use crate::pipeline::{Damaged, OnExisting, OutputRequest, Package, Range, SegmentDuration};
use crate::time::MediaTime;

fn output(to: &str) -> OutputRequest {
    let container = Container::Mp4;
    let (to, tracks) = (to.to_owned(), Default::default());
    OutputRequest { to, container, video: None, audio: None, tracks, images: None, package: None }
}

fn package(to: &str) -> OutputRequest {
    let package = Package { time: MediaTime::from_secs(6), ladder: Default::default(), manifest: Default::default() };
    OutputRequest { package: Some(package), ..output(to) }
}

fn pipeline(id: &str, outputs: Vec<OutputRequest>) -> Arc<Pipeline> {
    let request = Request {
        source: String::new(),
        outputs,
        segments: SegmentDuration::Auto,
        damaged: Damaged::Fail,
        range: Range::default(),
        on_existing: OnExisting::Replace,
        steps: Vec::new(),
    };
    Arc::new(Pipeline::new(id.parse().unwrap(), request).unwrap())
}

/// `films: in/*.mov → s3://made/web/{stem}.mp4`, and what is another in a case.
fn trigger(name: &str, (prefix, suffix): (&str, &str)) -> Trigger {
    Trigger {
        name: name.to_owned(),
        place: Place::Bucket { provider: Provider::S3, name: BucketName::new("films").unwrap() },
        prefix: prefix.to_owned(),
        suffix: suffix.to_owned(),
        kinds: UploadKind::WHOLE.into(),
        quiet_ms: 0,
        pipeline: pipeline("web@1", vec![output("{stem}.mp4")]),
        canary: None,
        terms: Terms::default(),
        output: Template::of_folder("s3://made/web").unwrap(),
    }
}

fn folder(url: &str) -> Place {
    Place::Folder { url: url.to_owned(), called: None }
}

fn found(url: &str) -> Found {
    let source = SourceFacts { url: url.to_owned(), size: 9, version: "\"e\"".to_owned() };
    Found { source, modified: WallTime::parse("2026-03-09T23:59:59.999Z").unwrap() }
}

#[test]
fn a_trigger_takes_what_its_rule_says() {
    let films = trigger("films", ("in/", ".mov"));
    let told = |bucket: &str, key: &str, kind| Upload {
        provider: Provider::S3,
        bucket: BucketName::new(bucket).unwrap(),
        key: UploadKey::new(key).unwrap(),
        kind,
        event: "as named".to_owned(),
        id: "1".to_owned(),
        time: None,
        region: None,
        claims: Claims::default(),
    };
    let takes = |bucket: &str, key: &str, kind| films.takes(&told(bucket, key, kind));
    assert!(takes("films", "in/a.mov", UploadKind::Put) && takes("films", "in/源/🎬 100%.mov", UploadKind::Copy));
    assert!(!takes("films", "in/a.mov", UploadKind::Append), "only by name");
    assert!(!takes("other", "in/a.mov", UploadKind::Put));
    assert!(!takes("films", "a.mov", UploadKind::Put) && !takes("films", "in/a.MOV", UploadKind::Put));
    let of_oss = Upload { provider: Provider::Oss, ..told("films", "in/a.mov", UploadKind::Put) };
    let place = Place::Bucket { provider: Provider::Oss, name: BucketName::new("films").unwrap() };
    let oss = Trigger { place, ..films.clone() };
    assert!(films.takes(&of_oss), "it may be reached by another's protocol");
    assert!(oss.takes(&of_oss) && !oss.takes(&told("films", "in/a.mov", UploadKind::Put)));
    assert_eq!(oss.url(&of_oss.key), "oss://films/in/a.mov");
    let both = trigger("both", ("in/a.mov", ".mov"));
    assert!(!both.covers(&UploadKey::new("in/a.mov").unwrap()), "prefix and suffix are two parts of a key");
    let folder = Trigger { place: folder("file:///srv/in/"), ..trigger("nas", ("", ".mov")) };
    let covers = |key: &str| folder.covers(&UploadKey::new(key).unwrap());
    assert!(covers("a/b.mov") && !covers(".b.mov") && !covers(".a/b.mov"));
}

#[test]
fn a_wish_is_all_that_a_job_needs() {
    let one = Trigger {
        pipeline: pipeline("web@3", vec![output("{date}/{dir}/{stem}.mp4"), output("{job}/{ext}.mkv")]),
        terms: Terms { tenant: "news".parse().unwrap(), ..Terms::default() },
        ..trigger("films", ("in/", ".mov"))
    };
    let key = UploadKey::new("in/2026/a film.x.mov").unwrap();
    let source = found(&one.url(&key));
    assert_eq!(source.source.url, "s3://films/in/2026/a%20film.x.mov");
    let Wish { id, request, terms, cause } = one.wish(&source).unwrap();
    let to: Vec<&str> = request.outputs.iter().map(|output| output.to.as_str()).collect();
    let by_job = format!("s3://made/web/{id}/mov.mkv");
    assert_eq!(to, ["s3://made/web/2026-03-09/in/2026/a%20film.x.mp4", &by_job]);
    assert_eq!((request.source, terms.tenant.as_str()), (source.source.url.clone(), "news"));
    assert_eq!((cause.trigger.as_deref(), cause.pipeline.as_str()), (Some("films"), "web@3"));
    assert_eq!(one.wish(&source).unwrap().id, id);
}

/// Whatever makes another job makes another id, and nothing else does.
#[test]
fn a_job_is_told_apart_by_tenant_source_and_version() {
    let films = trigger("films", ("in/", ".mov"));
    let id = |trigger: &Trigger, found: &Found| trigger.wish(found).unwrap().id;
    let source = found("s3://films/in/a.mov");
    let known = id(&films, &source);
    let later = Found { modified: WallTime::parse("2027-01-01T00:00:00Z").unwrap(), ..source.clone() };
    assert_eq!(id(&films, &later), known, "the same content was put once more");
    assert_eq!(id(&Trigger { name: "other".to_owned(), ..films.clone() }, &source), known);
    let of = |change: fn(&mut SourceFacts)| {
        let mut other = source.clone();
        change(&mut other.source);
        id(&films, &other)
    };
    let tenant = Terms { tenant: "b".parse().unwrap(), ..Terms::default() };
    let ids = [
        of(|source| source.size += 1),
        of(|source| source.version.push('x')),
        of(|source| source.url = "s3://films/in/b.mov".to_owned()),
        id(&Trigger { terms: tenant, ..films.clone() }, &source),
        id(&Trigger { pipeline: pipeline("web@2", vec![output("{stem}.mp4")]), ..films.clone() }, &source),
    ];
    assert!(!ids.contains(&known) && BTreeSet::from(ids.clone()).len() == ids.len(), "{ids:?}");
}

#[test]
fn what_no_job_can_be_made_of_is_refused_by_name() {
    let films = trigger("films", ("in/", ".mov"));
    let mut empty = found("s3://films/in/a.mov");
    empty.source.size = 0;
    assert_eq!(films.wish(&empty).unwrap_err().to_string(), "s3://films/in/a.mov is empty: 0 bytes");
    let twice =
        Trigger { pipeline: pipeline("web@1", vec![output("{stem}.mp4"), output("{ext}.mp4")]), ..films.clone() };
    let text = twice.wish(&found("s3://films/in/mov.mov")).unwrap_err().to_string();
    assert_eq!(text, "of s3://films/in/mov.mov two outputs would both be s3://made/web/mov.mp4");
    let dots = Trigger { pipeline: pipeline("web@1", vec![output(".{ext}/a.mp4")]), ..trigger("all", ("in/", "")) };
    let text = dots.wish(&found("s3://films/in/a")).unwrap_err().to_string();
    assert!(text.ends_with("has . or .. between slashes"), "{text}");
    assert!(films.wish(&found("s3://other/in/a.mov")).is_err());
}

#[test]
fn a_canary_gets_its_share_and_always_the_same() {
    let canary = Canary { pipeline: pipeline("web@2", vec![output("{stem}.mp4")]), percent: 10 };
    let one = Trigger { canary: Some(canary), ..trigger("films", ("in/", ".mov")) };
    let of = |n: u32| one.pipeline_of(&found(&format!("s3://films/in/{n}.mov")).source).id().to_string();
    let drawn: Vec<String> = (0..5000).map(of).collect();
    let share = drawn.iter().filter(|id| *id == "web@2").count();
    assert!((400..600).contains(&share), "{share} of 5000");
    assert_eq!((0..5000).map(of).collect::<Vec<_>>(), drawn);
    assert_eq!(one.versions().map(PipelineId::as_str).collect::<Vec<_>>(), ["web@1", "web@2"]);
}

#[test]
fn triggers_that_would_take_the_same_are_refused_with_both_names() {
    let overlap = |a: (&str, &str), b: (&str, &str)| match check(&[trigger("a", a), trigger("b", b)], "s3://work/x") {
        Ok(()) => None,
        Err(conflict) => Some(conflict.to_string()),
    };
    let both = "triggers a and b overlap: both would take s3://films/in/new/*.tar.gz";
    assert_eq!(overlap(("in/new/", ".gz"), ("in/", ".tar.gz")).as_deref(), Some(both));
    assert!(overlap(("", ".mov"), ("in/", "v")).is_some() && overlap(("in/", ""), ("in/x", ".mov")).is_some());
    assert_eq!(overlap(("in/", ".mov"), ("in/", ".mp4")), None);
    assert_eq!(overlap(("in/", ".mov"), ("out/", ".mov")), None);
    let elsewhere = Trigger { place: folder("file:///films/"), ..trigger("b", ("in/", ".mov")) };
    assert_eq!(check(&[trigger("a", ("in/", ".mov")), elsewhere], "s3://work/x"), Ok(()));
    let called = |name: &str, url: &str| {
        let place = Place::Folder { url: url.to_owned(), called: BucketName::new("nas").ok() };
        Trigger { place, ..trigger(name, ("in/", ".mov")) }
    };
    let alike = [called("a", "file:///one/"), called("b", "file:///two/")];
    assert!(check(&alike, "s3://work/x").is_err(), "an event would mean either");
    let same = [trigger("a", ("in/", ".mov")), trigger("a", ("b/", ".mov"))];
    assert_eq!(check(&same, "s3://work/x"), Err(Conflict::Name("a".to_owned())));
}

#[test]
fn an_output_that_could_be_a_source_is_refused_with_both_rules() {
    let looped = |to: &str, outputs: Vec<OutputRequest>, (prefix, suffix): (&str, &str)| {
        let maker = Trigger {
            output: Template::of_folder(to).unwrap(),
            pipeline: pipeline("web@1", outputs),
            ..trigger("maker", ("raw/", ".mxf"))
        };
        check(&[maker, trigger("taker", (prefix, suffix))], "s3://work/x").map_err(|conflict| conflict.to_string())
    };
    let file = |to: &str| vec![output(to)];
    assert_eq!(
        looped("s3://films/in", file("{stem}.mov"), ("in/", ".mov")),
        Err("output s3://films/in/{stem}.mov of pipeline web@1, made by trigger maker, may be a source of trigger taker, \
             which takes s3://films/in/*.mov: that would be a loop"
            .to_owned())
    );
    for (to, name, rule) in [
        ("s3://films", "{dir}/{stem}.mov", ("in/", ".mov")),
        ("s3://films/{date}", "a.mov", ("in/", ".mov")),
        ("s3://films/i", "{stem}/{job}", ("in/", ".mov")),
        ("s3://films/in", "a.mov", ("in/", ".mov")),
        ("s3://films/%69n", "{stem}.mov", ("in/", ".mov")),
        ("s3://films/in/deep/er", "{stem}.mp4", ("in/", "")),
        ("s3://films", "{stem}.{ext}", ("", ".mov")),
    ] {
        // the first of them could only be read as `i` and more, had it no slash after it
        let is_loop = to != "s3://films/i";
        assert_eq!(looped(to, file(name), rule).is_err(), is_loop, "{to}/{name} {rule:?}");
    }
    for (to, name, rule) in [
        ("s3://films/out", "{stem}.mov", ("in/", ".mov")),
        ("s3://films/in", "{stem}.mp4", ("in/", ".mov")),
        ("s3://made/in", "{stem}.mov", ("in/", ".mov")),
        ("s3://films", "{stem}.mp4", ("", ".mov")),
        ("file:///films/in", "{stem}.mov", ("in/", ".mov")),
        ("s3://films/in", "a.mov", ("in/b", ".mov")),
    ] {
        assert_eq!(looped(to, file(name), rule), Ok(()), "{to}/{name} {rule:?}");
    }
    assert!(looped("s3://films/in", vec![package("{stem}.m3u8")], ("in/", ".ts")).is_err(), "its segments lie beside");
    assert!(looped("s3://films/out", vec![package("{stem}.m3u8")], ("in/", ".ts")).is_ok());
}

#[test]
fn the_canary_of_a_trigger_makes_no_loop_either() {
    let canary = Canary { pipeline: pipeline("web@2", vec![output("{stem}.mov")]), percent: 1 };
    let one = Trigger {
        canary: Some(canary),
        output: Template::of_folder("s3://films/in").unwrap(),
        ..trigger("films", ("in/", ".mov"))
    };
    assert!(check(&[one], "s3://work/x").unwrap_err().to_string().contains("pipeline web@2"));
}

#[test]
fn without_a_suffix_a_prefix_must_be_where_nothing_is_written() {
    let all = |prefix: &str, work: &str| {
        check(&[trigger("all", (prefix, ""))], work).map_err(|conflict| conflict.to_string())
    };
    assert!(all("", "s3://work/x").unwrap_err().contains("neither prefix nor suffix"));
    assert_eq!(all("in/", "s3://films/work"), Ok(()));
    for work in ["s3://films/in/work", "s3://films", "s3://films/in/"] {
        assert!(all("in/", work).unwrap_err().starts_with("trigger all takes s3://films/in/*, with which"), "{work}");
    }
    assert_eq!(check(&[trigger("some", ("", ".mov"))], "s3://films/work"), Ok(()));
    let nas = |url: &str| [Trigger { place: folder(url), ..trigger("nas", ("", "")) }];
    assert_eq!(check(&nas("file:///srv/in/"), "file:///srv/work"), Ok(()), "a folder is a prefix");
    assert!(check(&nas("file:///srv/"), "file:///srv/work").is_err());
}
