//! Matrices that mix many channels into few, so that no sum of full-scale samples can clip.
//!
//! ```text
//! loudspeakers of the source ─▶ left, right, centre, surround left and right ─▶ loudspeakers of the output
//! ```

use framefleet_model::sound::Downmix;

use crate::treatment::{bytes, floats};

const HALF_POWER: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// How Pro Logic II's encoder shares a surround channel among its two; their squares are one.
const NEAR: f32 = 0.866_025_4;
const FAR: f32 = 0.5;
/// The numbers of GStreamer's channel positions.
const LFE: [u32; 2] = [3, 9];
const REAR: [u32; 2] = [4, 5];
const SIDE: [u32; 2] = [10, 11];

/// How much of a loudspeaker is heard at front left, front right, centre, surround left and surround right.
type Places = [f32; 5];

/// A row of coefficients for each channel that is put out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    rows: Vec<Vec<f32>>,
}

impl Mix {
    /// From the loudspeakers of this mask (GStreamer's, in the order of its bits) to so many channels, which stand where
    /// AAC's configurations have them. `None`: the mask has loudspeakers of no known place, or no fewer are put out.
    pub(crate) fn new(mask: u64, channels: u16, downmix: Downmix) -> Option<Self> {
        let speakers: Vec<u32> = (0..u64::BITS).filter(|bit| mask >> bit & 1 == 1).collect();
        if speakers.len() <= usize::from(channels) {
            return None;
        }
        let both = [REAR, SIDE].iter().all(|pair| pair.iter().any(|bit| speakers.contains(bit)));
        let places: Vec<Places> = speakers.iter().map(|speaker| places(*speaker, both)).collect::<Option<_>>()?;
        let rows = rows(channels, downmix)?;
        let gain = |row: &Row, speaker: u32, at: &Places| match row {
            Row::Of(shares) => shares.iter().zip(at).map(|(share, part)| share * part).sum(),
            Row::Lfe => f32::from(u8::from(LFE.contains(&speaker))),
        };
        let rows = rows.iter().map(|row| speakers.iter().zip(&places).map(|(s, at)| gain(row, *s, at)).collect());
        Some(Self { rows: rows.collect() }.normalised())
    }

    /// As loud as it may be without a sum above one.
    fn normalised(mut self) -> Self {
        let most = self.rows.iter().map(|row| row.iter().map(|gain| gain.abs()).sum::<f32>()).fold(1.0, f32::max);
        self.rows.iter_mut().flatten().for_each(|gain| *gain /= most);
        self
    }

    /// Interleaved samples of 32 bits.
    pub(crate) fn apply(&self, block: &[u8]) -> Vec<u8> {
        let samples = floats(block);
        let frames = samples.chunks_exact(self.rows.first().map_or(1, Vec::len));
        let sum = |row: &Vec<f32>, frame: &[f32]| row.iter().zip(frame).map(|(gain, sample)| gain * sample).sum();
        let mixed: Vec<f32> = frames.flat_map(|frame| self.rows.iter().map(move |row| sum(row, frame))).collect();
        bytes(&mixed)
    }
}

/// A channel that is put out.
enum Row {
    /// By its shares of the places.
    Of(Places),
    Lfe,
}

fn rows(channels: u16, downmix: Downmix) -> Option<Vec<Row>> {
    const LEFT: Places = [1.0, 0.0, 0.0, HALF_POWER, 0.0];
    const RIGHT: Places = [0.0, 1.0, 0.0, 0.0, HALF_POWER];
    let alone = |place: usize| Row::Of(std::array::from_fn(|at| f32::from(u8::from(at == place))));
    Some(match (channels, downmix) {
        (2, Downmix::Dolby) => {
            vec![Row::Of([1.0, 0.0, HALF_POWER, -NEAR, -FAR]), Row::Of([0.0, 1.0, HALF_POWER, FAR, NEAR])]
        }
        (1, _) => vec![Row::Of([HALF_POWER, HALF_POWER, 1.0, 0.5, 0.5])],
        (2, Downmix::Itu) => {
            vec![Row::Of([1.0, 0.0, HALF_POWER, HALF_POWER, 0.0]), Row::Of([0.0, 1.0, HALF_POWER, 0.0, HALF_POWER])]
        }
        (3, _) => vec![Row::Of(LEFT), Row::Of(RIGHT), alone(2)],
        (4, _) => vec![alone(0), alone(1), alone(2), Row::Of([0.0, 0.0, 0.0, HALF_POWER, HALF_POWER])],
        (5, _) => (0..5).map(alone).collect(),
        (6, _) => vec![alone(0), alone(1), alone(2), Row::Lfe, alone(3), alone(4)],
        _ => return None,
    })
}

