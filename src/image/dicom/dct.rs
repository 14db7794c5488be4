//! The inverse discrete cosine transform of sequential JPEG (ITU-T T.81, annex A).

/// Places of the 64 coefficients in the order in which they are coded.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Bits of the constants of [`odd_and_even`].
const FIXED: u32 = 13;

/// The inverse DCT of Loeffler, Ligtenberg and Moschytz (1989) on eight numbers, unscaled, times `2^13`.
fn odd_and_even(v: [i64; 8]) -> [i64; 8] {
    let z1 = (v[2] + v[6]) * 4_433;
    let (t2, t3) = (z1 - v[6] * 15_137, z1 + v[2] * 6_270);
    let (t0, t1) = ((v[0] + v[4]) << FIXED, (v[0] - v[4]) << FIXED);
    let even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3];

    let (a, b, c, d) = (v[7], v[5], v[3], v[1]);
    let z5 = (a + c + b + d) * 9_633;
    let z1 = -(a + d) * 7_373;
    let z2 = -(b + c) * 20_995;
    let z3 = -(a + c) * 16_069 + z5;
    let z4 = -(b + d) * 3_196 + z5;
    let odd = [
        d * 12_299 + z1 + z4,
        c * 25_172 + z2 + z3,
        b * 16_819 + z2 + z4,
        a * 2_446 + z1 + z3,
    ];
    [
        even[0] + odd[0],
        even[1] + odd[1],
        even[2] + odd[2],
        even[3] + odd[3],
        even[3] - odd[3],
        even[2] - odd[2],
        even[1] - odd[1],
        even[0] - odd[0],
    ]
}

/// Samples of a block, shifted to start at 0 and clamped to `bits`.
pub(super) fn inverse_dct(block: &[i32; 64], bits: u32) -> [u16; 64] {
    // Bits kept between the passes, as the reference decoder keeps them.
    let keep = if bits > 8 { 1 } else { 2 };
    let round = |v: i64, by: u32| (v + (1 << (by - 1))) >> by;
    let mut between = [0_i64; 64];
    for x in 0..8 {
        let column = odd_and_even(std::array::from_fn(|y| i64::from(block[y * 8 + x])));
        for (y, v) in column.into_iter().enumerate() {
            between[y * 8 + x] = round(v, FIXED - keep);
        }
    }
    let (middle, most) = (1_i64 << (bits - 1), (1_i64 << bits) - 1);
    let mut out = [0; 64];
    for y in 0..8 {
        let row = odd_and_even(std::array::from_fn(|x| between[y * 8 + x]));
        for (x, v) in row.into_iter().enumerate() {
            out[y * 8 + x] = (round(v, FIXED + keep + 3) + middle).clamp(0, most) as u16;
        }
    }
    out
}
