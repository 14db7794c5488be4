//! Huffman codes and the bits of coded data (ITU-T T.81, annexes C and F).

/// Longest code that the first table answers.
const FAST: u32 = 10;

/// A Huffman table (T.81, annex C).
#[derive(Clone)]
pub(super) struct Huffman {
    /// Length and symbol of codes up to [`FAST`] bits, by their first bits; length 0 for longer ones.
    fast: Vec<(u8, u8)>,
    /// Largest code of each length, left-aligned in 16 bits, one beyond; and what to add for the symbol's place.
    limit: [u32; 18],
    shift: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut fast = vec![(0, 0); 1 << FAST];
        let mut limit = [0; 18];
        let mut shift = [0; 17];
        let (mut code, mut place) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = usize::from(counts[length as usize - 1]);
            shift[length as usize] = place as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << length {
                    return None;
                }
                if length <= FAST {
                    let from = (code << (FAST - length)) as usize;
                    let symbol = *symbols.get(place)?;
                    for entry in fast.iter_mut().skip(from).take(1 << (FAST - length)) {
                        *entry = (length as u8, symbol);
                    }
                }
                code += 1;
                place += 1;
            }
            limit[length as usize] = code << (16 - length);
            code <<= 1;
        }
        limit[17] = u32::MAX;
        Some(Self {
            fast,
            limit,
            shift,
            symbols: symbols.to_vec(),
        })
    }
}

/// Bits of entropy-coded data, with stuffed zeros taken out.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    buffer: u64,
    count: u32,
    /// Zeros that were handed out beyond a marker or the end.
    beyond: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
            beyond: 0,
        }
    }

    pub(super) fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match self.bytes.get(self.at) {
                Some(0xFF) => match self.bytes.get(self.at + 1) {
                    Some(0) => {
                        self.at += 2;
                        Some(0xFF)
                    }
                    _ => None,
                },
                Some(&byte) => {
                    self.at += 1;
                    Some(byte)
                }
                None => None,
            };
            if byte.is_none() {
                self.beyond = self.beyond.saturating_add(8);
            }
            self.buffer |= u64::from(byte.unwrap_or(0)) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Whether more was read than there is.
    pub(super) fn overrun(&self) -> bool {
        self.beyond > self.count
    }

    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count -= bits;
    }

    /// The next `bits` (0 to 16) as a number. [`Bits::fill`] must have run.
    pub(super) fn take(&mut self, bits: u32) -> u32 {
        if bits == 0 {
            return 0;
        }
        let value = (self.buffer >> (64 - bits)) as u32;
        self.skip(bits);
        value
    }

    pub(super) fn symbol(&mut self, table: &Huffman) -> Option<u8> {
        self.fill();
        let (length, symbol) = table.fast[(self.buffer >> (64 - FAST)) as usize];
        if length > 0 {
            self.skip(u32::from(length));
            return Some(symbol);
        }
        let sixteen = (self.buffer >> 48) as u32;
        let length = (FAST + 1..=16).find(|l| sixteen < table.limit[*l as usize])?;
        let code = (sixteen >> (16 - length)) as i32;
        self.skip(length);
        table
            .symbols
            .get(usize::try_from(code + table.shift[length as usize]).ok()?)
            .copied()
    }

    /// A number of `size` bits with its sign (T.81, F.2.2.1).
    pub(super) fn signed(&mut self, size: u32) -> i32 {
        let value = self.take(size) as i32;
        if size > 0 && value < 1 << (size - 1) {
            value - (1 << size) + 1
        } else {
            value
        }
    }

    /// Goes on behind a restart marker.
    pub(super) fn restart(&mut self) -> bool {
        self.buffer = 0;
        self.count = 0;
        self.beyond = 0;
        // Coded bytes before the marker were padding.
        while let Some(pair) = self.bytes.get(self.at..self.at + 2) {
            if let [0xFF, code @ 1..=254] = pair {
                self.at += 2;
                return (0xD0..=0xD7).contains(code);
            }
            self.at += 1;
        }
        false
    }
}
