//! Colours as luma and chroma, by the matrix and range that a picture is in.

use framefleet_model::picture::Rgb;

/// The weights of red and blue in luma.
fn weights(matrix: gst_video::VideoColorMatrix) -> (f64, f64) {
    match matrix.to_iso() {
        4..=6 => (0.299, 0.114),
        7 => (0.212, 0.087),
        9 | 10 => (0.2627, 0.0593),
        // What GStreamer itself takes where nothing is said, for all but small pictures, and nobody sees the difference
        // of a bar's grey.
        _ => (0.2126, 0.0722),
    }
}

/// Luma and both chromas of a colour, in samples of a picture of this kind.
pub(crate) fn samples(rgb: Rgb, info: &gst_video::VideoInfo) -> [u16; 3] {
    let depth = info.comp_depth(0);
    let colorimetry = info.colorimetry();
    let (kr, kb) = weights(colorimetry.matrix());
    let [r, g, b] = [rgb.0, rgb.1, rgb.2].map(|v| f64::from(v) / 255.0);
    let y = kr * r + (1.0 - kr - kb) * g + kb * b;
    let (cb, cr) = ((b - y) / (2.0 * (1.0 - kb)), (r - y) / (2.0 * (1.0 - kr)));
    let most = f64::from((1_u32 << depth) - 1);
    let step = f64::from(1_u32 << (depth - 8));
    let full = colorimetry.range() == gst_video::VideoColorRange::Range0_255;
    let luma = if full { y * most } else { (16.0 + 219.0 * y) * step };
    let chroma = |c: f64| (if full { c * most } else { 224.0 * step * c }) + 128.0 * step;
    // Rounded and within the depth: the cast cuts nothing off.
    [luma, chroma(cb), chroma(cr)].map(|v| v.round().clamp(0.0, most) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_white_and_red_are_where_the_standards_have_them() {
        gst::init().unwrap();
        let info = |format, colorimetry: &str| {
            let colorimetry: gst_video::VideoColorimetry = colorimetry.parse().unwrap();
            gst_video::VideoInfo::builder(format, 64, 64).colorimetry(&colorimetry).build().unwrap()
        };
        let sd = info(gst_video::VideoFormat::I420, "bt601");
        assert_eq!(samples(Rgb(0, 0, 0), &sd), [16, 128, 128]);
        assert_eq!(samples(Rgb(255, 255, 255), &sd), [235, 128, 128]);
        assert_eq!(samples(Rgb(255, 0, 0), &sd), [81, 90, 240]);
        let hd = info(gst_video::VideoFormat::I42010le, "bt709");
        assert_eq!(samples(Rgb(255, 0, 0), &hd), [250, 409, 960]);
        let full = info(gst_video::VideoFormat::I420, "1:3:5:1");
        assert_eq!(samples(Rgb(255, 255, 255), &full), [255, 128, 128]);
    }
}
