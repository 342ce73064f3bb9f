//! The XML of queues.

use framefleet_model::xml::{Element, escape};
use md5::{Digest as _, Md5};

use super::MnsError;

/// A message that is ours for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) id: String,
    /// As it was sent; OSS sends base64.
    pub(crate) body: String,
    pub(crate) handle: String,
    /// How often it was received, this time included.
    pub(crate) times: u32,
    pub(crate) state: State,
}

/// Whether a message is as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// By its hash, or nothing says otherwise.
    Whole,
    /// Its hash is another.
    Damaged,
}

/// What was not deleted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) handle: String,
    pub(crate) code: String,
}

pub(super) fn received(text: &str) -> Result<Vec<Received>, MnsError> {
    let document = parse(text)?;
    match document.name.as_str() {
        "Message" => Ok(vec![message(&document)?]),
        "Messages" => document.all("Message").map(message).collect(),
        other => Err(MnsError::Unreadable(format!("{other} where Messages is meant"))),
    }
}

fn message(element: &Element) -> Result<Received, MnsError> {
    let field = |name: &str| needed(element, name);
    Ok(Received {
        id: field("MessageId")?,
        body: field("MessageBody")?,
        handle: field("ReceiptHandle")?,
        times: element.text_of("DequeueCount").and_then(|count| count.parse().ok()).unwrap_or(1),
        state: state(element),
    })
}

/// The hash is of the body as it was sent, be there white space around it or not.
fn state(element: &Element) -> State {
    let Some(said) = element.text_of("MessageBodyMD5").filter(|said| !said.is_empty()) else { return State::Whole };
    let body = element.child("MessageBody").map_or("", |body| body.text.as_str());
    let is = |body: &str| Md5::digest(body).iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    if [body, body.trim()].iter().any(|body| is(body).eq_ignore_ascii_case(said)) {
        State::Whole
    } else {
        State::Damaged
    }
}

pub(super) fn handles(handles: &[String]) -> String {
    let all: String =
        handles.iter().map(|handle| format!("<ReceiptHandle>{}</ReceiptHandle>", escape(handle))).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ReceiptHandles xmlns=\"http://mns.aliyuncs.com/doc/v1/\">{all}</ReceiptHandles>"
    )
}

pub(super) fn kept(errors: &Element) -> Vec<Kept> {
    let one = |error: &Element| {
        let field = |name: &str| error.text_of(name).unwrap_or_default().to_owned();
        Kept { handle: field("ReceiptHandle"), code: field("ErrorCode") }
    };
    errors.all("Error").map(one).collect()
}

pub(super) fn handle(text: &str) -> Result<String, MnsError> {
    needed(&parse(text)?, "ReceiptHandle")
}

/// Messages that wait, and seconds of invisibility.
pub(super) fn attributes(text: &str) -> Result<(u64, u64), MnsError> {
    let document = parse(text)?;
    let number = |name: &str| {
        let value = needed(&document, name)?;
        value.parse().map_err(|_| MnsError::Unreadable(format!("{name} is {value:?}, which is no number")))
    };
    Ok((number("ActiveMessages")?, number("VisibilityTimeout")?))
}

fn parse(text: &str) -> Result<Element, MnsError> {
    Element::parse(text).map_err(|error| MnsError::Unreadable(error.to_string()))
}

fn needed(element: &Element, name: &str) -> Result<String, MnsError> {
    let found = element.text_of(name).map(str::to_owned);
    found.ok_or_else(|| MnsError::Unreadable(format!("{} without {name}", element.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_and_many_are_read_alike() {
        let message = "<Message><MessageId>M1</MessageId><MessageBody>SSBhbSDmtYvor5XlrZfnrKbkuLIu</MessageBody>\
            <ReceiptHandle>1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA==</ReceiptHandle><DequeueCount>3</DequeueCount></Message>";
        let expected = Received {
            id: "M1".into(),
            body: "SSBhbSDmtYvor5XlrZfnrKbkuLIu".into(),
            handle: "1-ODU4OTkzNDU5My0xNDMyNzI3ODI3LTItOA==".into(),
            times: 3,
            state: State::Whole,
        };
        assert_eq!(received(message), Ok(vec![expected.clone()]));
        let many = format!("<Messages xmlns=\"http://mns.aliyuncs.com/doc/v1/\">{message}{message}</Messages>");
        assert_eq!(received(&many), Ok(vec![expected.clone(), expected]));
        assert_eq!(
            received("<Message><MessageId>1</MessageId></Message>").unwrap_err().to_string(),
            "the queue's answer cannot be read: Message without MessageBody"
        );
        assert!(received("<Queue/>").is_err() && received("{}").is_err());
    }

    /// The sample of the SDK for Python, whose hash is of the text in base64.
    #[test]
    fn a_message_that_is_not_as_it_was_sent_is_seen() {
        let told = |body: &str, md5: &str| {
            let text = format!(
                "<Message><MessageId>1</MessageId><ReceiptHandle>h</ReceiptHandle><MessageBody>{body}</MessageBody>{md5}</Message>"
            );
            received(&text).unwrap()[0].state
        };
        let hash =
            Md5::digest("SSBhbSDmtYvor5XlrZfnrKbkuLIu").iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        let own = format!("<MessageBodyMD5>{hash}</MessageBodyMD5>");
        assert_eq!(told("SSBhbSDmtYvor5XlrZfnrKbkuLIu", &own), State::Whole);
        assert_eq!(
            told("SSBhbSDmtYvor5XlrZfnrKbkuLIu", &own.to_lowercase().replace("messagebodymd5", "MessageBodyMD5")),
            State::Whole
        );
        assert_eq!(told("any", &own), State::Damaged);
        assert_eq!(told("SSBhbSDmtYvor5XlrZfnrKbkuLIv", &own), State::Damaged);
        assert_eq!(told("any", ""), State::Whole, "nobody says otherwise");
        // The well-known hash of nothing.
        assert_eq!(told("", "<MessageBodyMD5>D41D8CD98F00B204E9800998ECF8427E</MessageBodyMD5>"), State::Whole);
    }

    #[test]
    fn handles_are_escaped_and_read_back() {
        let text = handles(&["a&b".into(), "c==".into()]);
        let document = Element::parse(&text).unwrap();
        let all: Vec<&str> = document.all("ReceiptHandle").map(|handle| handle.text.as_str()).collect();
        assert_eq!(all, ["a&b", "c=="]);
        let changed = "<ChangeVisibility><ReceiptHandle>new</ReceiptHandle><NextVisibleTime>1</NextVisibleTime></ChangeVisibility>";
        assert_eq!(handle(changed), Ok("new".to_owned()));
        let queue = "<Queue><ActiveMessages>7</ActiveMessages><VisibilityTimeout>30</VisibilityTimeout></Queue>";
        assert_eq!(attributes(queue), Ok((7, 30)));
    }
}
