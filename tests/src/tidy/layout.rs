//! How long files and functions are, what a `lib.rs` holds, how folders are made.

use std::collections::BTreeMap;

use super::tree::{SENT_TO_THE_IMAGE, WORKSPACE, top_folders};
use super::{Code, Fault, File, Tree};

const FILE_LINES_MAX: usize = 400;
const TEST_FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LIB_LINES_MAX: usize = 70;
const MAIN_LINES_MAX: usize = 60;
const FOLDERS_BELOW_SRC_MAX: usize = 2;
const COMMON_FOLDERS: [&str; 4] = ["adapters", "child", "ports", "process"];
const NAMELESS_FILES: [&str; 6] = ["util.rs", "utils.rs", "helpers.rs", "misc.rs", "types.rs", "common.rs"];

pub const LENGTH: &str = "length";
pub const LIB: &str = "lib-is-a-table-of-contents";
pub const FOLDERS: &str = "folders";
pub const IMAGE: &str = "image-has-all";

pub fn length(tree: &Tree) -> Vec<Fault> {
    tree.rust().flat_map(length_of).collect()
}

fn length_of(file: &File) -> Vec<Fault> {
    let bound = match file.name() {
        _ if file.is_test() => TEST_FILE_LINES_MAX,
        "main.rs" => MAIN_LINES_MAX,
        _ => FILE_LINES_MAX,
    };
    let lines = file.text.lines().count();
    let whole = (lines > bound).then(|| Fault::new(LENGTH, file, 1, format!("{lines} lines, at most {bound}")));
    let long = Code::of(&file.text).functions().into_iter().filter(|f| f.lines.len() > FUNCTION_LINES_MAX);
    let functions = long.map(|f| {
        let what = format!("fn {} has {} lines, at most {FUNCTION_LINES_MAX}", f.name, f.lines.len());
        Fault::new(LENGTH, file, f.lines.start + 1, what)
    });
    whole.into_iter().chain(functions).collect()
}

/// A `lib.rs` is a table of contents: `mod` lines, each public one with one line that says what it is.
pub fn lib(tree: &Tree) -> Vec<Fault> {
    let libs = tree.rust().filter(|file| file.path.ends_with("src/lib.rs"));
    libs.flat_map(lib_of).collect()
}

fn lib_of(file: &File) -> Vec<Fault> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut faults = Vec::new();
    if lines.len() > LIB_LINES_MAX {
        faults.push(Fault::new(LIB, file, 1, format!("{} lines, at most {LIB_LINES_MAX}", lines.len())));
    }
    for (at, line) in lines.iter().enumerate() {
        let known = ["//!", "///", "mod ", "pub mod ", "#"].iter().any(|start| line.starts_with(start));
        if !known && !line.is_empty() {
            faults.push(Fault::new(LIB, file, at + 1, format!("neither a module nor its line of doc: {line}")));
        }
        let doc = |back: usize| at.checked_sub(back).is_some_and(|at| lines[at].starts_with("///"));
        if line.starts_with("pub mod ") && (!doc(1) || doc(2)) {
            faults.push(Fault::new(LIB, file, at + 1, format!("one line of doc, no more and no less: {line}")));
        }
    }
    faults
}

pub fn folders(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_folder: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in tree.rust() {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        in_folder.entry(folder).or_default().push(file);
        if NAMELESS_FILES.contains(&name) {
            faults.push(Fault::new(FOLDERS, file, 1, format!("{name} says nothing of what is in it")));
        }
        let below_src = file.path.split_once("/src/").map_or(0, |(_, below)| below.matches('/').count());
        if below_src > FOLDERS_BELOW_SRC_MAX {
            faults.push(Fault::new(
                FOLDERS,
                file,
                1,
                format!("{below_src} folders below src, at most {FOLDERS_BELOW_SRC_MAX}"),
            ));
        }
        let in_common = file.path.strip_prefix("common/src/").and_then(|below| below.split_once('/'));
        if let Some((folder, _)) = in_common.filter(|(folder, _)| !COMMON_FOLDERS.contains(folder)) {
            faults.push(Fault::new(FOLDERS, file, 1, format!("common has {COMMON_FOLDERS:?}, not {folder}")));
        }
    }
    let lonely = in_folder
        .iter()
        .filter(|(folder, files)| folder.contains("/src/") && !folder.ends_with("/bin") && files.len() == 1);
    let holds_folders = |folder: &str| in_folder.keys().any(|other| other.starts_with(&format!("{folder}/")));
    let lonely = lonely.filter(|(folder, _)| !holds_folders(folder));
    faults.extend(lonely.map(|(folder, files)| Fault::new(FOLDERS, files[0], 1, format!("{folder} holds one file"))));
    faults
}

/// An image is built of no more than `.dockerignore` lets through.
pub fn image(tree: &Tree) -> Vec<Fault> {
    let (Some(workspace), Some(sent)) = (tree.file(WORKSPACE), tree.file(SENT_TO_THE_IMAGE)) else { return Vec::new() };
    let kept = |folder: &&str| !sent.text.lines().any(|line| line.strip_prefix('!') == Some(*folder));
    let kept = top_folders(&workspace.text).into_iter().filter(kept);
    kept.map(|folder| Fault::new(IMAGE, sent, 1, format!("{folder} is of the workspace and is kept from it"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_found() {
        assert_eq!(length(&Tree::with("media/src/a.rs", &"// x\n".repeat(401))).len(), 1);
        assert_eq!(length(&Tree::with("media/src/a.rs", &"// x\n".repeat(400))), []);
        assert_eq!(length(&Tree::with("media/tests/a.rs", &"// x\n".repeat(450))), []);
        let function = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(69));
        assert_eq!(length(&Tree::with("media/src/a.rs", &function)).len(), 1);
    }

    #[test]
    fn a_lib_with_code_or_without_doc_is_found() {
        assert_eq!(lib(&Tree::with("media/src/lib.rs", "//! x\n\n/// one\npub mod a;\nmod b;\n")), []);
        assert_eq!(lib(&Tree::with("media/src/lib.rs", "pub mod a;\n")).len(), 1);
        assert_eq!(lib(&Tree::with("media/src/lib.rs", "/// one\n/// two\npub mod a;\n")).len(), 1);
        assert_eq!(lib(&Tree::with("media/src/lib.rs", "pub fn a() {}\n")).len(), 1);
    }

    #[test]
    fn a_package_that_is_kept_from_the_image_is_found() {
        let mut tree = Tree::with(WORKSPACE, "[workspace]\nmembers = [\"common/model\", \"common\", \"jail\"]\n");
        tree.files.extend(Tree::with(SENT_TO_THE_IMAGE, "*\n!common\n!jails\n").files);
        let faults = image(&tree);
        assert!(matches!(&faults[..], [fault] if fault.what.starts_with("jail is")), "{faults:?}");
    }

    #[test]
    fn folders_out_of_order_are_found() {
        assert_eq!(folders(&Tree::with("media/src/util.rs", "")).len(), 1);
        assert_eq!(folders(&Tree::with("media/src/a/b/c/d.rs", "")).len(), 2);
        assert_eq!(folders(&Tree::with("common/src/stuff/a.rs", "")).len(), 2);
        assert_eq!(folders(&Tree::with("media/src/a.rs", "")), []);
    }
}
