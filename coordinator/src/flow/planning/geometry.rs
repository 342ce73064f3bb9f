//! From what is asked of a picture's shape to turn, crop, size and place, all in whole pixels.
//!
//! ```text
//! decoded ─▶ turn (the source's own, rotate, flip) ─▶ crop ─▶ scale ─▶ place on a canvas
//! ```
//! What is cut off is asked for before the turn and cut off after it: one turn for both.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::{Geometry, Mirror, Orientation, Scan, VideoFormat};
use framefleet_model::picture::{Canvas, Deinterlace, Flip, PixelAspect, Rect, Shape, Size, SizeMode, Window};
use framefleet_model::pipeline::VideoSettings;
use framefleet_model::time::Rational;

pub(crate) const SIDE_MIN: u32 = 16;
pub(crate) const SIDE_MAX: u32 = 8192;
/// 4:2:0 has one chroma sample for two pixels either way.
const EVEN: u32 = 2;
/// In woven pictures the chroma's lines, too, belong to one field and the other by turns.
const EVEN_IN_FIELDS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shaped {
    pub(crate) turn: Orientation,
    pub(crate) crop: Option<Rect>,
    pub(crate) canvas: Option<Canvas>,
    pub(crate) geometry: Geometry,
    pub(crate) pixel_aspect: Rational,
}

pub(crate) fn shaped(settings: &VideoSettings, source: &VideoFormat) -> Result<Shaped, Fault> {
    let shape = &settings.shape;
    let mut view = View::of(shape, source)?;
    let mut canvas = match settings.size {
        Some(size) => view.resize(size, shape.pixel_aspect)?,
        None => view.keep_size(shape.pixel_aspect),
    };
    if let Some(window) = shape.pad {
        let inner = Rect::whole(canvas.outer);
        let outer = view.part(("pad", window), Geometry { width: SIDE_MAX, height: SIDE_MAX })?.geometry();
        let at = view.place("pad", window, (inner.geometry(), outer))?;
        let picture = Rect { x: canvas.picture.x + at.x, y: canvas.picture.y + at.y, ..canvas.picture };
        canvas = Placed { picture, outer };
    }
    let (crop, uncut) = (view.kept, Rect::whole(view.picture));
    let filled = canvas.picture == Rect::whole(canvas.outer);
    Ok(Shaped {
        turn: turned(source.orientation, shape),
        crop: (crop != uncut).then_some(crop),
        canvas: (!filled).then_some(Canvas { picture: canvas.picture, border: shape.border }),
        geometry: canvas.outer,
        pixel_aspect: view.aspect,
    })
}

/// What is to be seen, as it goes through the steps.
struct View {
    /// The picture after all turns.
    picture: Geometry,
    /// The part of it that is kept.
    kept: Rect,
    aspect: Rational,
    /// What lines are counted in.
    lines: u32,
}

/// The scaled picture in the output.
#[derive(Clone, Copy)]
struct Placed {
    picture: Rect,
    outer: Geometry,
}

impl View {
    fn of(shape: &Shape, source: &VideoFormat) -> Result<Self, Fault> {
        let swaps = source.orientation.swaps_axes();
        let mut picture = if swaps { source.geometry.swapped() } else { source.geometry };
        let mut aspect = if swaps { inverse(source.pixel_aspect) } else { source.pixel_aspect };
        let turned = swaps || shape.quarter_turns % 2 == 1;
        let woven = source.scan != Scan::Progressive && shape.deinterlace == Deinterlace::Weave && !turned;
        let lines = if woven { EVEN_IN_FIELDS } else { EVEN };
        let mut view = Self { picture, kept: Rect::whole(picture), aspect, lines };
        if let Some(window) = shape.crop {
            let inner = view.part(("crop", window), picture)?.geometry();
            view.kept = view.place("crop", window, (inner, picture))?;
        }
        for _ in 0..shape.quarter_turns % 4 {
            view.kept = view.kept.turned(picture);
            picture = picture.swapped();
            aspect = inverse(aspect);
        }
        if let Some(flip) = shape.flip {
            view.kept = view.kept.flipped(picture, flip);
        }
        Ok(Self { picture, aspect, ..view })
    }

