//! Run lengths as COCO writes them: column by column, beginning with the pixels outside.

use super::mask::Mask;

/// Why run lengths are no mask.
pub(super) enum Wrong {
    /// They add up to another number of pixels.
    Count(u64),
    /// The text holds a character that stands for no number, or breaks off.
    Text,
}

/// A mask from run lengths.
pub(super) fn decode(counts: &[u64], size: [usize; 2]) -> Result<Mask, Wrong> {
    let [width, height] = size;
    let pixels = (width * height) as u64;
    let sum = counts
        .iter()
        .fold(0_u64, |sum, run| sum.saturating_add(*run));
    if sum != pixels {
        return Err(Wrong::Count(sum));
    }
    let mut inside = vec![false; width * height];
    let mut at = 0_usize;
    for (i, run) in counts.iter().enumerate() {
        let run = *run as usize;
        if i % 2 == 1 {
            for place in at..at + run {
                let (x, y) = (place / height.max(1), place % height.max(1));
                if let Some(pixel) = inside.get_mut(y * width + x) {
                    *pixel = true;
                }
            }
        }
        at += run;
    }
    Ok(Mask::new(size, inside))
}

/// Run lengths of a mask.
pub(super) fn encode(mask: &Mask) -> Vec<u64> {
    let [width, height] = mask.size;
    let mut counts = Vec::new();
    let (mut now, mut run) = (false, 0_u64);
    for x in 0..width {
        for y in 0..height {
            let set = mask.inside.get(y * width + x).copied().unwrap_or(false);
            if set != now {
                counts.push(run);
                (now, run) = (set, 0);
            }
            run += 1;
        }
    }
    counts.push(run);
    counts
}

/// Run lengths from COCO's text: five bits a character from `0` on, a sixth that says whether more follow, and from the
/// fourth run on the difference to the run of the same kind before.
pub(super) fn from_text(text: &str) -> Result<Vec<u64>, Wrong> {
    let mut counts: Vec<i64> = Vec::new();
    let mut letters = text.bytes();
    while let Some(first) = letters.next() {
        let (mut value, mut shift, mut letter) = (0_i64, 0, first);
        loop {
            let bits = match letter {
                b'0'..=b'o' => i64::from(letter - b'0'),
                _ => return Err(Wrong::Text),
            };
            if shift > 50 {
                return Err(Wrong::Text);
            }
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            letter = letters.next().ok_or(Wrong::Text)?;
        }
        if counts.len() > 2 {
            value += counts.get(counts.len() - 2).copied().unwrap_or(0);
        }
        counts.push(value);
    }
    counts
        .into_iter()
        .map(|run| u64::try_from(run).map_err(|_| Wrong::Text))
        .collect()
}

/// The same the other way.
pub(super) fn to_text(counts: &[u64]) -> String {
    let mut text = String::new();
    for (i, run) in counts.iter().enumerate() {
        let before = if i > 2 {
            counts.get(i - 2).copied().unwrap_or(0)
        } else {
            0
        };
        let mut value = *run as i64 - before as i64;
        loop {
            let mut bits = value & 0x1f;
            value >>= 5;
            let more = if bits & 0x10 != 0 {
                value != -1
            } else {
                value != 0
            };
            if more {
                bits |= 0x20;
            }
            text.push(char::from(b'0' + bits as u8));
            if !more {
                break;
            }
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn masks_survive_both_ways_of_writing() {
        for seed in 1_u64..40 {
            let (w, h) = (3 + seed as usize % 11, 2 + seed as usize % 7);
            let mut state = seed;
            let inside: Vec<bool> = (0..w * h)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    state >> 61 < seed % 8
                })
                .collect();
            let mask = Mask::new([w, h], inside);
            let counts = encode(&mask);
            assert_eq!(counts.iter().sum::<u64>() as usize, w * h);
            let text = to_text(&counts);
            let Ok(back) = from_text(&text) else {
                panic!("{text}")
            };
            assert_eq!(back, counts);
            let Ok(again) = decode(&back, [w, h]) else {
                panic!("{counts:?}")
            };
            assert_eq!(again, mask);
        }
    }

    #[test]
    fn texts_of_coco_are_read() {
        // The text stands in the comments of COCO's own programs.
        let counts = [6, 1, 40, 4, 5, 4, 5, 4, 21];
        let text = to_text(&counts);
        assert_eq!(text, "61X13mN000`0");
        assert!(from_text(&text).is_ok_and(|back| back == counts));
        assert!(from_text("61X1 ").is_err() && from_text("61X").is_err());
    }
}
