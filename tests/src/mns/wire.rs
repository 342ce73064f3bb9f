//! Requests and answers of MNS. The signature is made anew from what arrived, by code of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response};
use framefleet_model::percent;
use framefleet_model::xml::{Element, escape};
use md5::{Digest as _, Md5};

use super::queue::{Given, Queue};
use super::{Asked, Shared, lock, signatures};

const NAMESPACE: &str = "http://mns.aliyuncs.com/doc/v1/";
const SKEW_MAX: Duration = Duration::from_secs(15 * 60);
const BATCH_MAX: usize = 16;
const BODY_BYTES_MAX: usize = 64 << 10;

pub(super) type Refused = (u16, String);

/// A request taken apart.
struct Taken {
    asked: Asked,
    queue: String,
    query: Vec<(String, String)>,
    body: String,
}

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    match perform(&shared, request).await {
        Ok((status, text)) => response(status, text),
        Err((status, code)) => response(
            status,
            document(
                "Error",
                &format!(
                    "<Code>{code}</Code><Message>as the double says</Message><RequestId>R</RequestId><HostId>{NAMESPACE}</HostId>"
                ),
            ),
        ),
    }
}

async fn perform(shared: &Shared, request: Request) -> Result<(u16, String), Refused> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|_| refused(400, "InvalidArgument"))?;
    let resource = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let token = lock(&shared.token).clone();
    let signed = check(&parts.method, (&resource, &parts.headers), token.as_deref())?;
    *lock(&shared.signed).entry(signed).or_default() += 1;
    let taken = Taken::of(&parts.method, &resource, String::from_utf8_lossy(&body).into_owned())?;
    *lock(&shared.seen).entry(taken.asked).or_default() += 1;
    let mut held = shared.held.subscribe();
    held.wait_for(|held| !held.contains(&taken.asked)).await.map_err(|_| refused(500, "InternalError"))?;
    if let Some(fault) = shared.fault(taken.asked) {
        return Err(fault);
    }
    match taken.asked {
        Asked::Attributes => attributes(shared, &taken),
        Asked::Receive => receive(shared, &taken).await,
        Asked::Delete => delete(shared, &taken),
        Asked::Extend => extend(shared, &taken),
    }
}

impl Taken {
    fn of(method: &Method, resource: &str, body: String) -> Result<Self, Refused> {
        let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
        let unknown = || refused(400, "InvalidArgument");
        let mut names = path.strip_prefix("/queues/").ok_or_else(unknown)?.split('/');
        let queue = names.next().filter(|name| !name.is_empty()).ok_or_else(unknown)?.to_owned();
        let asked = match (method.as_str(), names.next(), names.next()) {
            ("GET", None, None) => Asked::Attributes,
            ("GET", Some("messages"), None) => Asked::Receive,
            ("DELETE", Some("messages"), None) => Asked::Delete,
            ("PUT", Some("messages"), None) => Asked::Extend,
            _ => return Err(unknown()),
        };
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        // The newer signature has values in code; the older has them as they are, and none has a % in it.
        let plain = |value: &str| percent::decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
        let query = pairs.filter_map(|(name, value)| Some((name.to_owned(), plain(value)?))).collect();
        Ok(Self { asked, queue, query, body })
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let value = self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        value.map(|value| value.parse().map_err(|_| refused(400, "InvalidArgument"))).transpose()
    }

    fn in_queue<T>(&self, shared: &Shared, work: impl FnOnce(&mut Queue) -> T) -> Result<T, Refused> {
        lock(&shared.queues).get_mut(&self.queue).map(work).ok_or_else(|| refused(404, "QueueNotExist"))
    }
}

fn check(
    method: &Method,
    (resource, headers): (&str, &HeaderMap),
    token: Option<&str>,
) -> Result<signatures::Version, Refused> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let date = httpdate::parse_http_date(header("date")).map_err(|_| refused(400, "InvalidDateHeader"))?;
    let now = SystemTime::now();
    let skew = now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or_default();
    if skew > SKEW_MAX {
        return Err(refused(408, "TimeExpired"));
    }
    if header("x-mns-version") != "2015-06-06" {
        return Err(refused(400, "InvalidVersion"));
    }
    let signed = signatures::check(method, resource, headers)?;
    if token.is_some_and(|token| header("security-token") != token) {
        return Err(refused(403, "InvalidSecurityToken"));
    }
    Ok(signed)
}

