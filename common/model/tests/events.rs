//! Messages as providers send them, each beside what is made of it.

use std::path::Path;

use framefleet_model::event::decode;

/// Renewed with `UPDATE=1`.
#[test]
fn every_sample_says_what_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let mut samples: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.retain(|path| path.extension().is_none_or(|extension| extension != "said"));
    samples.sort();
    assert!(samples.len() >= 14, "{samples:?}");
    for sample in samples {
        let news = decode(&std::fs::read(&sample).unwrap()).unwrap();
        let said = format!("{news:#?}\n");
        let beside = sample.with_extension([sample.extension().unwrap().to_str().unwrap(), ".said"].concat());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&beside, &said).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&beside).unwrap_or_default(), said, "{}", sample.display());
    }
}
