//! Bits, limits and thresholds of JPEG-LS (ITU-T T.87, annexes A and C).

/// Bits of coded data; after a byte 0xFF one zero bit is stuffed.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    buffer: u64,
    count: u32,
    after_ff: bool,
    beyond: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
            after_ff: false,
            beyond: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 48 {
            let (value, size) = match self.bytes.get(self.at) {
                // A marker ends the data.
                Some(&byte) if !(self.at_marker() || self.after_ff && byte >= 0x80) => {
                    self.at += 1;
                    let size = if self.after_ff { 7 } else { 8 };
                    self.after_ff = byte == 0xFF;
                    (u64::from(byte), size)
                }
                _ => {
                    self.beyond = self.beyond.saturating_add(8);
                    (0, 8)
                }
            };
            self.buffer |= value << (64 - size - self.count);
            self.count += size;
        }
    }

    fn at_marker(&self) -> bool {
        matches!(self.bytes.get(self.at..self.at + 2), Some([0xFF, code]) if *code >= 0x80)
    }

    pub(super) fn overrun(&self) -> bool {
        self.beyond > self.count
    }

    /// The next 0 to 24 bits.
    pub(super) fn take(&mut self, bits: u32) -> i32 {
        if bits == 0 {
            return 0;
        }
        if self.count < bits {
            self.fill();
        }
        let value = (self.buffer >> (64 - bits)) as i32;
        self.buffer <<= bits;
        self.count -= bits;
        value
    }

    /// Zeros before the next one, which is taken too; at most `most`, after which nothing is taken.
    pub(super) fn zeros(&mut self, most: u32) -> u32 {
        let mut zeros = 0;
        loop {
            self.fill();
            let run = self.buffer.leading_zeros().min(self.count);
            if run < self.count && zeros + run <= most {
                self.buffer <<= run + 1;
                self.count -= run + 1;
                return zeros + run;
            }
            zeros += run;
            if zeros > most || self.overrun() {
                return most + 1;
            }
            self.buffer = 0;
            self.count -= run;
        }
    }
}

/// What the frame and the scan say.
#[derive(Clone, Copy)]
pub(super) struct Params {
    pub(super) maxval: i32,
    pub(super) near: i32,
    t: [i32; 3],
    pub(super) reset: i32,
    pub(super) range: i32,
    pub(super) qbpp: u32,
    pub(super) limit: u32,
}

fn bits_for(values: i32) -> u32 {
    // ceil(log2(values))
    32 - (values - 1).max(0).leading_zeros()
}

impl Params {
    /// Thresholds as in C.2.4.1.1 where `given` are 0.
    pub(super) fn new(maxval: i32, near: i32, given: [i32; 3], reset: i32) -> Option<Self> {
        let within = |v: i32, least: i32| if v > maxval || v < least { least } else { v };
        let (mut t1, mut t2, mut t3);
        if maxval >= 128 {
            let factor = (maxval.min(4095) + 128) >> 8;
            t1 = within(factor + 2 + 3 * near, near + 1);
            t2 = within(factor * 4 + 3 + 5 * near, t1);
            t3 = within(factor * 17 + 4 + 7 * near, t2);
        } else {
            let factor = 256 / (maxval + 1);
            t1 = within((3 / factor + 3 * near).max(2), near + 1);
            t2 = within((7 / factor + 5 * near).max(3), t1);
            t3 = within((21 / factor + 7 * near).max(4), t2);
        }
        for (mine, given) in [&mut t1, &mut t2, &mut t3].into_iter().zip(given) {
            if given != 0 {
                *mine = given;
            }
        }
        let reset = if reset == 0 { 64 } else { reset };
        let sound = near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maxval.max(t2) && reset >= 3;
        if !sound || near > 255.min(maxval / 2) {
            return None;
        }
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bpp = bits_for(maxval + 1).max(2);
        Some(Self {
            maxval,
            near,
            t: [t1, t2, t3],
            reset,
            range,
            qbpp: bits_for(range),
            limit: 2 * (bpp + bpp.max(8)),
        })
    }

    pub(super) fn quantise(&self, d: i32) -> i32 {
        let [t1, t2, t3] = self.t;
        let size = d.abs();
        let level = if size <= self.near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        level * d.signum()
    }

    /// A sample from its prediction and its error (A.4.5, A.5.3).
    pub(super) fn reconstruct(&self, px: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut rx = px + error * step;
        if rx < -self.near {
            rx += self.range * step;
        } else if rx > self.maxval + self.near {
            rx -= self.range * step;
        }
        rx.clamp(0, self.maxval)
    }
}
