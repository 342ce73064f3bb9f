//! `framefleet sample`: a clip of numbered pictures with a beep a second, so that nobody needs a film to try it.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use framefleet_media::sample::{SampleSpec, make};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::pipeline::OnExisting;
use framefleet_model::time::MediaTime;

use crate::args::SampleArgs;
use crate::location::{Location, Reach};
use crate::settings::{duration, geometry, picture_rate, within};
use crate::{preflight, render};

const DURATION: RangeInclusive<MediaTime> = MediaTime::from_millis(100)..=MediaTime::from_secs(24 * 3600);

pub async fn run(args: &SampleArgs) -> Result<(), Fault> {
    let place = Location::parse(&args.out, Reach::Here)?;
    let out = place.path();
    let length = within("duration", duration("duration", &args.duration)?, &DURATION)?;
    let (geometry, rate) = (geometry(&args.size)?, picture_rate(&args.fps)?);
    let on_existing = if args.overwrite { OnExisting::Replace } else { OnExisting::Fail };
    preflight::destination(out, on_existing)?;
    let staged = Staged::beside(out);
    let spec = SampleSpec { out: staged.path.clone(), duration: length, geometry, rate };
    let making = tokio::task::spawn_blocking(move || make(&spec));
    tokio::select! {
        made = making => {
            let made = made.map_err(|e| Fault::new(FaultKind::Internal, format!("the sample's maker: {e}")))?;
            made.map_err(|fault| staged.unveil(fault, out))?;
        }
        _ = tokio::signal::ctrl_c() => return Err(Fault::new(FaultKind::Cancelled, "cancelled, no sample is left")),
    }
    let size = staged.publish(out)?;
    println!("{}: {length}, {geometry}, {rate} pictures a second, {}", out.display(), render::bytes(size));
    Ok(())
}

/// A hidden file beside the final one, gone unless it is published.
struct Staged {
    path: PathBuf,
}

impl Staged {
    /// Keeps the extension, by which the container is chosen.
    fn beside(out: &Path) -> Self {
        let mut name = OsString::from(format!(".framefleet-{}-", std::process::id()));
        name.push(out.file_name().unwrap_or_default());
        Self { path: out.with_file_name(name) }
    }

    /// What went wrong, by the name that the user knows.
    fn unveil(&self, fault: Fault, out: &Path) -> Fault {
        let hidden = self.path.display().to_string();
        Fault { message: fault.message.replace(&hidden, &out.display().to_string()), ..fault }
    }

    fn publish(self, out: &Path) -> Result<u64, Fault> {
        let moved = std::fs::rename(&self.path, out).and_then(|()| std::fs::metadata(out));
        let denied = |e| Fault::new(FaultKind::DestinationDenied, format!("output {}: {e}", out.display()));
        moved.map(|meta| meta.len()).map_err(denied)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Published already, or never made.
        let _ = std::fs::remove_file(&self.path);
    }
}
