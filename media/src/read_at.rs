//! Positional reads: the socket to the parent, a finished file in the scratch folder, bytes in a test.

use std::io;

pub trait ReadAt: Send + Sync {
    fn size(&self) -> u64;

    /// Fills `buf` from `offset`; short only at the end.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    fn read_exact_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buf = vec![0; len];
        let got = self.read_at(offset, &mut buf)?;
        if got < len {
            let message = format!("it ends {} bytes before byte {}", len - got, offset + len as u64);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        Ok(buf)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.len());
        let n = buf.len().min(self.len() - from);
        buf[..n].copy_from_slice(&self[from..from + n]);
        Ok(n)
    }
}

impl ReadAt for std::fs::File {
    fn size(&self) -> u64 {
        self.metadata().map_or(0, |m| m.len())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let got = std::os::unix::fs::FileExt::read_at(self, &mut buf[done..], offset + done as u64)?;
            if got == 0 {
                break;
            }
            done += got;
        }
        Ok(done)
    }
}
