use proptest::prelude::*;

use super::*;

const SIZE_MAX: u64 = 1 << 53;

/// Names that a format may give to an upload of this kind.
fn event_of(format: Format, kind: UploadKind) -> String {
    let verb = match kind {
        UploadKind::CompleteMultipartUpload => kind.name().to_owned(),
        UploadKind::Put | UploadKind::Post | UploadKind::Copy | UploadKind::Append => format!("{kind}Object"),
    };
    match format {
        Format::Oss | Format::OssEventBridge => format!("oss:ObjectCreated:{verb}"),
        Format::OssQueue | Format::OssTopicJson | Format::OssTopicXml => format!("ObjectCreated:{verb}"),
        Format::S3 | Format::S3Topic | Format::S3CloudEvent => format!("ObjectCreated:{kind}"),
        Format::Minio => format!("s3:ObjectCreated:{kind}"),
        Format::S3EventBridge => verb,
        Format::CloudEvent => format!("org.example.film.{kind}"),
    }
}

fn key() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        4 => prop::char::range('!', '~'),
        1 => Just(' '),
        1 => Just('+'),
        1 => Just('%'),
        1 => Just('/'),
        1 => Just('.'),
        2 => any::<char>(),
    ];
    prop_oneof![
        9 => prop::collection::vec(letter, 1..60).prop_map(String::from_iter),
        1 => (1020_usize..1030).prop_map(|length| "k".repeat(length)),
    ]
}

fn claim() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[ -~源]{1,80}")
}

prop_compose! {
    fn upload(format: Format)(
        key in key().prop_filter_map("a key", |key| UploadKey::new(&key).ok()),
        bucket in "[a-z0-9][a-z0-9._-]{2,62}",
        kind in prop::sample::select(&UploadKind::ALL),
        both in prop::sample::select(&[Provider::Oss, Provider::S3][..]),
        id in "[ -~]{1,80}",
        time in prop::option::of(0_i64..4_102_444_800_000),
        region in claim(),
        (size, etag, version) in (prop::option::of(0..SIZE_MAX), claim(), claim()),
    ) -> Upload {
        Upload {
            provider: format.provider().unwrap_or(both),
            bucket: BucketName::new(&bucket).unwrap(),
            key,
            kind,
            event: event_of(format, kind),
            id,
            time: time.map(WallTime),
            region,
            claims: Claims { size, etag, version },
        }
    }
}

fn told() -> impl Strategy<Value = (Format, Upload)> {
    prop::sample::select(&Format::ALL[..]).prop_flat_map(|format| (Just(format), upload(format)))
}

fn one(upload: Upload) -> News {
    News { uploads: vec![upload], ..News::default() }
}

/// As S3's records spell it.
fn s3_record(key: &str) -> String {
    format!(
        r#"{{"s3": {{"bucket": {{"name": "films"}}, "object": {{"key": {key:?}}}}}, "eventName": "ObjectCreated:Put"}}"#
    )
}

fn oss_record(key: &str) -> serde_json::Value {
    serde_json::json!({"eventName": "ObjectCreated:PutObject",
        "oss": {"bucket": {"name": "films"}, "object": {"key": key, "size": 7}}})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_upload_reads_back_from_every_format((format, upload) in told()) {
        let news = decode(&encode(&upload, format));
        prop_assert_eq!(news, Ok(one(upload)), "{:?}", format);
    }

    #[test]
    fn a_key_is_taken_as_it_is_or_refused_by_name(key in any::<String>()) {
        let news = decode(serde_json::json!({"events": [oss_record(&key)]}).to_string().as_bytes()).unwrap();
        match UploadKey::new(&key) {
            Ok(taken) => prop_assert_eq!(&news.uploads[0].key, &taken),
            Err(why) => prop_assert_eq!(news.refused[0].why, why),
        }
        prop_assert_eq!(news.told(), 1);
    }

    #[test]
    fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    /// A message with some of its bytes turned, doubled, left out or replaced by what means something.
    #[test]
    fn no_mutation_is_too_much(
        (format, upload) in told(),
        turns in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..12),
    ) {
        let mut message = encode(&upload, format);
        for (at, byte, turn) in turns {
            let at = at.index(message.len());
            match turn {
                0 => message[at] = byte,
                1 => message.insert(at, b"{}[]\"<>&%+:,/"[usize::from(byte) % 13]),
                2 => message.truncate(at.max(1)),
                _ => message.extend_from_within(at..),
            }
        }
        if let Ok(news) = decode(&message) {
            prop_assert!(news.told() <= RECORDS_MAX);
        }
    }
}

