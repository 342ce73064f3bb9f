//! The child alone, for trying one piece of work by hand.
fn main() -> std::process::ExitCode {
    framefleet_media::child::run()
}
