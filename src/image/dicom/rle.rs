//! RLE Lossless (PS3.5, annex G): bytes of equal weight in segments of PackBits.

use crate::text::dicom as words;

/// Unpacks a frame into `cells * width` bytes, most significant byte of each cell first, where a frame has
/// `segments = samples * width` segments. Cells come plane by plane.
pub(super) fn decode(
    bytes: &[u8],
    cells: usize,
    samples: usize,
    width: usize,
) -> Result<Vec<u8>, String> {
    let number = |index: usize| -> Option<usize> {
        let four: [u8; 4] = bytes.get(4 * index..4 * index + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(four)).ok()
    };
    let segments = samples * width;
    if number(0).is_none() {
        return Err(words::CODE_ENDS.to_owned());
    }
    if number(0) != Some(segments) || segments > 15 {
        return Err(words::RLE_SEGMENTS.to_owned());
    }
    let mut out = vec![0; cells * samples * width];
    for segment in 0..segments {
        let start = number(1 + segment).filter(|at| *at >= 64);
        let next = if segment + 1 < segments {
            number(2 + segment)
        } else {
            None
        };
        let (Some(start), end) = (start, next.unwrap_or(bytes.len()).min(bytes.len())) else {
            return Err(words::RLE_SEGMENTS.to_owned());
        };
        let Some(packed) = bytes.get(start..end) else {
            return Err(words::CODE_ENDS.to_owned());
        };
        let (sample, byte) = (segment / width, segment % width);
        let from = sample * cells * width + byte;
        let targets = out
            .get_mut(from..)
            .unwrap_or_default()
            .iter_mut()
            .step_by(width)
            .take(cells);
        if unpack(packed, targets) < cells {
            return Err(words::CODE_ENDS.to_owned());
        }
    }
    Ok(out)
}

/// Fills `targets` and returns how many were filled.
fn unpack<'a>(packed: &[u8], mut targets: impl Iterator<Item = &'a mut u8>) -> usize {
    let mut filled = 0;
    let mut rest = packed;
    while let Some((&head, tail)) = rest.split_first() {
        if head < 128 {
            let count = usize::from(head) + 1;
            for value in tail.iter().take(count) {
                match targets.next() {
                    Some(target) => *target = *value,
                    None => return filled,
                }
                filled += 1;
            }
            rest = tail.get(count..).unwrap_or_default();
        } else if head == 128 {
            rest = tail;
        } else {
            let Some((&value, after)) = tail.split_first() else {
                return filled;
            };
            for _ in 0..257 - usize::from(head) {
                match targets.next() {
                    Some(target) => *target = value,
                    None => return filled,
                }
                filled += 1;
            }
            rest = after;
        }
    }
    filled
}
