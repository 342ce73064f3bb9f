//! What a track's part of a fragment says of its samples (ISO/IEC 14496-12 8.8.3, 8.8.7, 8.8.8, 8.8.12).

use super::bytes::Bytes;

const BASE_IS_TOLD: u32 = 0x1;
const ENTRY_IS_TOLD: u32 = 0x2;
const BASE_IS_FRAGMENT: u32 = 0x02_0000;
const OFFSET_IS_TOLD: u32 = 0x1;
const FIRST_FLAGS_ARE_TOLD: u32 = 0x4;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const FLAGS: u32 = 0x400;
const SHIFT: u32 = 0x800;
/// Of a sample's flags: it is no sync sample; it needs another one.
const NO_SYNC: u32 = 0x0001_0000;
const DEPENDENT: u32 = 0x0100_0000;

/// What a sample is unless its fragment says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usual {
    /// The number of its sample entry.
    pub(crate) entry: u32,
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
}

impl Usual {
    /// What a movie box says for all fragments of a track.
    pub(crate) fn of(movie: Bytes<'_>, track: u32) -> Option<Self> {
        let told = movie.find(b"mvex")?.boxes().filter(|(kind, _)| kind == b"trex");
        let mut told = told.map(|(_, mut told)| {
            told.version()?;
            let id = told.u32()?;
            let usual = Self { entry: told.u32()?, duration: told.u32()?, size: told.u32()?, flags: told.u32()? };
            Some((id, usual))
        });
        told.find_map(|told| told.filter(|(id, _)| *id == track)).map(|(_, usual)| usual)
    }
}

/// Where the data of a part are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// A byte of the file.
    At(u64),
    /// The fragment's first byte.
    Fragment,
    /// The end of what the part before has, or the fragment's first byte where there is none.
    Follows,
}

/// A part of a fragment, but for its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) track: u32,
    pub(crate) base: Base,
    pub(crate) usual: Usual,
    /// When its first sample is decoded, in ticks of the track.
    pub(crate) time: Option<u64>,
}

impl Head {
    /// `usual` tells what a track's samples are by the movie box.
    pub(crate) fn read(part: Bytes<'_>, usual: impl Fn(u32) -> Option<Usual>) -> Option<Self> {
        let mut header = part.find(b"tfhd")?;
        let flags = header.u32()?;
        let track = header.u32()?;
        let base = if flags & BASE_IS_TOLD != 0 {
            Base::At(header.u64()?)
        } else if flags & BASE_IS_FRAGMENT != 0 {
            Base::Fragment
        } else {
            Base::Follows
        };
        let mut told = |flag: u32, usual: u32| if flags & flag == 0 { Some(usual) } else { header.u32() };
        let usual = usual(track).unwrap_or_default();
        let usual = Usual {
            entry: told(ENTRY_IS_TOLD, usual.entry)?,
            duration: told(0x8, usual.duration)?,
            size: told(0x10, usual.size)?,
            flags: told(0x20, usual.flags)?,
        };
        let time = match part.find(b"tfdt") {
            Some(mut time) => {
                let version = time.version()?;
                Some(time.wide(version)?)
            }
            None => None,
        };
        Some(Self { track, base, usual, time })
    }
}

/// Samples whose data follow each other.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a> {
    flags: u32,
    pub(crate) count: u32,
    /// From the part's base on; `None`: where the run before ends.
    pub(crate) offset: Option<i32>,
    first_flags: Option<u32>,
    usual: Usual,
    entries: Bytes<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) duration: u32,
    pub(crate) size: u32,
    /// How long after it is decoded it is shown.
    pub(crate) shift: i64,
    pub(crate) sync: bool,
}

impl<'a> Run<'a> {
    pub(crate) fn all(part: Bytes<'a>, usual: Usual) -> impl Iterator<Item = Option<Self>> {
        part.boxes().filter(|(kind, _)| kind == b"trun").map(move |(_, run)| Self::read(run, usual))
    }

    /// All entries that are counted must be there.
    fn read(mut run: Bytes<'a>, usual: Usual) -> Option<Self> {
        let flags = run.u32()?;
        let count = run.u32()?;
        let offset = if flags & OFFSET_IS_TOLD == 0 { None } else { Some(run.i32()?) };
        let first_flags = if flags & FIRST_FLAGS_ARE_TOLD == 0 { None } else { Some(run.u32()?) };
        let told = u64::from(4 * (flags & (DURATION | SIZE | FLAGS | SHIFT)).count_ones());
        let fits = u64::from(count) * told <= run.rest().len() as u64;
        fits.then_some(Self { flags, count, offset, first_flags, usual, entries: run })
    }

    /// What all samples last; without a look at them where they all last the same.
    pub(crate) fn ticks(self) -> u64 {
        if self.flags & DURATION == 0 {
            return u64::from(self.count) * u64::from(self.usual.duration);
        }
        self.entries().fold(0, |sum, entry| sum.saturating_add(u64::from(entry.duration)))
    }

    pub(crate) fn entries(self) -> impl Iterator<Item = Entry> {
        let Self { flags, count, mut first_flags, usual, mut entries, .. } = self;
        // A shift is signed in version 1; in version 0 encoders write negative ones all the same, and no film shifts
        // by half of the range.
        let signed = |shift: u32| i64::from(shift.cast_signed());
        let mut told = move |flag: u32, usual: u32| if flags & flag == 0 { Some(usual) } else { entries.u32() };
        (0..count).map_while(move |_| {
            let (duration, size) = (told(DURATION, usual.duration)?, told(SIZE, usual.size)?);
            let own = told(FLAGS, usual.flags)?;
            let flags = first_flags.take().unwrap_or(own);
            let shift = signed(told(SHIFT, 0)?);
            Some(Entry { duration, size, shift, sync: flags & (NO_SYNC | DEPENDENT) == 0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_run_says_what_is_not_usual() {
        let usual = Usual { entry: 1, duration: 10, size: 7, flags: NO_SYNC };
        let bytes = words(&[0x0100_0805, 2, 100, 0, 5, (-5_i32).cast_unsigned()]);
        let run = Run::read(Bytes::new(&bytes), usual).unwrap();
        assert_eq!((run.offset, run.ticks()), (Some(100), 20));
        let told: Vec<Entry> = run.entries().collect();
        let entry = |shift, sync| Entry { duration: 10, size: 7, shift, sync };
        assert_eq!(told, [entry(5, true), entry(-5, false)]);
    }

    #[test]
    fn absurd_counts_are_refused_or_cost_nothing() {
        let count = |flags| {
            let bytes = words(&[flags, u32::MAX, 1, 2, 3]);
            Run::read(Bytes::new(&bytes), Usual { duration: 3, ..Usual::default() }).map(Run::ticks)
        };
        assert_eq!(count(0x200), None);
        assert_eq!(count(0), Some(3 * u64::from(u32::MAX)));
    }
}