    /// The window's own size, held to bounds and to whole chroma samples.
    fn part(&self, (what, window): (&str, Window), most: Geometry) -> Result<Rect, Fault> {
        let Window { width, height, at } = window;
        for (name, side, most) in [("width", width, most.width), ("height", height, most.height)] {
            if !(SIDE_MIN..=most).contains(&side) {
                return refuse(format!("the {name} of {what} {window} is not from {SIDE_MIN} to {most}"));
            }
        }
        let (x, y) = at.unwrap_or((0, 0));
        for (name, value, step) in
            [("width", width, EVEN), ("height", height, EVEN), ("x", x, EVEN), ("y", y, self.lines)]
        {
            if !value.is_multiple_of(step) {
                return refuse(format!("{name} {value} of {what} {window} is no multiple of {step}"));
            }
        }
        Ok(Rect { x, y, width, height })
    }

    /// Where the inner lies in the outer.
    fn place(&self, what: &str, window: Window, (inner, outer): (Geometry, Geometry)) -> Result<Rect, Fault> {
        if inner.width > outer.width || inner.height > outer.height {
            return refuse(format!("{what} {window} is smaller than the picture, which is {inner}"));
        }
        let Some((x, y)) = window.at else { return Ok(self.centred(inner, outer)) };
        let (right, bottom) = (u64::from(x) + u64::from(inner.width), u64::from(y) + u64::from(inner.height));
        if right > outer.width.into() || bottom > outer.height.into() {
            return refuse(format!("{what} {window} reaches to {right}x{bottom}, over the bound of {outer}"));
        }
        Ok(Rect { x, y, width: inner.width, height: inner.height })
    }

    fn centred(&self, inner: Geometry, outer: Geometry) -> Rect {
        let (x, y) = ((outer.width - inner.width) / 2, (outer.height - inner.height) / 2);
        Rect { x: x - x % EVEN, y: y - y % self.lines, width: inner.width, height: inner.height }
    }

    /// Width to height of what is kept, as it is shown.
    fn shape(&self) -> (u128, u128) {
        let shown = |side: u32, by: u32| u128::from(side) * u128::from(by);
        (shown(self.kept.width, self.aspect.num()), shown(self.kept.height, self.aspect.den()))
    }

    fn keep_size(&mut self, aspect: PixelAspect) -> Placed {
        let mut size = even(self.kept.geometry());
        if aspect == PixelAspect::Square && self.aspect != Rational::ONE {
            let (width, height) = self.shape();
            size.width = nearest_even(u128::from(size.height) * width, height);
            self.aspect = Rational::ONE;
        }
        Placed { picture: Rect::whole(size), outer: size }
    }

    fn resize(&mut self, size: Size, aspect: PixelAspect) -> Result<Placed, Fault> {
        let both = size.width.zip(size.height).map(|(width, height)| Geometry { width, height });
        let (outer, inner) = match (size.mode, both) {
            (SizeMode::Exact, Some(outer)) => {
                self.aspect = match aspect {
                    PixelAspect::Keep => self.aspect_at(outer)?,
                    PixelAspect::Square => Rational::ONE,
                };
                (outer, outer)
            }
            (SizeMode::Fit, _) => {
                let fitted = self.fitted(size)?;
                (fitted, fitted)
            }
            (SizeMode::Pad, Some(outer)) => (outer, self.fitted(size)?),
            (SizeMode::Fill, Some(outer)) => {
                let filled = self.filled(outer, size.upscale);
                (filled, filled)
            }
            (mode @ (SizeMode::Exact | SizeMode::Fill | SizeMode::Pad), None) => {
                let name = mode.name();
                return refuse(format!("the size leaves a side open, which the mode fit can take and {name} cannot"));
            }
        };
        for side in [outer.width, outer.height, inner.width, inner.height] {
            if !(SIDE_MIN..=SIDE_MAX).contains(&side) {
                return refuse(format!("the picture would be {inner}, sides are from {SIDE_MIN} to {SIDE_MAX}"));
            }
        }
        if size.mode != SizeMode::Exact {
            self.aspect = Rational::ONE;
        }
        Ok(Placed { picture: self.centred(inner, outer), outer })
    }

