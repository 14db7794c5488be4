//! JPEG-LS (ITU-T T.87, ISO/IEC 14495-1), lossless and near-lossless, all three ways to interleave.
//!
//! The crates for it either wrap a C++ library that needs CMake, or trust their input. Names of variables
//! are the standard's in lower case.

use super::golomb::{Bits, Params};
use crate::text::dicom as words;

type Result<T> = std::result::Result<T, String>;

fn broken<T>() -> Result<T> {
    Err(words::CODE_BROKEN.to_owned())
}

/// Bits of run lengths (table A.6... `J`).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

#[derive(Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// Contexts of one scan.
struct Scan<'a> {
    p: Params,
    bits: Bits<'a>,
    regular: Vec<Context>,
    /// `a`, `n` and `nn` (in `b`) of the two run-interruption contexts.
    run: [Context; 2],
}

impl<'a> Scan<'a> {
    fn new(p: Params, bytes: &'a [u8], at: usize) -> Self {
        let fresh = Context {
            a: ((p.range + 32) / 64).max(2),
            b: 0,
            c: 0,
            n: 1,
        };
        Self {
            p,
            bits: Bits::new(bytes, at),
            regular: vec![fresh; 365],
            run: [fresh; 2],
        }
    }

    /// Limited-length Golomb code (A.5.3).
    fn golomb(&mut self, k: u32, limit: u32) -> Option<i32> {
        let most = limit - self.p.qbpp - 1;
        let zeros = self.bits.zeros(most);
        if zeros < most {
            Some(((zeros as i32) << k) | self.bits.take(k))
        } else if zeros == most {
            Some(self.bits.take(self.p.qbpp) + 1)
        } else {
            None
        }
    }

    /// One sample in regular mode from its neighbours and their quantised gradients.
    fn regular(&mut self, [ra, rb, rc]: [i32; 3], q: [i32; 3]) -> Option<i32> {
        let signed = 81 * q[0] + 9 * q[1] + q[2];
        let (index, sign) = if signed < 0 {
            (-signed, -1)
        } else {
            (signed, 1)
        };
        let p = self.p;
        let Context { a, b, c, n } = *self.regular.get(index as usize)?;
        let guess = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let px = (guess + sign * c).clamp(0, p.maxval);
        let mut k = 0;
        while k < 24 && n << k < a {
            k += 1;
        }
        let code = self.golomb(k, p.limit)?;
        let error = if p.near == 0 && k == 0 && 2 * b <= -n {
            if code & 1 == 1 {
                (code - 1) / 2
            } else {
                -(code / 2) - 1
            }
        } else if code & 1 == 1 {
            -((code + 1) / 2)
        } else {
            code / 2
        };
        let context = self.regular.get_mut(index as usize)?;
        context.b += error * (2 * p.near + 1);
        context.a += error.abs();
        // Errors of sound files are within the range; others must not add up to an overflow.
        if context.a > 1 << 26 || context.b.abs() > 1 << 26 {
            return None;
        }
        if context.n == p.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        if context.b <= -context.n {
            context.b = (context.b + context.n).max(1 - context.n);
            context.c = (context.c - 1).max(-128);
        } else if context.b > 0 {
            context.b = (context.b - context.n).min(0);
            context.c = (context.c + 1).min(127);
        }
        Some(p.reconstruct(px, sign * error))
    }

    /// Length of a run, at most `left`, and whether it ends before the line does (A.7.1).
    fn run_length(&mut self, left: usize, run_index: &mut usize) -> Option<(usize, bool)> {
        let mut length = 0;
        while self.bits.take(1) == 1 {
            let whole = 1_usize << J.get(*run_index)?;
            let step = whole.min(left - length);
            length += step;
            if step == whole && *run_index < 31 {
                *run_index += 1;
            }
            if length == left {
                return Some((length, false));
            }
        }
        length += self.bits.take(*J.get(*run_index)?) as usize;
        (length < left).then_some((length, true))
    }

    /// The sample that ends a run (A.7.2). With several components in a pixel the second context is not used.
    fn interruption(&mut self, ra: i32, rb: i32, run_index: usize, alone: bool) -> Option<i32> {
        let p = self.p;
        let same = alone && (ra - rb).abs() <= p.near;
        let kind = i32::from(same);
        let (px, sign) = if same {
            (ra, 1)
        } else {
            (rb, if ra > rb { -1 } else { 1 })
        };
        let Context { a, b: nn, n, .. } = self.run[usize::from(same)];
        let sum = if same { a + (n >> 1) } else { a };
        let mut k = 0;
        while k < 24 && n << k < sum {
            k += 1;
        }
        let code = self.golomb(k, p.limit - J.get(run_index)? - 1)?;
        let both = code + kind;
        let map = both & 1;
        let size = (both + map) / 2;
        let error = if (k != 0 || 2 * nn >= n) == (map == 1) {
            -size
        } else {
            size
        };
        let context = &mut self.run[usize::from(same)];
        if error < 0 {
            context.b += 1;
        }
        context.a += (code + 1 - kind) >> 1;
        if context.a > 1 << 26 {
            return None;
        }
        if context.n == p.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        Some(p.reconstruct(px, sign * error))
    }

