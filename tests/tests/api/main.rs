//! The API of a real coordinator: who may ask what, within which bounds, and that its documents say so.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod allowed;
mod bounds;
mod documented;
mod examples;
mod fuzzed;
mod pipelines;
mod places;
mod scene;
