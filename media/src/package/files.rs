//! The files of one list, one after the other, and where key pictures lie in them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use framefleet_model::fault::Fault;
use framefleet_model::time::MediaTime;

use crate::indexing::scratch_fault;
use crate::pipe::internal;

pub(crate) struct Files {
    scratch: PathBuf,
    /// What all their names begin with.
    prefix: String,
    extension: &'static str,
    names: Vec<String>,
    now: Option<BufWriter<File>>,
    /// Bytes of the present one.
    at: u64,
    keys: Vec<KeyPlace>,
}

/// The bytes of a file that show one key picture by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPlace {
    pub(crate) shown: MediaTime,
    /// Number of the file.
    pub(crate) file: usize,
    pub(crate) at: u64,
    pub(crate) size: u64,
}

/// What has been written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// What stands in front of all of them.
    pub(crate) init: Option<String>,
    pub(crate) names: Vec<String>,
    pub(crate) keys: Vec<KeyPlace>,
}

impl Files {
    pub(crate) fn new(scratch: &Path, (prefix, extension): (&str, &'static str)) -> Self {
        let (names, keys) = (Vec::new(), Vec::new());
        Self { scratch: scratch.to_owned(), prefix: prefix.to_owned(), extension, names, now: None, at: 0, keys }
    }

    pub(crate) fn begin_next(&mut self) -> Result<(), Fault> {
        self.end_file()?;
        let name = format!("{}-{:05}.{}", self.prefix, self.names.len(), self.extension);
        let file = File::create(self.scratch.join(&name)).map_err(|e| scratch_fault(&e))?;
        self.now = Some(BufWriter::with_capacity(1 << 20, file));
        self.at = 0;
        self.names.push(name);
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let file = self.now.as_mut().ok_or_else(|| internal("a unit before the first file"))?;
        self.at += bytes.len() as u64;
        file.write_all(bytes).map_err(|e| scratch_fault(&e))
    }

    /// Writes what shows a key picture by itself.
    pub(crate) fn write_key(&mut self, shown: MediaTime, bytes: &[u8]) -> Result<(), Fault> {
        let (at, size) = (self.at, bytes.len() as u64);
        self.keys.push(KeyPlace { shown, file: self.names.len().saturating_sub(1), at, size });
        self.write(bytes)
    }

    pub(crate) fn finish(mut self) -> Result<Written, Fault> {
        self.end_file()?;
        Ok(Written { init: None, names: self.names, keys: self.keys })
    }

    fn end_file(&mut self) -> Result<(), Fault> {
        let flushed = self.now.take().map_or(Ok(()), |mut file| file.flush());
        flushed.map_err(|e| scratch_fault(&e))
    }
}
