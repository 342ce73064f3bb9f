//! A stand-in for a cloud on one's own machine: a real S3 server over a folder, whose folders are buckets, and what it tells
//! of uploads, as MinIO does to RabbitMQ and as OSS does to a queue of MNS.
//!
//! ```text
//! PUT /bucket/key ─▶ s3s, signature checked ─▶ folder/bucket/key
//!                         └─ done well ─▶ an event ─▶ RabbitMQ's exchange, or the double of MNS
//! ```

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response};
use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, encode};
use framefleet_model::percent;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use crate::mns::{KEY_ID, Mns, SECRET};

const EXCHANGE: &str = "framefleet.ingest";
const PERSISTENT: u8 = 2;

/// Who is told of uploads.
pub enum Ear {
    Nobody,
    Rabbit(Channel),
    /// A queue of this name.
    Queue(Mns, String),
}

struct Cloud {
    service: S3Service,
    ear: Ear,
}

impl Ear {
    /// RabbitMQ at a URL.
    pub async fn rabbit(url: &str) -> lapin::Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        // For as long as this process lives: nobody closes it.
        std::mem::forget(connection);
        Ok(Self::Rabbit(channel))
    }

    async fn tell(&self, upload: &Upload) -> Result<(), String> {
        match self {
            Self::Nobody => Ok(()),
            Self::Queue(mns, queue) => {
                let upload =
                    Upload { provider: Provider::Oss, event: "ObjectCreated:PutObject".to_owned(), ..upload.clone() };
                mns.send(queue, &encode(&upload, Format::OssQueue));
                Ok(())
            }
            Self::Rabbit(channel) => {
                let body = encode(upload, Format::Minio);
                let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let published = channel.basic_publish(EXCHANGE.into(), "s3".into(), options, &body, properties).await;
                let confirmed = async { published?.await }.await.map_err(|error| error.to_string())?;
                if confirmed.is_ack() { Ok(()) } else { Err("RabbitMQ did not confirm it".to_owned()) }
            }
        }
    }
}

/// Serves the buckets of a folder, for ever.
pub async fn serve(folder: &Path, address: SocketAddr, ear: Ear) -> std::io::Result<()> {
    let files = s3s_fs::FileSystem::new(folder).map_err(|error| std::io::Error::other(format!("{error:?}")))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
    let app = axum::Router::new().fallback(answer).with_state(Arc::new(Cloud { service: service.build(), ear }));
    axum::serve(tokio::net::TcpListener::bind(address).await?, app).await
}

async fn answer(State(cloud): State<Arc<Cloud>>, request: Request) -> Response<Body> {
    let uploaded = uploaded(&request);
    let answer = match cloud.service.call(request.map(s3s::Body::http_body_unsync)).await {
        Ok(answer) => answer.map(Body::new),
        Err(error) => {
            let text = format!("{error:?}");
            Response::builder().status(500).body(Body::from(text)).expect("a plain answer")
        }
    };
    if let Some(upload) = uploaded.filter(|_| answer.status().is_success()) {
        match cloud.ear.tell(&upload).await {
            Ok(()) => println!("{}/{}", upload.bucket, upload.key),
            Err(why) => eprintln!("{}/{} is not told of: {why}", upload.bucket, upload.key),
        }
    }
    answer
}

/// What a request makes, if it makes a whole object that anybody can be told of.
fn uploaded(request: &Request) -> Option<Upload> {
    let query = request.uri().query().unwrap_or_default();
    let in_parts = query.split('&').any(|pair| pair.starts_with("uploadId="));
    let kind = match (request.method(), in_parts) {
        (&Method::PUT, false) if request.headers().contains_key("x-amz-copy-source") => UploadKind::Copy,
        (&Method::PUT, false) => UploadKind::Put,
        (&Method::POST, true) => UploadKind::CompleteMultipartUpload,
        _ => return None,
    };
    let (bucket, key) = request.uri().path().strip_prefix('/')?.split_once('/')?;
    let key = String::from_utf8(percent::decode(key)?).ok()?;
    let event = match kind {
        UploadKind::Put => "ObjectCreated:Put",
        UploadKind::Copy => "ObjectCreated:Copy",
        _ => "ObjectCreated:CompleteMultipartUpload",
    };
    Some(Upload {
        provider: Provider::S3,
        bucket: BucketName::new(bucket).ok()?,
        key: UploadKey::new(&key).ok()?,
        kind,
        event: event.to_owned(),
        id: format!("{:032x}", rand::random::<u128>()),
        time: Some(now()),
        region: None,
        claims: Claims::default(),
    })
}

fn now() -> WallTime {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    WallTime(i64::try_from(since.as_millis()).unwrap_or_default())
}
