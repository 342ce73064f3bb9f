//! Records of each provider. Only bucket, key and the event's name are needed; what else is missing or of another kind
//! is not there.

use serde_json::Value;

use super::decode::text;
use super::{BucketName, Claims, News, Provider, Refusal, Refused, Upload, UploadKey, UploadKind, WallTime, id_of};

/// Longer claims are none.
const CLAIM_BYTES_MAX: usize = 256;

/// What a record says, before anything of it is checked.
struct Told<'a> {
    provider: Provider,
    /// Absent: nothing was uploaded.
    kind: Option<UploadKind>,
    event: &'a str,
    bucket: &'a str,
    key: &'a str,
    spelling: Spelling,
    id: Option<&'a str>,
    time: Option<&'a str>,
    region: Option<&'a str>,
    size: Option<u64>,
    etag: Option<&'a str>,
    version: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Spelling {
    Plain,
    Form,
}

/// A record of OSS, by itself or in the envelope of a CloudEvent. Some senders put all of it into `oss`.
pub(super) fn oss(record: &Value, envelope: Option<&Value>) -> News {
    let inside = |name: &str| text(record, name).or_else(|| text(record, &["/oss", name].concat()));
    let outside = |name: &str| envelope.and_then(|envelope| text(envelope, name));
    let event = inside("/eventName").or_else(|| outside("/type")).unwrap_or_default();
    look(Told {
        provider: Provider::Oss,
        kind: UploadKind::of_created(event),
        event,
        bucket: text(record, "/oss/bucket/name").unwrap_or_default(),
        key: text(record, "/oss/object/key").unwrap_or_default(),
        spelling: Spelling::Plain,
        id: outside("/id").or_else(|| inside("/responseElements/requestId")),
        time: inside("/eventTime").or_else(|| outside("/time")),
        region: inside("/region").or_else(|| outside("/aliyunregionid")),
        size: size(record.pointer("/oss/object/size")),
        etag: text(record, "/oss/object/eTag"),
        version: text(record, "/oss/object/versionId"),
    })
}

/// A record of S3 and of those who speak like it: MinIO, RustFS.
pub(super) fn s3(record: &Value) -> News {
    let event = text(record, "/eventName").unwrap_or_default();
    look(Told {
        provider: Provider::S3,
        kind: UploadKind::of_created(event),
        event,
        bucket: text(record, "/s3/bucket/name").unwrap_or_default(),
        key: text(record, "/s3/object/key").unwrap_or_default(),
        spelling: Spelling::Form,
        id: text(record, "/responseElements/x-amz-request-id"),
        time: text(record, "/eventTime"),
        region: text(record, "/awsRegion"),
        size: size(record.pointer("/s3/object/size")),
        etag: text(record, "/s3/object/eTag"),
        version: text(record, "/s3/object/versionId"),
    })
}

/// S3 through Amazon's EventBridge, which is no CloudEvent.
pub(super) fn event_bridge(envelope: &Value) -> News {
    let reason = text(envelope, "/detail/reason").unwrap_or_default();
    let created = text(envelope, "/detail-type") == Some("Object Created");
    look(Told {
        provider: Provider::S3,
        kind: UploadKind::of_verb(reason).filter(|_| created),
        event: reason,
        bucket: text(envelope, "/detail/bucket/name").unwrap_or_default(),
        key: text(envelope, "/detail/object/key").unwrap_or_default(),
        spelling: Spelling::Plain,
        id: text(envelope, "/id"),
        time: text(envelope, "/time"),
        region: text(envelope, "/region"),
        size: size(envelope.pointer("/detail/object/size")),
        etag: text(envelope, "/detail/object/etag"),
        version: text(envelope, "/detail/object/version-id"),
    })
}

/// A CloudEvent whose data says where the object is: `scheme` (s3 if it says none), `bucket`, `key`.
pub(super) fn generic(envelope: &Value, data: &Value) -> News {
    let event = text(envelope, "/type").unwrap_or_default();
    let bucket = text(data, "/bucket").unwrap_or_default();
    let key = text(data, "/key").or_else(|| text(data, "/name")).unwrap_or_default();
    let Some(provider) = Provider::of_scheme(text(data, "/scheme").unwrap_or(Provider::S3.scheme())) else {
        return News { refused: vec![Refused::new(bucket, key, Refusal::Storage)], ..News::default() };
    };
    look(Told {
        provider,
        kind: UploadKind::of_type(event),
        event,
        bucket,
        key,
        spelling: Spelling::Plain,
        id: text(envelope, "/id"),
        time: text(envelope, "/time"),
        region: text(data, "/region"),
        size: size(data.pointer("/size")),
        etag: text(data, "/etag"),
        version: text(data, "/version"),
    })
}

fn look(told: Told<'_>) -> News {
    let Some(kind) = told.kind.filter(|_| told.event.len() <= CLAIM_BYTES_MAX) else {
        return News { others: 1, ..News::default() };
    };
    match upload(&told, kind) {
        Ok(upload) => News { uploads: vec![upload], ..News::default() },
        // Consoles make these when somebody makes a folder.
        Err(Refusal::Folder) if told.size.is_none_or(|bytes| bytes == 0) => News { others: 1, ..News::default() },
        Err(why) => News { refused: vec![Refused::new(told.bucket, told.key, why)], ..News::default() },
    }
}

fn upload(told: &Told<'_>, kind: UploadKind) -> Result<Upload, Refusal> {
    let bucket = BucketName::new(told.bucket)?;
    let key = match told.spelling {
        Spelling::Plain => UploadKey::new(told.key),
        Spelling::Form => UploadKey::from_form(told.key),
    }?;
    let size = told.size.map_or_else(String::new, |bytes| bytes.to_string());
    let (etag, time) = (told.etag.unwrap_or_default(), told.time.unwrap_or_default());
    let id = claim(told.id).unwrap_or_else(|| id_of(&[told.bucket, told.key, told.event, etag, &size, time]));
    Ok(Upload {
        provider: told.provider,
        bucket,
        key,
        kind,
        event: told.event.to_owned(),
        id,
        time: told.time.and_then(WallTime::parse),
        region: claim(told.region),
        claims: Claims { size: told.size, etag: claim(told.etag), version: claim(told.version) },
    })
}

fn claim(text: Option<&str>) -> Option<String> {
    text.filter(|text| (1..=CLAIM_BYTES_MAX).contains(&text.len())).map(str::to_owned)
}

fn size(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
