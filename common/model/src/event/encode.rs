//! Uploads as each provider would tell of them: what tests send, and what says how a format is read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{Provider, Upload};
use crate::xml::escape;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// OSS as it notifies a function: `{"events": […]}`.
    Oss,
    /// The same in a body of MNS, in base64.
    OssQueue,
    /// Through a topic of MNS, as JSON; the message inside in base64.
    OssTopicJson,
    /// Through a topic of MNS, as XML.
    OssTopicXml,
    /// Through Alibaba's EventBridge.
    OssEventBridge,
    /// `{"Records": […]}`.
    S3,
    /// The same as MinIO and RustFS send it.
    Minio,
    /// Through a topic of Amazon's.
    S3Topic,
    /// Through Amazon's EventBridge.
    S3EventBridge,
    /// A record of S3 as the data of a CloudEvent.
    S3CloudEvent,
    /// A CloudEvent that says bucket and key itself.
    CloudEvent,
}

impl Format {
    pub const ALL: [Self; 11] = [
        Self::Oss,
        Self::OssQueue,
        Self::OssTopicJson,
        Self::OssTopicXml,
        Self::OssEventBridge,
        Self::S3,
        Self::Minio,
        Self::S3Topic,
        Self::S3EventBridge,
        Self::S3CloudEvent,
        Self::CloudEvent,
    ];

    /// Whose uploads it tells of; a generic one tells of all.
    pub fn provider(self) -> Option<Provider> {
        match self {
            Self::Oss | Self::OssQueue | Self::OssTopicJson | Self::OssTopicXml | Self::OssEventBridge => {
                Some(Provider::Oss)
            }
            Self::S3 | Self::Minio | Self::S3Topic | Self::S3EventBridge | Self::S3CloudEvent => Some(Provider::S3),
            Self::CloudEvent => None,
        }
    }
}

/// A message of one record, whose event is named as the upload names it: with a name that the format has, decoding
/// gives the upload again.
pub fn encode(upload: &Upload, format: Format) -> Vec<u8> {
    match format {
        Format::Oss => oss_events(upload),
        Format::OssQueue => BASE64.encode(oss_events(upload)),
        Format::OssTopicJson => topic_json(upload),
        Format::OssTopicXml => topic_xml(upload),
        Format::OssEventBridge => oss_event_bridge(upload),
        Format::S3 => s3_records(upload),
        Format::Minio => minio(upload),
        Format::S3Topic => {
            let arn = "arn:aws:sns:eu-west-1:123456789012:films";
            json!({"Type": "Notification", "MessageId": "m-1", "TopicArn": arn, "Message": s3_records(upload)})
                .to_string()
        }
        Format::S3EventBridge => s3_event_bridge(upload),
        Format::S3CloudEvent => {
            let kind = format!("com.amazonaws.s3.{}", upload.event);
            let source = format!("aws:s3.{}", upload.bucket);
            envelope(upload, (&kind, &source), s3_record(upload)).to_string()
        }
        Format::CloudEvent => generic(upload),
    }
    .into_bytes()
}

fn oss_events(upload: &Upload) -> String {
    json!({"events": [oss_record(upload)]}).to_string()
}

fn oss_record(upload: &Upload) -> Value {
    let Upload { bucket, key, claims, .. } = upload;
    json!({
        "eventName": upload.event, "eventSource": "acs:oss", "eventTime": time(upload), "eventVersion": "1.0",
        "oss": {
            "bucket": {"name": bucket, "ownerIdentity": "1"},
            "object": {"key": key, "size": claims.size, "eTag": claims.etag, "versionId": claims.version},
            "ossSchemaVersion": "1.0", "ruleId": "films",
        },
        "region": upload.region, "responseElements": {"requestId": upload.id},
    })
}

fn topic_json(upload: &Upload) -> String {
    let message = BASE64.encode(oss_events(upload));
    json!({"TopicOwner": "1", "TopicName": "films", "SubscriptionName": "to-queue", "MessageId": "M1",
        "Message": message, "PublishTime": "1449556920975"})
    .to_string()
}

fn topic_xml(upload: &Upload) -> String {
    let message = escape(&oss_events(upload));
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Notification xmlns=\"http://mns.aliyuncs.com/doc/v1/\">\
         <TopicOwner>1</TopicOwner><TopicName>films</TopicName><SubscriptionName>to-queue</SubscriptionName>\
         <MessageId>M1</MessageId><Message>{message}</Message><PublishTime>1449556920975</PublishTime></Notification>"
    )
}

fn oss_event_bridge(upload: &Upload) -> String {
    let mut data = oss_record(upload);
    data["responseElements"] = json!({"requestId": "another"});
    envelope(upload, (&upload.event, "acs.oss"), data).to_string()
}

fn s3_records(upload: &Upload) -> String {
    json!({"Records": [s3_record(upload)]}).to_string()
}

fn s3_record(upload: &Upload) -> Value {
    let Upload { bucket, key, claims, .. } = upload;
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": upload.event, "eventTime": time(upload),
        "awsRegion": upload.region, "responseElements": {"x-amz-request-id": upload.id},
        "s3": {
            "s3SchemaVersion": "1.0", "bucket": {"name": bucket},
            "object": {"key": key.to_form(), "size": claims.size, "eTag": claims.etag, "versionId": claims.version},
        },
    })
}

fn minio(upload: &Upload) -> String {
    let mut record = s3_record(upload);
    record["eventSource"] = json!("minio:s3");
    json!({"EventName": upload.event, "Key": format!("{}/{}", upload.bucket, upload.key), "Records": [record]})
        .to_string()
}

fn s3_event_bridge(upload: &Upload) -> String {
    let Upload { bucket, key, claims, .. } = upload;
    json!({
        "version": "0", "id": upload.id, "detail-type": "Object Created", "source": "aws.s3", "account": "123456789012",
        "time": time(upload), "region": upload.region,
        "detail": {
            "version": "0", "bucket": {"name": bucket}, "reason": upload.event,
            "object": {"key": key, "size": claims.size, "etag": claims.etag, "version-id": claims.version},
        },
    })
    .to_string()
}

fn generic(upload: &Upload) -> String {
    let Upload { bucket, key, claims, .. } = upload;
    let data = json!({"scheme": upload.provider.scheme(), "bucket": bucket, "key": key, "region": upload.region,
        "size": claims.size, "etag": claims.etag, "version": claims.version});
    envelope(upload, (&upload.event, "/films"), data).to_string()
}

fn envelope(upload: &Upload, (kind, source): (&str, &str), data: Value) -> Value {
    json!({"specversion": "1.0", "id": upload.id, "source": source, "type": kind, "subject": upload.key,
        "time": time(upload), "datacontenttype": "application/json", "data": data})
}

fn time(upload: &Upload) -> Option<String> {
    upload.time.map(|time| time.to_string())
}
