//! Masks: one flag a pixel, the line around them, and PNG files that hold one.

use std::path::Path;
use std::sync::Arc;

use crate::error::Result;
use crate::text::fault;

/// One flag a pixel of the source image.
#[derive(Clone, Debug, PartialEq)]
pub struct Mask {
    /// `[width, height]`.
    pub size: [usize; 2],
    /// Row by row.
    pub inside: Arc<[bool]>,
}

/// Most pixels of a mask, as of an image.
const MAX_PIXELS: u64 = crate::image::MAX_PIXELS;

impl Mask {
    /// A mask of `size`; what `inside` has too little is outside, what it has too much is dropped.
    pub fn new(size: [usize; 2], mut inside: Vec<bool>) -> Self {
        inside.resize(size[0] * size[1], false);
        Self {
            size,
            inside: inside.into(),
        }
    }

    /// Whether the pixel in a column and a row is inside.
    pub(super) fn at(&self, x: f64, y: f64) -> bool {
        let [width, height] = self.size.map(|side| side as f64);
        (0.0..width).contains(&x) && (0.0..height).contains(&y) && self.get(x as usize, y as usize)
    }

    fn get(&self, x: usize, y: usize) -> bool {
        let at = y * self.size[0] + x;
        x < self.size[0] && self.inside.get(at).copied().unwrap_or(false)
    }

    /// The smallest rectangle around what is inside: left, top, right, bottom; all 0 for an empty mask.
    pub(super) fn bounds(&self) -> [usize; 4] {
        let mut around = [usize::MAX, usize::MAX, 0, 0];
        for (y, row) in self.inside.chunks(self.size[0].max(1)).enumerate() {
            let (Some(first), Some(last)) = (
                row.iter().position(|set| *set),
                row.iter().rposition(|set| *set),
            ) else {
                continue;
            };
            around = [
                around[0].min(first),
                around[1].min(y),
                around[2].max(last + 1),
                around[3].max(y + 1),
            ];
        }
        if around[2] == 0 { [0; 4] } else { around }
    }

    /// The edges between inside and outside, joined to closed lines with the inside to the right. Where two pixels touch
    /// only at a corner they keep lines of their own.
    pub(super) fn outline(&self) -> Vec<Vec<[f64; 2]>> {
        let [width, height] = self.size;
        let [left, top, right, bottom] = self.bounds();
        // Every upper edge begins one line at most.
        let mut done = vec![false; width * height];
        let mut lines = Vec::new();
        for y in top..bottom {
            for x in left..right {
                let is_upper = self.get(x, y) && !(y > 0 && self.get(x, y - 1));
                if is_upper && !done.get(y * width + x).copied().unwrap_or(true) {
                    lines.push(self.follow([x, y], &mut done));
                }
            }
        }
        lines
    }

    /// Follows the line that goes right along the upper edge of the pixel at `start`.
    fn follow(&self, start: [usize; 2], done: &mut [bool]) -> Vec<[f64; 2]> {
        // Right, down, left, up.
        const STEPS: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];
        let begin = [start[0] as isize, start[1] as isize];
        let is_inside = |x: isize, y: isize| x >= 0 && y >= 0 && self.get(x as usize, y as usize);
        let mut line = Vec::new();
        let (mut at, mut way) = (begin, 0_usize);
        loop {
            if way == 0
                && let Some(edge) = done.get_mut(at[1] as usize * self.size[0] + at[0] as usize)
            {
                *edge = true;
            }
            let [dx, dy] = STEPS[way];
            at = [at[0] + dx, at[1] + dy];
            // The two pixels ahead of this corner, to the right and to the left of the way.
            let ([rx, ry], [lx, ly]) = match way {
                0 => ([0, 0], [0, -1]),
                1 => ([-1, 0], [0, 0]),
                2 => ([-1, -1], [-1, 0]),
                _ => ([0, -1], [-1, -1]),
            };
            let right = is_inside(at[0] + rx, at[1] + ry);
            let left = is_inside(at[0] + lx, at[1] + ly);
            let next = match (right, left) {
                (false, _) => (way + 1) % 4,
                (true, false) => way,
                (true, true) => (way + 3) % 4,
            };
            if next != way {
                line.push([at[0] as f64, at[1] as f64]);
            }
            way = next;
            if at == begin && way == 0 {
                return line;
            }
        }
    }
}

/// Whether these bytes are a PNG file.
pub(super) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
}

