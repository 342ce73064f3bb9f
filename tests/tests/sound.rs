//! What is done to sound, as ffmpeg hears it.

use std::path::{Path, PathBuf};

use framefleet_tests::heard::{generated, levels};
use framefleet_tests::{place, product};

/// Half of full scale: its root mean square.
const TONE_DB: f64 = -9.03;

/// A film's sound alone, by these flags.
fn made(home: &Path, source: &Path, flags: &[&str]) -> PathBuf {
    let out = home.join("out.wav");
    let state = home.join("state").display().to_string();
    let flags: Vec<&str> = ["--state-dir", &state].into_iter().chain(flags.iter().copied()).collect();
    product::transcode(home, source, &out, &flags).done().unwrap();
    out
}

/// A tone in one of six channels: front left, front right, centre, LFE, rear left, rear right.
fn tone_in(channel: usize) -> PathBuf {
    let channels = (0..6).map(|at| if at == channel { "0.5*sin(2*PI*1000*t)" } else { "0" });
    let scene = format!("aevalsrc={}:c=5.1:s=48000:d=1", channels.collect::<Vec<_>>().join("|"));
    generated(&format!("tone-{channel}.wav"), &scene)
}

/// What is left of a tone in each of six channels, in the left and the right of the output.
fn check_downmix(flags: &[&str], gains: [[f64; 2]; 6]) {
    for (channel, gains) in gains.iter().enumerate() {
        let home = place::scratch();
        let heard = levels(&made(home.path(), &tone_in(channel), flags), "");
        assert_eq!(heard.len(), 2);
        for (heard, gain) in heard.iter().zip(gains) {
            let due = TONE_DB + 20.0 * gain.log10();
            // Silence is what no sample of 16 bits stands above.
            let right = if *gain == 0.0 { *heard < -90.0 } else { (heard - due).abs() < 0.05 };
            assert!(right, "{flags:?}: a tone in channel {channel} comes out at {heard} dB, {due} is due");
        }
    }
}

#[test]
fn five_channels_become_two_by_itus_matrix() {
    let (front, other) = (0.4142, 0.2929);
    let gains = [[front, 0.0], [0.0, front], [other, other], [0.0, 0.0], [other, 0.0], [0.0, other]];
    check_downmix(&["--channels", "2"], gains);
}

#[test]
fn dolbys_matrix_keeps_the_surround_findable() {
    let (front, centre, near, far) = (0.3254, 0.2301, 0.2818, 0.1627);
    let gains = [[front, 0.0], [0.0, front], [centre, centre], [0.0, 0.0], [near, far], [far, near]];
    check_downmix(&["--channels", "2", "--downmix", "dolby"], gains);
    // The surround's signs are opposite: in the sum of both they all but cancel out.
    let home = place::scratch();
    let out = made(home.path(), &tone_in(4), &["--channels", "2", "--downmix", "dolby"]);
    let sum = levels(&out, "pan=mono|c0=c0+c1,")[0];
    let due = TONE_DB + 20.0 * (0.2818_f64 - 0.1627).log10();
    assert!((sum - due).abs() < 0.1, "{sum} dB, {due} is due");
}
