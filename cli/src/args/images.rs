//! The command lines of those who want pictures of a film.

use clap::Args;

use super::PlaceArgs;

#[derive(Debug, Args)]
pub struct ThumbnailsArgs {
    /// The film: a path or a file:// URL
    #[arg(value_name = "SRC")]
    pub source: String,
    /// The file to make (jpg, jpeg, png, webp); with a dash and n in curly brackets before the extension several,
    /// numbered from 1
    #[arg(value_name = "OUT")]
    pub out: String,
    /// Moments of the film, such as 3s or 1m30s,2m
    #[arg(long, value_name = "TIME,…", required_unless_present = "every")]
    pub at: Option<String>,
    /// A picture every so often, such as 10s
    #[arg(long, value_name = "DUR", conflicts_with = "at")]
    pub every: Option<String>,
    /// The first moment of --every [default: 0s]
    #[arg(long, value_name = "TIME", requires = "every")]
    pub start: Option<String>,
    /// How much of the film --every covers [default: all from --start on]
    #[arg(long, value_name = "DUR", requires = "every")]
    pub duration: Option<String>,
    #[command(flatten)]
    pub fit: FitArgs,
    /// 1 to 100, of JPEG and WebP [default: 85]
    #[arg(long, value_name = "N")]
    pub quality: Option<String>,
    #[command(flatten)]
    pub job: ImageJobArgs,
}

#[derive(Debug, Args)]
pub struct SpritesArgs {
    /// The film: a path or a file:// URL
    #[arg(value_name = "SRC")]
    pub source: String,
    /// The file that tells players where each picture stands (vtt); sheets are made beside it, such as OUT-1.jpg
    #[arg(value_name = "OUT")]
    pub out: String,
    /// A picture every so often [default: 10s]
    #[arg(long, value_name = "DUR")]
    pub interval: Option<String>,
    /// The first moment [default: 0s]
    #[arg(long, value_name = "TIME")]
    pub start: Option<String>,
    /// How much of the film is covered [default: all from --start on]
    #[arg(long, value_name = "DUR")]
    pub duration: Option<String>,
    /// Columns and rows of a sheet, 1 to 64 each [default: 5x5]
    #[arg(long, value_name = "CxR")]
    pub tile: Option<String>,
    #[command(flatten)]
    pub fit: FitArgs,
    /// Pixels between two pictures, up to 256 [default: 0]
    #[arg(long, value_name = "N")]
    pub padding: Option<String>,
    /// Pixels around all of them, up to 256 [default: 0]
    #[arg(long, value_name = "N")]
    pub margin: Option<String>,
    /// What shows where no picture is: #rrggbb, or a name such as black [default: black]
    #[arg(long, value_name = "COLOUR")]
    pub colour: Option<String>,
    /// Of the sheets: jpeg, png or webp [default: jpeg]
    #[arg(long, value_name = "NAME")]
    pub format: Option<String>,
    /// 1 to 100, of JPEG and WebP [default: 85]
    #[arg(long, value_name = "N")]
    pub quality: Option<String>,
    #[command(flatten)]
    pub job: ImageJobArgs,
}

#[derive(Debug, Args)]
pub struct GifArgs {
    /// The film: a path or a file:// URL
    #[arg(value_name = "SRC")]
    pub source: String,
    /// The file to make (gif)
    #[arg(value_name = "OUT")]
    pub out: String,
    /// Where in the film it begins [default: 0s]
    #[arg(long, value_name = "TIME")]
    pub start: Option<String>,
    /// How long it is [default: 3s, or up to the film's end]
    #[arg(long, value_name = "DUR")]
    pub duration: Option<String>,
    /// How many pictures it has, instead of how long it is
    #[arg(long, value_name = "N", conflicts_with = "duration")]
    pub pictures: Option<String>,
    /// Pictures per second, 1 to 50; each begins at the nearest hundredth of a second [default: 10]
    #[arg(long, value_name = "RATE")]
    pub fps: Option<String>,
    #[command(flatten)]
    pub fit: FitArgs,
    /// Number of colours, 2 to 256 [default: 256]
    #[arg(long, value_name = "N")]
    pub palette: Option<String>,
    /// How colours in between are shown: ordered or none [default: ordered]
    #[arg(long, value_name = "NAME")]
    pub dither: Option<String>,
    #[command(flatten)]
    pub job: ImageJobArgs,
}

/// Into what pictures must fit.
#[derive(Debug, Args)]
pub struct FitArgs {
    /// Pictures fit into this box and keep their shape [default: as large as SRC]
    #[arg(long, value_name = "WxH")]
    pub size: Option<String>,
    /// Enlarge pictures that are smaller than --size
    #[arg(long, requires = "size")]
    pub upscale: bool,
}

/// What is the same for all of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Work")]
pub struct ImageJobArgs {
    /// What becomes of a film that is not whole or does not decode everywhere: fail or keep [default: fail]
    #[arg(long, value_name = "WHAT")]
    pub damaged: Option<String>,
    /// Replace what stands at OUT
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}
