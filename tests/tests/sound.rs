//! What is done to sound, as ffmpeg hears it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use framefleet_tests::heard::{generated, levels, loudness, samples};
use framefleet_tests::{clip, oracle, place, product};

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

/// Half a loudness unit off, and peaks where ffmpeg's filter may see them.
fn check_loudness(name: &str, scene: &str, (integrated, true_peak): (&str, &str)) -> serde_json::Value {
    let (home, source) = (place::scratch(), generated(name, scene));
    let ledger = ["--loudness", integrated, "--true-peak", true_peak, "-o", "json"];
    let (out, state) = (home.path().join("out.wav"), home.path().join("state").display().to_string());
    let flags: Vec<&str> = ["--state-dir", &state].into_iter().chain(ledger).collect();
    let told = product::transcode(home.path(), &source, &out, &flags).done().unwrap().json();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let ((was, _), (is, peak)) = (loudness(&source), loudness(&out));
    println!("{name}: {was} LUFS, now {is} LUFS and {peak} dBTP");
    assert!((is - number(integrated)).abs() <= 0.5, "{name}: {is} LUFS, {integrated} is due");
    assert!(peak <= number(true_peak) + 0.3, "{name}: {peak} dBTP, {true_peak} at most");
    assert_eq!(samples(&source).len(), samples(&out).len());
    told["loudness"][0].clone()
}

#[test]
fn quiet_and_loud_tracks_become_as_loud_as_is_asked_for() {
    let noise = |level: &str| format!("anoisesrc=c=pink:a={level}:d=10:s=48000:seed=1,pan=stereo|c0=c0|c1=c0");
    let told = check_loudness("quiet.wav", &noise("0.02"), ("-16", "-1.5"));
    assert_eq!(told["limited_samples"], 0);
    assert!(told["gain"].as_i64().unwrap() > 2000, "{told}");
    let told = check_loudness("loud.wav", &noise("0.9"), ("-23", "-1"));
    assert!(told["gain"].as_i64().unwrap() < -500, "{told}");
    let five = "anoisesrc=c=pink:a=0.1:d=10:s=44100:seed=4,pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0";
    check_loudness("five.wav", five, ("-20", "-2"));
}

#[test]
fn peaks_are_held_down_where_the_gain_would_lift_them_too_high() {
    let clicks = "0.1*sin(2*PI*440*t)+0.85*lt(mod(t\\,2)\\,0.001)*sin(2*PI*3000*t)";
    let scene = format!("aevalsrc={clicks}:s=48000:d=10,aformat=channel_layouts=mono");
    let told = check_loudness("peaks.wav", &scene, ("-16", "-1.5"));
    assert!(told["limited_samples"].as_u64().unwrap() > 0, "{told}");
    // The clicks are where they were.
    let (home, source) = (place::scratch(), generated("peaks.wav", &scene));
    let out = made(home.path(), &source, &["--loudness", "-16", "--true-peak", "-1.5"]);
    assert_eq!(best_lag(&samples(&source), &samples(&out)), 0);
}

#[test]
fn a_track_that_loses_nothing_ends_with_its_last_sample_whatever_keeps_it_back() {
    let source = generated("odd.wav", "anoisesrc=c=pink:a=0.1:d=1.2345:s=48000:seed=5");
    let all = samples(&source).len();
    let home = place::scratch();
    let cases: [(&str, &[&str]); 4] = [
        ("flac", &["--sample-rate", "96000"]),
        ("flac", &["--denoise", "--loudness", "-20"]),
        ("wav", &["--sample-rate", "96000", "--loudness", "-20"]),
        ("mka", &["--audio-codec", "flac", "--loudness", "-20"]),
    ];
    for (kind, flags) in cases {
        let (out, state) =
            (home.path().join("out").with_extension(kind), home.path().join("state").display().to_string());
        let more = ["--overwrite", "--state-dir", &state];
        let flags: Vec<&str> = flags.iter().copied().chain(more).collect();
        product::transcode(home.path(), &source, &out, &flags).done().unwrap();
        assert_eq!(samples(&out).len(), all, "{flags:?}");
    }
}

#[test]
fn silence_is_left_alone() {
    let (home, source) = (place::scratch(), generated("silence.wav", "anullsrc=r=48000:cl=stereo:d=3"));
    let out = made(home.path(), &source, &["--loudness", "-16", "--denoise"]);
    assert!(samples(&out).iter().all(|sample| *sample == 0.0));
    assert_eq!(samples(&out).len(), 144_000);
}

#[test]
fn beeps_stay_in_their_places_whatever_is_done_to_them() {
    let source = clip::plain("mp4");
    let home = place::scratch();
    let facts = home.path().join("facts.json");
    std::fs::write(&facts, oracle::read(&source).unwrap().json()).unwrap();
    for (kind, flags) in [("mp4", ["--denoise", "--loudness", "-16"]), ("avi", ["--denoise", "--loudness", "-20"])] {
        let (out, state) = (home.path().join("out").with_extension(kind), home.path().join(kind).display().to_string());
        let more = ["--sample-rate", "44100", "--segment-duration", "1s", "--state-dir", &state];
        let flags: Vec<&str> = flags.into_iter().chain(more).collect();
        product::transcode(home.path(), &source, &out, &flags).done().unwrap();
        oracle::check(&out, &facts, &["--counted", "--onset-tolerance", "0.002"]).unwrap();
    }
}

#[test]
fn noise_falls_and_speech_stays_in_its_place() {
    let speech = "flite=text='Every picture once, in order. Every beep stands in its place.':voice=slt,aresample=48000";
    let noise = "anoisesrc=c=white:a=0.01:d=20:s=48000:seed=3";
    let mixed = format!("{speech},apad=pad_dur=2[s];{noise}[n];[s][n]amix=inputs=2:duration=shortest:normalize=0");
    let (home, source) = (place::scratch(), generated("noisy.wav", &mixed));
    let out = made(home.path(), &source, &["--denoise"]);
    let (was, is) = (samples(&source), samples(&out));
    assert_eq!(was.len(), is.len());
    // The last second and a half, when all has been said.
    let floor = |samples: &[f32]| {
        let pause = &samples[samples.len() - 72_000..samples.len() - 4_800];
        10.0 * (pause.iter().map(|s| f64::from(s * s)).sum::<f64>() / pause.len() as f64).log10()
    };
    let (before, after) = (floor(&was), floor(&is));
    println!("the noise falls from {before:.1} to {after:.1} dB");
    assert!(after <= before - 10.0, "{before} to {after} dB");
    let lag = best_lag(&was, &is);
    assert!(lag.abs() <= 2, "{lag} samples off");
}

/// By how many samples, within 20 ms, the second is most like the first.
fn best_lag(was: &[f32], is: &[f32]) -> i64 {
    let middle = was.len() / 4..was.len() * 3 / 4;
    let likeness = |lag: i64| -> f64 {
        let at = |n: usize| is[usize::try_from(n as i64 + lag).expect("the middle is far from the start")];
        middle.clone().map(|n| f64::from(was[n] * at(n))).sum()
    };
    (-960..=960).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).expect("a range of lags")
}
