//! Where things are: the repository, the program under test, folders for what tests make.

use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository")
}

/// The program under test: `FRAMEFLEET_BIN`, else the one built beside this test.
pub fn framefleet() -> PathBuf {
    let named = std::env::var_os("FRAMEFLEET_BIN").map(PathBuf::from);
    let program = named.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a running test has a path");
        test.ancestors().nth(2).expect("tests are built into target/<profile>/deps").join("framefleet")
    });
    assert!(program.exists(), "{} is not built: run `cargo build -p framefleet`", program.display());
    program
}

/// The same with H.264 headers of its own, built beside it.
pub fn with_other_headers() -> PathBuf {
    let program = framefleet().with_file_name("framefleet-other-headers");
    assert!(program.exists(), "{} is not built: run `make other-headers`", program.display());
    program
}

/// A folder below `target` that outlives a test.
pub fn cache(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from);
    let folder = target.join(name);
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

/// A fresh folder that goes when the test ends.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(cache("test-scratch")).expect("target can be written")
}