#[test]
fn all_records_of_a_message_count() {
    let keys = ["a.mp4", "/b.mp4", "c.mp4", "folder/", "源 d.mp4"];
    let mut events: Vec<_> = keys.map(oss_record).into();
    events[3]["oss"]["object"]["size"] = 0.into();
    events.push(serde_json::json!({"eventName": "ObjectRemoved:DeleteObject"}));
    let news = decode(serde_json::json!({"events": events}).to_string().as_bytes()).unwrap();
    let taken: Vec<_> = news.uploads.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(taken, ["a.mp4", "c.mp4", "源 d.mp4"]);
    assert_eq!(news.refused, [Refused::new("films", "/b.mp4", Refusal::LeadingSlash)]);
    assert_eq!(news.others, 2, "the folder's mark and the deletion");
}

#[test]
fn an_event_without_an_id_has_the_same_at_each_repetition() {
    let id = |key: &str| decode(oss_record(key).to_string().as_bytes()).unwrap().uploads[0].id.clone();
    assert_eq!(id("a"), id("a"));
    assert_ne!(id("a"), id("b"));
    assert_eq!(id("a").len(), 32);
}

#[test]
fn what_is_claimed_beyond_measure_is_not_claimed() {
    let mut record = oss_record("a");
    record["region"] = "x".repeat(300).into();
    record["oss"]["object"]["eTag"] = 17.into();
    record["oss"]["object"]["size"] = "-5".into();
    record["eventTime"] = "soon".into();
    let upload = decode(record.to_string().as_bytes()).unwrap().uploads.remove(0);
    assert_eq!((upload.region, upload.time, upload.claims), (None, None, Claims::default()));
}

#[test]
fn messages_are_bounded() {
    let check = |message: &[u8], error: Undecodable| assert_eq!(decode(message), Err(error));
    check(&vec![b'['; MESSAGE_BYTES_MAX + 1], Undecodable::Long(MESSAGE_BYTES_MAX + 1));
    let many = format!("{{\"Records\": [{}]}}", vec![s3_record("a"); RECORDS_MAX + 1].join(","));
    check(many.as_bytes(), Undecodable::Many);
    let lists = format!("{}{{}}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    check(lists.as_bytes(), Undecodable::Deep);
    let brackets = decode("[".repeat(MESSAGE_BYTES_MAX).as_bytes());
    assert!(matches!(brackets, Err(Undecodable::Json(_))), "{brackets:?}");
    use base64::Engine as _;
    let wrapped = |layers: usize| {
        let record = s3_record("a").into_bytes();
        (0..layers).fold(record, |inner, _| base64::engine::general_purpose::STANDARD.encode(inner).into_bytes())
    };
    assert_eq!(decode(&wrapped(DEPTH_MAX)).unwrap().uploads.len(), 1);
    check(&wrapped(DEPTH_MAX + 1), Undecodable::Deep);
}

#[test]
fn what_is_no_event_is_refused_with_what_it_is_instead() {
    let check = |message: &str, text: &str| assert_eq!(decode(message.as_bytes()).unwrap_err().to_string(), text);
    check("", "neither JSON nor XML nor base64 of UTF-8");
    check("hello, world", "neither JSON nor XML nor base64 of UTF-8");
    check("{\"job\": 1, \"task\": 2}", "JSON of no known kind of event, with the fields job, task");
    check("{}", "JSON of no known kind of event, with no field");
    check("[17]", "JSON of no known kind of event, with no object in it");
    check("<Error/>", "XML of an element \"Error\", where Notification or Message is meant");
    check(
        "{\"specversion\": \"1.0\", \"type\": \"x\"}",
        "JSON of no known kind of event, with the fields specversion, type",
    );
    assert!(matches!(decode(b"{\"a\": "), Err(Undecodable::Json(_))));
    assert_eq!(decode(&[0xff, 0xfe]), Err(Undecodable::Text));
}
