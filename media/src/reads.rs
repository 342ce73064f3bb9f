//! What films may be made of: the elements that read it, by name.

/// What an element reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Container,
    Pictures,
    Sound,
}

use Reads::{Container, Pictures, Sound};

/// Element, what it reads, and that by the name that people know. They read only the bytes that they are handed.
///
/// libav's other decoders are allowed, too (`allow`); these are the ones whose codecs people have.
pub const READS: &[(&str, Reads, &str)] = &[
    ("qtdemux", Container, "MP4"),
    ("qtdemux", Container, "MOV"),
    ("matroskademux", Container, "Matroska"),
    ("matroskademux", Container, "WebM"),
    ("tsdemux", Container, "MPEG-TS"),
    ("mpegpsdemux", Container, "MPEG-PS"),
    ("flvdemux", Container, "FLV"),
    ("avidemux", Container, "AVI"),
    ("oggdemux", Container, "Ogg"),
    ("asfdemux", Container, "ASF (WMV, WMA)"),
    ("mxfdemux", Container, "MXF"),
    ("rmdemux", Container, "RealMedia"),
    ("dvdemux", Container, "DV"),
    ("avdemux_gxf", Container, "GXF"),
    ("avdemux_nut", Container, "NUT"),
    ("avdemux_nsv", Container, "NSV"),
    ("avdemux_smk", Container, "Smacker"),
    ("avdemux_film_cpk", Container, "CPK"),
    ("avdemux_ipmovie", Container, "Interplay MVE"),
    ("ivfparse", Container, "IVF"),
    ("y4mdec", Container, "YUV4MPEG2"),
    ("wavparse", Container, "WAV"),
    ("aiffparse", Container, "AIFF"),
    ("auparse", Container, "AU"),
    ("avdemux_voc", Container, "VOC"),
    ("mpegaudioparse", Container, "MP3"),
    ("aacparse", Container, "ADTS"),
    ("flacparse", Container, "FLAC"),
    ("avdemux_ape", Container, "Monkey's Audio"),
    ("avdemux_tta", Container, "TTA"),
    ("avdemux_mpc", Container, "Musepack"),
    ("avdemux_mpc8", Container, "Musepack"),
    ("avdec_h264", Pictures, "H.264"),
    ("avdec_h265", Pictures, "HEVC"),
    ("av1dec", Pictures, "AV1"),
    ("vp9dec", Pictures, "VP9"),
    ("vp8dec", Pictures, "VP8"),
    ("avdec_vp6f", Pictures, "VP6"),
    ("avdec_mpeg2video", Pictures, "MPEG-2"),
    ("avdec_mpegvideo", Pictures, "MPEG-1"),
    ("avdec_mpeg4", Pictures, "MPEG-4 part 2"),
    ("avdec_msmpeg4", Pictures, "MS-MPEG4"),
    ("avdec_h263", Pictures, "H.263"),
    ("avdec_flv", Pictures, "Sorenson H.263"),
    ("avdec_vc1", Pictures, "VC-1"),
    ("avdec_wmv3", Pictures, "WMV"),
    ("avdec_prores", Pictures, "ProRes"),
    ("avdec_dnxhd", Pictures, "DNxHD"),
    ("avdec_cfhd", Pictures, "CineForm"),
    ("dvdec", Pictures, "DV"),
    ("jpegdec", Pictures, "Motion JPEG"),
    ("avdec_jpeg2000", Pictures, "JPEG 2000"),
    ("pngdec", Pictures, "PNG"),
    ("theoradec", Pictures, "Theora"),
    ("avdec_dirac", Pictures, "Dirac"),
    ("avdec_ffv1", Pictures, "FFV1"),
    ("avdec_huffyuv", Pictures, "HuffYUV"),
    ("avdec_utvideo", Pictures, "Ut Video"),
    ("avdec_qtrle", Pictures, "QuickTime Animation"),
    ("avdec_svq3", Pictures, "Sorenson 3"),
    ("avdec_cinepak", Pictures, "Cinepak"),
    ("avdec_indeo5", Pictures, "Indeo"),
    ("avdec_rv40", Pictures, "RealVideo"),
    ("avdec_aac", Sound, "AAC"),
    ("mpg123audiodec", Sound, "MP3"),
    ("avdec_mp2float", Sound, "MP2"),
    ("opusdec", Sound, "Opus"),
    ("vorbisdec", Sound, "Vorbis"),
    ("flacdec", Sound, "FLAC"),
    ("avdec_alac", Sound, "ALAC"),
    ("avdec_ac3", Sound, "AC-3"),
    ("avdec_eac3", Sound, "E-AC-3"),
    ("avdec_dca", Sound, "DTS"),
    ("avdec_truehd", Sound, "TrueHD"),
    ("avdec_wmav2", Sound, "WMA"),
    ("avdec_wmapro", Sound, "WMA Pro"),
    ("avdec_cook", Sound, "Cook"),
    ("dvdlpcmdec", Sound, "LPCM"),
    ("rawaudioparse", Sound, "PCM"),
    ("alawdec", Sound, "A-law"),
    ("mulawdec", Sound, "µ-law"),
    ("adpcmdec", Sound, "ADPCM"),
    ("amrnbdec", Sound, "AMR"),
    ("amrwbdec", Sound, "AMR"),
    ("gsmdec", Sound, "GSM"),
    ("speexdec", Sound, "Speex"),
    ("wavpackdec", Sound, "WavPack"),
    ("musepackdec", Sound, "Musepack"),
    ("sbcdec", Sound, "SBC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_installed_where_tests_run() {
        gst::init().unwrap();
        let missing: Vec<_> =
            READS.iter().filter(|(element, ..)| gst::ElementFactory::find(element).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