    fn gradients(&self, [ra, rb, rc, rd]: [i32; 4]) -> [i32; 3] {
        [
            self.p.quantise(rd - rb),
            self.p.quantise(rb - rc),
            self.p.quantise(rc - ra),
        ]
    }

    /// One line of one component. Lines have one sample of border on both sides.
    fn line(&mut self, above: &[i32], line: &mut [i32], run_index: &mut usize) -> Option<()> {
        let width = line.len() - 2;
        let mut x = 1;
        while x <= width {
            let near = [line[x - 1], above[x], above[x - 1], above[x + 1]];
            let q = self.gradients(near);
            if q != [0; 3] {
                line[x] = self.regular([near[0], near[1], near[2]], q)?;
                x += 1;
                continue;
            }
            let (length, interrupted) = self.run_length(width + 1 - x, run_index)?;
            line[x..x + length].fill(near[0]);
            x += length;
            if interrupted {
                line[x] = self.interruption(near[0], above[x], *run_index, true)?;
                *run_index = run_index.saturating_sub(1);
                x += 1;
            }
        }
        Some(())
    }

    /// One line of pixels whose components are coded together; `[component][sample]`.
    fn pixels(
        &mut self,
        above: &[Vec<i32>],
        lines: &mut [Vec<i32>],
        run_index: &mut usize,
    ) -> Option<()> {
        let width = lines.first()?.len() - 2;
        let mut x = 1;
        while x <= width {
            let near: Vec<[i32; 4]> = above
                .iter()
                .zip(lines.iter())
                .map(|(above, line)| [line[x - 1], above[x], above[x - 1], above[x + 1]])
                .collect();
            let q: Vec<[i32; 3]> = near.iter().map(|n| self.gradients(*n)).collect();
            if q.iter().any(|q| *q != [0; 3]) {
                for ((line, near), q) in lines.iter_mut().zip(&near).zip(&q) {
                    line[x] = self.regular([near[0], near[1], near[2]], *q)?;
                }
                x += 1;
                continue;
            }
            let (length, interrupted) = self.run_length(width + 1 - x, run_index)?;
            for (line, near) in lines.iter_mut().zip(&near) {
                line[x..x + length].fill(near[0]);
            }
            x += length;
            if interrupted {
                for ((line, above), near) in lines.iter_mut().zip(above).zip(&near) {
                    line[x] = self.interruption(near[0], above[x], *run_index, false)?;
                }
                *run_index = run_index.saturating_sub(1);
                x += 1;
            }
        }
        Some(())
    }
}