fn attributes(shared: &Shared, taken: &Taken) -> Result<(u16, String), Refused> {
    let text = taken.in_queue(shared, |queue| {
        let (waiting, held) = (queue.waiting(), queue.left() - queue.waiting());
        format!(
            "<QueueName>{}</QueueName><ActiveMessages>{waiting}</ActiveMessages><InactiveMessages>{held}</InactiveMessages>\
             <DelayMessages>0</DelayMessages><VisibilityTimeout>{}</VisibilityTimeout>\
             <MaximumMessageSize>65536</MaximumMessageSize><PollingWaitSeconds>0</PollingWaitSeconds>",
            taken.queue,
            queue.visibility.as_secs()
        )
    })?;
    Ok((200, document("Queue", &text)))
}

/// Waits for messages as long as it is asked to.
async fn receive(shared: &Shared, taken: &Taken) -> Result<(u16, String), Refused> {
    let most = taken.number("numOfMessages")?.unwrap_or(1);
    let seconds = taken.number("waitseconds")?.unwrap_or(0);
    let most = usize::try_from(most).ok().filter(|most| (1..=BATCH_MAX).contains(most));
    let (Some(most), 0..=30) = (most, seconds) else { return Err(refused(400, "InvalidArgument")) };
    let end = std::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        let news = shared.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let (given, free) = taken.in_queue(shared, |queue| (queue.receive(most), queue.next_free()))?;
        if !given.is_empty() {
            let all: String = given.iter().map(message).collect();
            return Ok((200, document("Messages", &all)));
        }
        if std::time::Instant::now() >= end {
            return Err(refused(404, "MessageNotExist"));
        }
        let next = free.map_or(end, |free| free.min(end));
        tokio::select! {
            () = &mut news => {}
            () = tokio::time::sleep_until(next.into()) => {}
        }
    }
}

fn message(given: &Given) -> String {
    let Given { id, body, handle, times, sent } = given;
    let md5: String = Md5::digest(sent).iter().map(|byte| format!("{byte:02X}")).collect();
    format!(
        "<Message><MessageId>{id}</MessageId><MessageBodyMD5>{md5}</MessageBodyMD5><MessageBody>{}</MessageBody>\
         <EnqueueTime>1250700979248</EnqueueTime><FirstDequeueTime>1250700779318</FirstDequeueTime>\
         <NextVisibleTime>1250700799348</NextVisibleTime><DequeueCount>{times}</DequeueCount><Priority>8</Priority>\
         <ReceiptHandle>{}</ReceiptHandle></Message>",
        escape(body),
        escape(handle)
    )
}

fn delete(shared: &Shared, taken: &Taken) -> Result<(u16, String), Refused> {
    let document_of = Element::parse(&taken.body).map_err(|_| refused(400, "MalformedXML"))?;
    let handles: Vec<&str> = document_of.all("ReceiptHandle").map(|handle| handle.text.as_str()).collect();
    if document_of.name != "ReceiptHandles" || !(1..=BATCH_MAX).contains(&handles.len()) {
        return Err(refused(400, "InvalidArgument"));
    }
    let void: String = taken.in_queue(shared, |queue| {
        let void = handles.iter().filter(|handle| queue.delete(handle).is_err());
        let error = |handle: &&str| {
            format!(
                "<Error><ErrorCode>MessageNotExist</ErrorCode><ErrorMessage>Message not exist.</ErrorMessage>\
                 <ReceiptHandle>{}</ReceiptHandle></Error>",
                escape(handle)
            )
        };
        void.map(error).collect()
    })?;
    if void.is_empty() { Ok((204, String::new())) } else { Ok((404, document("Errors", &void))) }
}

fn extend(shared: &Shared, taken: &Taken) -> Result<(u16, String), Refused> {
    let seconds = taken.number("visibilityTimeout")?.filter(|seconds| (1..=43_200).contains(seconds));
    let seconds = seconds.ok_or_else(|| refused(400, "InvalidArgument"))?;
    let handle = taken.query.iter().find(|(name, _)| name == "receiptHandle").map(|(_, value)| value.as_str());
    let handle = handle.ok_or_else(|| refused(400, "InvalidArgument"))?;
    let visibility = Duration::from_secs(seconds);
    let next = taken.in_queue(shared, |queue| queue.extend(handle, visibility))?;
    let next = next.map_err(|_| refused(400, "ReceiptHandleError"))?;
    shared.news.notify_waiters();
    let text =
        format!("<ReceiptHandle>{}</ReceiptHandle><NextVisibleTime>1250700799348</NextVisibleTime>", escape(&next));
    Ok((200, document("ChangeVisibility", &text)))
}

fn document(name: &str, content: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<{name} xmlns=\"{NAMESPACE}\">{content}</{name}>")
}

fn response(status: u16, text: String) -> Response<Body> {
    let built =
        Response::builder().status(status).header("content-type", "text/xml;charset=utf-8").body(Body::from(text));
    built.expect("a status and a type that exist")
}

pub(super) fn refused(status: u16, code: &str) -> Refused {
    (status, code.to_owned())
}