/// Where a loudspeaker is heard; `both` says that the source has surround at the sides and in the rear.
fn places(speaker: u32, both: bool) -> Option<Places> {
    const H: f32 = HALF_POWER;
    let surround = if both { H } else { 1.0 };
    Some(match speaker {
        0 => [1.0, 0.0, 0.0, 0.0, 0.0],
        1 => [0.0, 1.0, 0.0, 0.0, 0.0],
        2 => [0.0, 0.0, 1.0, 0.0, 0.0],
        3 | 9 => [0.0; 5],
        4 | 10 => [0.0, 0.0, 0.0, surround, 0.0],
        5 | 11 => [0.0, 0.0, 0.0, 0.0, surround],
        // Between left or right and centre.
        6 => [H, 0.0, H, 0.0, 0.0],
        7 => [0.0, H, H, 0.0, 0.0],
        8 => [0.0, 0.0, 0.0, H, H],
        // Above and below the ear's height, at half the power of the loudspeaker there.
        12 | 22 => [H, 0.0, 0.0, 0.0, 0.0],
        13 | 23 => [0.0, H, 0.0, 0.0, 0.0],
        14 | 21 => [0.0, 0.0, H, 0.0, 0.0],
        15 | 20 => [0.0, 0.0, 0.0, 0.5, 0.5],
        16 | 18 => [0.0, 0.0, 0.0, H, 0.0],
        17 | 19 => [0.0, 0.0, 0.0, 0.0, H],
        // Between front and surround.
        24 => [H, 0.0, 0.0, H, 0.0],
        25 => [0.0, H, 0.0, 0.0, H],
        26 => [0.0, 0.0, 0.0, H, 0.0],
        27 => [0.0, 0.0, 0.0, 0.0, H],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIVE_ONE: u64 = 0x3f;
    const FIVE_ONE_SIDE: u64 = 0xc0f;
    const SEVEN_ONE: u64 = 0xc3f;

    #[track_caller]
    fn check((mask, channels, downmix): (u64, u16, Downmix), expect: &[&[f32]]) {
        let mix = Mix::new(mask, channels, downmix).unwrap();
        assert_eq!(mix.rows.len(), expect.len());
        for (row, expect) in mix.rows.iter().zip(expect) {
            let near = row.iter().zip(*expect).all(|(gain, due)| (gain - due).abs() < 0.000_06);
            assert!(near && row.len() == expect.len(), "{row:?} instead of {expect:?}");
        }
    }

    #[test]
    fn itu_has_the_coefficients_of_bs_775() {
        // 1 : 0.7071 : 0.7071 over their sum.
        let stereo: &[&[f32]] = &[&[0.4142, 0.0, 0.2929, 0.0, 0.2929, 0.0], &[0.0, 0.4142, 0.2929, 0.0, 0.0, 0.2929]];
        check((FIVE_ONE, 2, Downmix::Itu), stereo);
        check((FIVE_ONE_SIDE, 2, Downmix::Itu), stereo);
        check((FIVE_ONE, 1, Downmix::Itu), &[&[0.2071, 0.2071, 0.2929, 0.0, 0.1464, 0.1464]]);
        check((0x3, 1, Downmix::Itu), &[&[0.5, 0.5]]);
        // A single surround channel goes to both sides at -6 dB.
        check((0x107, 2, Downmix::Itu), &[&[0.4531, 0.0, 0.3204, 0.2265], &[0.0, 0.4531, 0.3204, 0.2265]]);
        check(
            (0x33, 3, Downmix::Itu),
            &[&[0.5858, 0.0, 0.4142, 0.0], &[0.0, 0.5858, 0.0, 0.4142], &[0.0, 0.0, 0.0, 0.0]],
        );
    }

    #[test]
    fn dolby_mixes_the_surround_with_opposite_signs() {
        check(
            (FIVE_ONE, 2, Downmix::Dolby),
            &[&[0.3254, 0.0, 0.2301, 0.0, -0.2818, -0.1627], &[0.0, 0.3254, 0.2301, 0.0, 0.1627, 0.2818]],
        );
    }

    #[test]
    fn rear_and_side_share_the_surround_and_lfe_stays_where_there_is_one() {
        let mix = Mix::new(SEVEN_ONE, 6, Downmix::Itu).unwrap();
        let sides: Vec<&[f32]> = mix.rows[4..].iter().map(Vec::as_slice).collect();
        assert_eq!(sides, [[0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.5]]);
        assert_eq!(mix.rows[3][3], mix.rows[0][0]);
    }

    #[test]
    fn nothing_clips_whatever_goes_where() {
        let masks = [0x7, 0x33, 0x37, FIVE_ONE, FIVE_ONE_SIDE, SEVEN_ONE, 0x3_3c3f, 0x0fff_ffff];
        for (mask, channels, downmix) in
            masks.iter().flat_map(|mask| (1..=6).flat_map(move |n| Downmix::ALL.map(|downmix| (*mask, n, downmix))))
        {
            let Some(mix) = Mix::new(mask, channels, downmix) else { continue };
            let sums: Vec<f32> = mix.rows.iter().map(|row| row.iter().map(|gain| gain.abs()).sum()).collect();
            let most = sums.iter().copied().fold(0.0, f32::max);
            assert!(most <= 1.000_001, "{mask:x} to {channels}: {sums:?}");
        }
        assert_eq!(Mix::new(0x3, 2, Downmix::Itu), None, "no fewer");
        assert_eq!(Mix::new(1 << 40 | 0x3f, 2, Downmix::Itu), None, "a loudspeaker of no known place");
    }

    #[test]
    fn samples_are_mixed_frame_by_frame() {
        let mix = Mix::new(0x3, 1, Downmix::Itu).unwrap();
        assert_eq!(floats(&mix.apply(&bytes(&[1.0, 0.5, -1.0, 1.0]))), [0.75, 0.0]);
    }
}