    /// The largest size of this shape within the sides that are asked for.
    fn fitted(&self, size: Size) -> Result<Geometry, Fault> {
        let (across, down) = self.shape();
        let by_width = |width: u32| Geometry { width, height: nearest_even(u128::from(width) * down, across) };
        let by_height = |height: u32| Geometry { width: nearest_even(u128::from(height) * across, down), height };
        let fitted = match (size.width, size.height) {
            (Some(width), Some(height)) if u128::from(width) * down <= u128::from(height) * across => by_width(width),
            (_, Some(height)) => by_height(height),
            (Some(width), None) => by_width(width),
            (None, None) => return refuse("the size leaves both sides open, one at least is needed".to_owned()),
        };
        let own = self.own_size();
        Ok(if !size.upscale && (fitted.width > own.width || fitted.height > own.height) { own } else { fitted })
    }

    /// As it is shown without being enlarged or made smaller, in square pixels.
    fn own_size(&self) -> Geometry {
        let (across, down) = self.shape();
        let height = even(self.kept.geometry()).height;
        Geometry { width: nearest_even(u128::from(self.kept.height) * across, down), height }
    }

    /// Cuts off what these sides cannot show. Where the picture would be enlarged against the wish, the sides shrink.
    fn filled(&mut self, sides: Geometry, upscale: bool) -> Geometry {
        let (across, down) = self.shape();
        let (width, height) = (u128::from(sides.width), u128::from(sides.height));
        let outer = self.kept;
        let mut inner = outer.geometry();
        let (num, den) = (u128::from(self.aspect.num()), u128::from(self.aspect.den()));
        if across * height > down * width {
            inner.width = nearest_even(u128::from(outer.height) * width * den, height * num).min(outer.width);
        } else {
            inner.height = nearest_even(u128::from(outer.width) * num * height, den * width).min(outer.height);
        }
        let within = self.centred(even(inner), outer.geometry());
        self.kept = Rect { x: outer.x + within.x, y: outer.y + within.y, ..within };
        let shown = nearest_even(u128::from(self.kept.width) * num, den);
        if upscale || sides.width <= shown {
            return sides;
        }
        Geometry { width: shown, height: nearest_even(u128::from(shown) * height, width) }
    }

    /// The pixel aspect that keeps the picture's shape at another size; square where that is within one percent.
    fn aspect_at(&self, size: Geometry) -> Result<Rational, Fault> {
        let (across, down) = self.shape();
        let (num, den) = (across * u128::from(size.height), down * u128::from(size.width));
        if num.abs_diff(den) * 100 <= den {
            return Ok(Rational::ONE);
        }
        let shrink = gcd(num, den).max(num.max(den) >> 31).max(1);
        let part = |value: u128| u32::try_from(value / shrink).unwrap_or(u32::MAX).max(1);
        Rational::new(part(num), part(den)).map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))
    }
}

/// The source's own orientation, then the turns that are asked for, as one: the mirror first, then the quarter turns.
pub(crate) fn turned(own: Orientation, shape: &Shape) -> Orientation {
    let turns = own.quarter_turns % 4 + shape.quarter_turns % 4;
    // A flip behind turns is a flip before as many the other way round; a vertical one is a horizontal one upside down.
    let quarter_turns = match shape.flip {
        None => turns,
        Some(Flip::Horizontal) => 8 - turns,
        Some(Flip::Vertical) => 10 - turns,
    };
    let mirror = match (own.mirror, shape.flip) {
        (mirror, None) => mirror,
        (Mirror::No, Some(_)) => Mirror::Horizontal,
        (Mirror::Horizontal, Some(_)) => Mirror::No,
    };
    Orientation { quarter_turns: quarter_turns % 4, mirror }
}

/// An odd size loses its last row or column.
fn even(geometry: Geometry) -> Geometry {
    Geometry { width: (geometry.width & !1).max(2), height: (geometry.height & !1).max(2) }
}

fn nearest_even(num: u128, den: u128) -> u32 {
    let pairs = (num + den) / (2 * den.max(1));
    u32::try_from(pairs * 2).unwrap_or(u32::MAX - 1).max(2)
}

fn inverse(ratio: Rational) -> Rational {
    Rational::new(ratio.den(), ratio.num()).expect("a ratio's parts are not zero")
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn refuse<T>(text: String) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Settings, text))
}
