//! Bytes of nested boxes.

#[derive(Default)]
pub(crate) struct Boxes {
    bytes: Vec<u8>,
}

impl Boxes {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A box around what `fill` writes.
    pub(crate) fn nest(&mut self, kind: &[u8; 4], fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.u32(0);
        self.raw(kind);
        fill(self);
        let size = u32::try_from(self.bytes.len() - start).expect("tables are bounded when a film begins");
        self.bytes[start..start + 4].copy_from_slice(&size.to_be_bytes());
    }

    /// A box with a version and no flags.
    pub(crate) fn full(&mut self, kind: &[u8; 4], version: u8, fill: impl FnOnce(&mut Self)) {
        self.flagged(kind, u32::from(version) << 24, fill);
    }

    /// A box with its version and flags in one word.
    pub(crate) fn flagged(&mut self, kind: &[u8; 4], word: u32, fill: impl FnOnce(&mut Self)) {
        self.nest(kind, |b| {
            b.u32(word);
            fill(b);
        });
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    /// A count, or a value that is known to be small and not negative.
    pub(crate) fn count(&mut self, value: usize) {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX));
    }
}