/// Decodes a stream that must have this `[width, height, components]`, which is checked before anything
/// is allocated. Samples come pixel by pixel, with their number of bits.
pub(super) fn decode(bytes: &[u8], size: [usize; 3]) -> Result<(Vec<u16>, u32)> {
    let [width, height, count] = size;
    let mut samples: Vec<u16> = Vec::new();
    let mut precision = 0;
    let mut ids: Vec<u8> = Vec::new();
    let mut done = 0;
    // MAXVAL, three thresholds, RESET; 0 is "as usual".
    let mut preset = [0_i32; 5];
    let mut at = 2;
    if bytes.get(..2) != Some(&[0xFF, 0xD8]) {
        return broken();
    }
    while done < count {
        let (Some(&[0xFF, marker]), Some(&[high, low])) =
            (bytes.get(at..at + 2), bytes.get(at + 2..at + 4))
        else {
            if bytes.get(at) == Some(&0xFF) && bytes.get(at + 1) == Some(&0xFF) {
                at += 1;
                continue;
            }
            return Err(words::CODE_ENDS.to_owned());
        };
        if marker == 0xFF {
            at += 1;
            continue;
        }
        if marker == 0xD9 {
            return Err(words::CODE_EMPTY.to_owned());
        }
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let Some(body) = bytes.get(at + 4..at + 2 + length) else {
            return Err(words::CODE_ENDS.to_owned());
        };
        at += 2 + length;
        match marker {
            0xF7 => {
                let &[bits, h1, h0, w1, w0, n, ref rest @ ..] = body else {
                    return broken();
                };
                let found = [
                    usize::from(u16::from_be_bytes([w1, w0])),
                    usize::from(u16::from_be_bytes([h1, h0])),
                    usize::from(n),
                ];
                if found != size {
                    return Err(words::code_size(found, size));
                }
                if !(2..=16).contains(&bits) || !samples.is_empty() {
                    return broken();
                }
                precision = u32::from(bits);
                ids = rest.chunks_exact(3).map(|c| c[0]).take(count).collect();
                samples = vec![0; width * height * count];
            }
            0xF8 => {
                let numbers = body.get(1..).unwrap_or_default();
                match body.first() {
                    Some(1) if numbers.len() >= 10 => {
                        for (slot, pair) in preset.iter_mut().zip(numbers.chunks_exact(2)) {
                            *slot = i32::from(u16::from_be_bytes([pair[0], pair[1]]));
                        }
                    }
                    Some(1) => return broken(),
                    _ => return Err(words::JPEG_LS_RESTART.to_owned()),
                }
            }
            0xDD if body.iter().any(|b| *b != 0) => return Err(words::JPEG_LS_RESTART.to_owned()),
            0xDA => {
                let head = Head::of(body, &ids)?;
                if samples.is_empty() {
                    return broken();
                }
                let maxval = if preset[0] == 0 {
                    (1 << precision) - 1
                } else {
                    preset[0]
                };
                let [_, t1, t2, t3, reset] = preset;
                let fits = maxval > 0 && maxval < 1 << precision && head.low < precision;
                let Some(p) = Params::new(maxval, head.near, [t1, t2, t3], reset).filter(|_| fits)
                else {
                    return broken();
                };
                let mut scan = Scan::new(p, bytes, at);
                lines_of(&mut scan, &head, size, &mut samples)?;
                done += head.components.len();
                at = scan.bits.at;
                // What is left of the coded bytes up to the next marker.
                while at < bytes.len()
                    && !matches!(bytes.get(at..at + 2), Some([0xFF, code]) if *code >= 0x80)
                {
                    at += 1;
                }
            }
            _ => {}
        }
    }
    Ok((samples, precision))
}

/// The scan's header.
struct Head {
    components: Vec<usize>,
    near: i32,
    interleave: u8,
    /// Point transform.
    low: u32,
}

impl Head {
    fn of(body: &[u8], ids: &[u8]) -> Result<Self> {
        let count = usize::from(body.first().copied().unwrap_or(0));
        let (Some(selectors), Some(&[near, interleave, low])) = (
            body.get(1..1 + 2 * count),
            body.get(1 + 2 * count..4 + 2 * count),
        ) else {
            return broken();
        };
        let mut components = Vec::new();
        for pair in selectors.chunks_exact(2) {
            if pair[1] != 0 {
                return Err(words::JPEG_LS_RESTART.to_owned());
            }
            match ids.iter().position(|id| *id == pair[0]) {
                Some(index) => components.push(index),
                None => return broken(),
            }
        }
        let fits = match interleave {
            0 => count == 1,
            1 | 2 => count >= 1,
            _ => false,
        };
        if !fits {
            return broken();
        }
        Ok(Self {
            components,
            near: i32::from(near),
            interleave,
            low: u32::from(low & 15),
        })
    }
}

fn lines_of(
    scan: &mut Scan<'_>,
    head: &Head,
    [width, height, count]: [usize; 3],
    samples: &mut [u16],
) -> Result<()> {
    let parts = head.components.len();
    let mut above = vec![vec![0_i32; width + 2]; parts];
    let mut lines = above.clone();
    let mut runs = vec![0_usize; parts];
    for (_, row) in (0..height).zip(samples.chunks_exact_mut(width * count)) {
        for (above, line) in above.iter_mut().zip(&mut lines) {
            above[width + 1] = above[width];
            line[0] = above[1];
        }
        let read = if head.interleave == 2 && parts > 1 {
            runs.first_mut()
                .and_then(|run| scan.pixels(&above, &mut lines, run))
        } else {
            above
                .iter()
                .zip(&mut lines)
                .zip(&mut runs)
                .try_for_each(|((above, line), run)| scan.line(above, line, run))
        };
        if scan.bits.overrun() {
            return Err(words::CODE_ENDS.to_owned());
        }
        if read.is_none() {
            return broken();
        }
        for (component, line) in head.components.iter().zip(&lines) {
            let inner = line.get(1..=width).unwrap_or_default();
            for (pixel, v) in row.chunks_exact_mut(count).zip(inner) {
                pixel[*component] = (*v as u16) << head.low;
            }
        }
        std::mem::swap(&mut above, &mut lines);
    }
    Ok(())
}
