//! The repository held to the rules of the house: see `framefleet_tests::tidy`.

use framefleet_tests::tidy::{Fault, Tree, dependencies, judge, layout, logged, words};

fn hold(rule: &str, check: fn(&Tree) -> Vec<Fault>) {
    let left = judge(check(&Tree::of_repository()), &[rule]);
    assert!(left.is_empty(), "\n{}\n", left.join("\n"));
}

#[test]
fn packages_know_only_whom_they_may_know() {
    hold(dependencies::TABLE, dependencies::table);
}

#[test]
fn only_media_says_gst_and_only_adapters_name_their_database() {
    hold(dependencies::HOMES, dependencies::homes);
}

#[test]
fn files_and_functions_are_short() {
    hold(layout::LENGTH, layout::length);
}

#[test]
fn a_lib_is_a_table_of_contents() {
    hold(layout::LIB, layout::lib);
}

#[test]
fn folders_are_named_filled_and_shallow() {
    hold(layout::FOLDERS, layout::folders);
}

#[test]
fn an_image_is_built_of_every_package() {
    hold(layout::IMAGE, layout::image);
}

#[test]
fn time_is_counted_in_integers() {
    hold(words::INTEGER_TIME, words::integer_time);
}

#[test]
fn the_model_and_the_flow_are_pure() {
    hold(words::PURE, words::pure);
}

#[test]
fn a_new_state_breaks_the_build_of_the_flow() {
    hold(words::WILDCARD, words::wildcard);
}

#[test]
fn types_have_names_of_ours() {
    hold(words::NAMES, words::names);
}

#[test]
fn errors_say_what_is_wrong() {
    hold(words::TEXTS, words::texts);
}

#[test]
fn tests_wait_for_facts() {
    hold(words::PATIENCE, words::patience);
}

#[test]
fn pipelines_are_drawn() {
    hold(words::PICTURES, words::pictures);
}

#[test]
fn lines_are_logged_where_the_same_is_counted() {
    hold(logged::HOMES, logged::homes);
}

#[test]
fn the_architecture_is_explained() {
    hold(words::ARCHITECTURE, words::architecture);
}
