//! Bytes of nested EBML elements.

#[derive(Default)]
pub(crate) struct Elements {
    bytes: Vec<u8>,
}

/// Bytes of a size that is patched in later.
pub(crate) const WIDE_SIZE: usize = 8;

impl Elements {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// An element around what `fill` writes.
    pub(crate) fn master(&mut self, id: u32, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.binary(id, &inner.bytes);
    }

    pub(crate) fn binary(&mut self, id: u32, payload: &[u8]) {
        self.id(id);
        self.size(payload.len() as u64);
        self.bytes.extend_from_slice(payload);
    }

    pub(crate) fn text(&mut self, id: u32, text: &str) {
        self.binary(id, text.as_bytes());
    }

    /// As few bytes as the value needs, at least one.
    pub(crate) fn uint(&mut self, id: u32, value: u64) {
        let bytes = value.to_be_bytes();
        let zeros = (value.leading_zeros() as usize / 8).min(7);
        self.binary(id, &bytes[zeros..]);
    }

    /// Always eight bytes.
    pub(crate) fn wide_uint(&mut self, id: u32, value: u64) {
        self.binary(id, &value.to_be_bytes());
    }

    pub(crate) fn int(&mut self, id: u32, value: i64) {
        self.binary(id, &value.to_be_bytes());
    }

    pub(crate) fn float(&mut self, id: u32, value: f64) {
        self.binary(id, &value.to_be_bytes());
    }

    /// An id and a size, without the payload.
    pub(crate) fn head(&mut self, id: u32, payload: u64) {
        self.id(id);
        self.size(payload);
    }

    /// An id and a size in eight bytes, without the payload.
    pub(crate) fn wide_head(&mut self, id: u32, payload: u64) {
        self.id(id);
        self.bytes.extend_from_slice(&wide_size(payload));
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn id(&mut self, id: u32) {
        let zeros = (id.leading_zeros() as usize / 8).min(3);
        self.bytes.extend_from_slice(&id.to_be_bytes()[zeros..]);
    }

    /// A size in as few bytes as it needs: all ones of a length mean "unknown".
    fn size(&mut self, size: u64) {
        let length = (1..WIDE_SIZE).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(WIDE_SIZE);
        let marked = size | 1 << (7 * length);
        self.bytes.extend_from_slice(&marked.to_be_bytes()[8 - length..]);
    }
}

pub(crate) fn wide_size(size: u64) -> [u8; WIDE_SIZE] {
    (size | 1 << 56).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fill: impl FnOnce(&mut Elements)) -> Vec<u8> {
        let mut e = Elements::default();
        fill(&mut e);
        e.into_bytes()
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        assert_eq!(written(|e| e.uint(0xd7, 0)), [0xd7, 0x81, 0]);
        assert_eq!(written(|e| e.uint(0x2ad7b1, 1_000_000)), [0x2a, 0xd7, 0xb1, 0x83, 0x0f, 0x42, 0x40]);
    }

    #[test]
    fn sizes_never_look_unknown() {
        assert_eq!(written(|e| e.head(0xa3, 126)), [0xa3, 0xfe]);
        assert_eq!(written(|e| e.head(0xa3, 127)), [0xa3, 0x40, 0x7f]);
        assert_eq!(written(|e| e.head(0xa3, 16_383)), [0xa3, 0x20, 0x3f, 0xff]);
    }
}
