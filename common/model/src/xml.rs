//! Small XML documents, read whole: elements, their text and their children. No attribute of any of them means
//! anything to us. A document type is refused, so nothing in it can grow beyond what was sent.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

/// Deeper than any document that we are sent.
const DEPTH_MAX: usize = 16;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Without its prefix.
    pub name: String,
    /// Its own, without its children's.
    pub text: String,
    pub children: Vec<Element>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    #[error("XML is broken at byte {at}: {what}")]
    Broken { at: u64, what: String },
    #[error("XML goes deeper than {DEPTH_MAX} elements")]
    Deep,
    #[error("XML has a document type, which is not read")]
    DocumentType,
    #[error("XML holds no element, or ends within one")]
    Incomplete,
}

impl Element {
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            let broken = |at: u64, what: String| XmlError::Broken { at, what };
            let at = reader.buffer_position();
            match reader.read_event().map_err(|error| broken(at, error.to_string()))? {
                Event::Start(start) => {
                    if open.len() > DEPTH_MAX {
                        return Err(XmlError::Deep);
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                }
                Event::Empty(empty) => add(&mut open, Self::named(empty.local_name().as_ref())),
                Event::End(_) => {
                    let done = open.pop().ok_or(XmlError::Incomplete)?;
                    add(&mut open, done);
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| broken(at, error.to_string()))?;
                    write(&mut open, &text);
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(|error| broken(at, error.to_string()))?;
                    write(&mut open, &text);
                }
                Event::GeneralRef(entity) => {
                    let text =
                        resolved(&entity).ok_or_else(|| broken(at, "an entity of unknown meaning".to_owned()))?;
                    write(&mut open, &text);
                }
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(document), true) => document.children.into_iter().next().ok_or(XmlError::Incomplete),
            _ => Err(XmlError::Incomplete),
        }
    }

    pub fn child(&self, name: &str) -> Option<&Self> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// What stands in the first child of this name, without white space around it.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    fn named(name: &[u8]) -> Self {
        Self { name: String::from_utf8_lossy(name).into_owned(), ..Self::default() }
    }
}

/// Text as it may stand between two tags.
pub fn escape(text: &str) -> String {
    quick_xml::escape::escape(text).into_owned()
}

fn add(open: &mut [Element], child: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(child);
    }
}

fn write(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn resolved(entity: &BytesRef<'_>) -> Option<String> {
    match entity.resolve_char_ref() {
        Ok(Some(letter)) => Some(letter.to_string()),
        Ok(None) => resolve_predefined_entity(&entity.decode().ok()?).map(str::to_owned),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_with_what_stands_in_them() {
        let text = "<?xml version=\"1.0\"?>\n<a:Messages xmlns:a=\"http://x/\"><Message><Body>1 &lt; 2 &#x6e90;<![CDATA[<&>]]></Body><Empty/></Message>\
            <Message><Body/></Message></a:Messages>";
        let messages = Element::parse(text).unwrap();
        assert_eq!(messages.name, "Messages");
        let bodies: Vec<_> = messages.all("Message").map(|message| message.text_of("Body")).collect();
        assert_eq!(bodies, [Some("1 < 2 源<&>"), Some("")]);
        assert_eq!(messages.text_of("Message"), Some(""));
    }

    #[test]
    fn what_could_grow_or_does_not_end_is_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\">]><a>&b;</a>";
        assert_eq!(Element::parse(bomb), Err(XmlError::DocumentType));
        assert!(matches!(Element::parse("<a>&b;</a>"), Err(XmlError::Broken { .. })));
        assert_eq!(Element::parse(&"<a>".repeat(100_000)), Err(XmlError::Deep));
        for open in ["", "text", "<a>"] {
            assert_eq!(Element::parse(open), Err(XmlError::Incomplete), "{open}");
        }
        assert!(matches!(Element::parse("<a></b>"), Err(XmlError::Broken { .. })));
    }

    #[test]
    fn escaped_text_reads_back() {
        let text = "a<b>&\"'源\u{1f3ac}";
        assert_eq!(Element::parse(&format!("<x>{}</x>", escape(text))).unwrap().text, text);
    }
}
