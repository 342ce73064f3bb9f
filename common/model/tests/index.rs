//! An index at rest: read back whole, read back in part, refused when damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use framefleet_model::index::{Index, IndexError, IndexHeader, Key, Method, Unit, units_of_blocks};
use framefleet_model::media::Tags;
use framefleet_model::time::MediaTime;

fn unit(n: i64) -> Unit {
    Unit {
        pts: (n % 7 != 3).then(|| MediaTime(n * 33_366_667 - 5_000_000)),
        dts: (n % 5 != 1).then(|| MediaTime(n * 33_366_667)),
        duration: Some(MediaTime(33_366_667)),
        size: u32::try_from(n * 1_000_003 % 70_000).unwrap(),
        key: [Key::Yes, Key::Open, Key::No][usize::try_from(n % 50).unwrap().min(2)],
        shows: u8::from(n % 9 != 0),
        hash: (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        offset: (n % 2 == 0).then_some(n as u64 * 4096),
    }
}

fn index(units: i64) -> Index {
    let header = IndexHeader {
        container: "video/quicktime".into(),
        method: Method::Pass,
        video: None,
        audio: Vec::new(),
        silent: Vec::new(),
        ignored: vec![],
        tags: Tags::default(),
        chapters: vec![],
        missing: Vec::new(),
        blocks: vec![],
    };
    Index { header, units: (0..units).map(unit).collect() }
}

#[test]
fn an_index_reads_back_as_it_was_written() {
    for count in [0, 1, 1024, 5000] {
        let bytes = index(count).to_bytes();
        assert_eq!(Index::from_bytes(&bytes).unwrap().units, index(count).units);
    }
}

#[test]
fn a_slice_is_read_from_its_blocks_alone() {
    let bytes = index(5000).to_bytes();
    let header = IndexHeader::from_bytes(&bytes).unwrap();
    let blocks = header.blocks_of(1500, 2100);
    assert_eq!((blocks[0].first_unit, blocks.len()), (1024, 2));
    let (from, to) = (blocks[0].offset as usize, blocks[1].offset as usize + blocks[1].bytes as usize);
    let units = units_of_blocks(&blocks, &bytes[from..to]).unwrap();
    assert_eq!(units[476..1076], index(5000).units[1500..2100]);
}

#[test]
fn a_damaged_index_is_refused() {
    let bytes = index(3000).to_bytes();
    assert_eq!(Index::from_bytes(b"nonsense here"), Err(IndexError::Magic));
    for cut in [3, 11, 40, bytes.len() - 1] {
        assert!(Index::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}
