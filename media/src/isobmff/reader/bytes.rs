//! Big-endian numbers and nested boxes; past the end everything is `None`.

pub(crate) type Kind = [u8; 4];

#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn kind(&mut self) -> Option<Kind> {
        self.array()
    }

    /// The version of a full box, past its flags.
    pub(crate) fn version(&mut self) -> Option<u8> {
        let version = self.u8()?;
        self.take(3)?;
        Some(version)
    }

    /// A time or duration, whose width the version tells.
    pub(crate) fn wide(&mut self, version: u8) -> Option<u64> {
        if version == 1 { self.u64() } else { self.u32().map(u64::from) }
    }

    /// A count of entries of `size` bytes, of which all must be there.
    pub(crate) fn count(&mut self, size: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count.checked_mul(size)? <= self.rest.len()).then_some(count)
    }

    /// The boxes that follow, up to the first damaged one.
    pub(crate) fn boxes(self) -> impl Iterator<Item = (Kind, Bytes<'a>)> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let size = rest.u32()?;
            let kind = rest.kind()?;
            let payload = match size {
                0 => rest.rest.len(),
                1 => usize::try_from(rest.u64()?.checked_sub(16)?).ok()?,
                _ => usize::try_from(size.checked_sub(8)?).ok()?,
            };
            Some((kind, Bytes::new(rest.take(payload)?)))
        })
    }

    /// The first box of a kind among those that follow.
    pub(crate) fn find(self, kind: &Kind) -> Option<Bytes<'a>> {
        self.boxes().find(|(found, _)| found == kind).map(|(_, payload)| payload)
    }

    /// A box within boxes.
    pub(crate) fn path(self, kinds: &[&Kind]) -> Option<Bytes<'a>> {
        kinds.iter().try_fold(self, |parent, kind| parent.find(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_end_at_the_first_damaged_one() {
        let bytes = [0, 0, 0, 9, b'a', b'b', b'c', b'd', 7, 0, 0, 0, 7, b'x', b'x', b'x', b'x', 0];
        let found: Vec<Kind> = Bytes::new(&bytes).boxes().map(|(kind, _)| kind).collect();
        assert_eq!(found, [*b"abcd"]);
        assert_eq!(Bytes::new(&bytes).find(b"abcd").and_then(|mut b| b.u8()), Some(7));
    }

    #[test]
    fn counts_that_the_box_cannot_hold_are_refused() {
        assert_eq!(Bytes::new(&[0, 0, 0, 2, 1, 2, 3]).count(2), None);
        assert_eq!(Bytes::new(&[0, 0, 0, 2, 1, 2, 3, 4]).count(2), Some(2));
    }
}