/// A mask from a PNG: every pixel that is not 0. Of a file with a palette the number counts, not its colour; of a coloured
/// one any of its colours, and where it is transparent it is outside.
///
/// # Errors
/// A file that cannot be decoded, another size than the picture's, a mask without any pixel.
pub(super) fn read_png(file: &Path, bytes: &[u8], size: [usize; 2]) -> Result<Mask> {
    let broken = |error: png::DecodingError| fault::regions_png(file, &error.to_string());
    let limits = png::Limits {
        bytes: 4 * MAX_PIXELS as usize,
    };
    let mut decoder = png::Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    // Numbers as they are stored: a palette is not looked up.
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = reader.info().size();
    let found = [width as usize, height as usize];
    if found != size {
        return Err(fault::regions_size(file, "the mask", found, size));
    }
    let wanted = reader.output_buffer_size();
    let Some(wanted) = wanted.filter(|bytes| *bytes as u64 <= 8 * MAX_PIXELS) else {
        return Err(fault::regions_png(file, "it is too large"));
    };
    let mut data = vec![0; wanted];
    let frame = reader.next_frame(&mut data).map_err(broken)?;
    let channels = frame.color_type.samples();
    let has_alpha = matches!(
        frame.color_type,
        png::ColorType::GrayscaleAlpha | png::ColorType::Rgba
    );
    let bits = frame.bit_depth as usize;
    let mut inside = Vec::with_capacity(size[0] * size[1]);
    for line in data.chunks(frame.line_size.max(1)).take(size[1]) {
        let sample = |i: usize| match bits {
            16 => {
                let byte = |at: usize| line.get(at).copied().unwrap_or(0);
                u16::from_be_bytes([byte(2 * i), byte(2 * i + 1)])
            }
            bits => {
                let bit = i * bits;
                let byte = line.get(bit / 8).copied().unwrap_or(0);
                let shift = 8 - bits - bit % 8;
                u16::from(byte >> shift) & ((1 << bits) - 1)
            }
        };
        inside.extend((0..size[0]).map(|x| {
            let first = x * channels;
            let colours = channels - usize::from(has_alpha);
            let seen = !has_alpha || sample(first + colours) > 0;
            seen && (first..first + colours).any(|i| sample(i) > 0)
        }));
    }
    if !inside.contains(&true) {
        return Err(fault::regions_empty_mask(file));
    }
    Ok(Mask::new(size, inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let inside = rows.iter().flat_map(|row| row.bytes().map(|b| b == b'#'));
        Mask::new([rows[0].len(), rows.len()], inside.collect())
    }

    /// Twice the area that closed lines hold, with their direction.
    fn area(lines: &[Vec<[f64; 2]>]) -> f64 {
        let of = |line: &Vec<[f64; 2]>| -> f64 {
            let next = line.iter().cycle().skip(1);
            line.iter()
                .zip(next)
                .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
                .sum()
        };
        lines.iter().map(of).sum::<f64>() / 2.0
    }

    #[test]
    fn lines_hold_what_is_inside() {
        for (rows, lines) in [
            (vec!["....", ".##.", "...."], 1),
            (vec!["####", "#..#", "####"], 2),
            (vec!["#.#", ".#.", "#.#"], 5),
            (vec!["##..", "##..", "..##"], 2),
            (vec!["....", "...."], 0),
            (vec!["#####", "#.#.#", "#####", "..#.."], 3),
        ] {
            let mask = mask(&rows);
            let outline = mask.outline();
            assert_eq!(outline.len(), lines, "{rows:?}: {outline:?}");
            let inside = mask.inside.iter().filter(|set| **set).count();
            assert_eq!(area(&outline), inside as f64, "{rows:?}");
            // Filled by the even-odd rule all together they are the mask again.
            let all: Vec<Vec<[f64; 2]>> = outline.clone();
            for (i, set) in mask.inside.iter().enumerate() {
                let at = [
                    (i % mask.size[0]) as f64 + 0.5,
                    (i / mask.size[0]) as f64 + 0.5,
                ];
                let hits = all
                    .iter()
                    .filter(|ring| super::super::Shape::Polygon(vec![(*ring).clone()]).contains(at))
                    .count();
                assert_eq!(hits % 2 == 1, *set, "{rows:?} at {at:?}");
            }
        }
    }

    #[test]
    fn bounds_are_around_what_is_inside() {
        assert_eq!(mask(&["....", ".##.", "...#"]).bounds(), [1, 1, 4, 3]);
        assert_eq!(mask(&["....", "...."]).bounds(), [0; 4]);
    }
}
