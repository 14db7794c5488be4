//! The skeleton, as tubes and plates whose cortex is denser than their core.
//!
//! A tube is drawn by laying many ellipses along its axis in space, each worth the length of axis it
//! stands for; where the axis turns along the beam they pile up, as the real ray's path does.

use super::anatomy::{Chest, length};
use super::film::View;
use super::plane::{Dice, Noise, Plane, smooth};
use super::spine::{spine, vertebra_level};

/// Attenuation of compact and of spongy bone above that of soft tissue, per millimetre.
const CORTEX: f32 = 0.046;
const CORE: f32 = 0.0062;

/// A plane that is drawn on in millimetres of the body.
pub(crate) struct Ink<'a> {
    pub(crate) plane: &'a mut Plane,
    pub(crate) view: &'a View,
}

impl Ink<'_> {
    /// Adds `value` inside an ellipse with half axes `axis` (a vector) and `minor`.
    pub(crate) fn ellipse(&mut self, centre: [f32; 2], axis: [f32; 2], minor: f32, value: f32) {
        let scale = 1.0 / self.view.mm_per_px;
        let [cx, cy] = self.view.px_from_mm(centre[0], centre[1]);
        let major = axis[0].hypot(axis[1]).max(1e-4);
        let (ex, ey) = (axis[0] / major, axis[1] / major);
        // Thinner than a pixel: drawn a pixel wide and fainter.
        let (a, b) = ((major * scale).max(0.7), (minor * scale).max(0.7));
        let value = value * (major * scale / a) * (minor * scale / b);
        let reach = a.max(b) + 1.0;
        let rows =
            (cy - reach).floor().max(0.0) as usize..((cy + reach).ceil().max(-1.0) + 1.0) as usize;
        let columns =
            (cx - reach).floor().max(0.0) as usize..((cx + reach).ceil().max(-1.0) + 1.0) as usize;
        let small = a.min(b);
        for r in rows.start..rows.end.min(self.plane.height) {
            for c in columns.start..columns.end.min(self.plane.width) {
                let (dx, dy) = (c as f32 - cx, r as f32 - cy);
                let (u, v) = ((dx * ex + dy * ey) / a, (dy * ex - dx * ey) / b);
                let cover = ((1.0 - (u * u + v * v).sqrt()) * small + 0.5).clamp(0.0, 1.0);
                self.plane.values[r * self.plane.width + c] += value * cover;
            }
        }
    }

    /// A round tube along a polyline of (point, radius); `value(point)` per millimetre of path.
    pub(crate) fn tube(&mut self, line: &[([f32; 3], f32)], value: impl Fn([f32; 3]) -> f32) {
        for pair in line.windows(2) {
            let &[(p, rp), (q, rq)] = pair else { continue };
            let span = length([q[0] - p[0], q[1] - p[1], q[2] - p[2]]);
            let step = (0.14 * rp.min(rq)).max(0.45 * self.view.mm_per_px);
            let count = (span / step).ceil().max(1.0);
            for i in 0..count as usize {
                let t = (i as f32 + 0.5) / count;
                let at = [0, 1, 2].map(|k| p[k] + (q[k] - p[k]) * t);
                let radius = rp + (rq - rp) * t;
                self.ellipse(
                    [at[0], at[1]],
                    [radius, 0.0],
                    radius,
                    value(at) * span / count,
                );
            }
        }
    }

    /// A hollow bone along a smooth curve through `line`.
    fn long_bone(&mut self, line: &[([f32; 3], f32)], cortex: f32, amount: f32) {
        let fine = curve(line);
        self.tube(&fine, |_| amount * CORTEX);
        let inner: Vec<_> = fine
            .iter()
            .map(|&(p, r)| (p, (r - cortex).max(0.3)))
            .collect();
        self.tube(&inner, |_| amount * (CORE - CORTEX));
    }

    /// A ball with a thin cortex.
    fn ball(&mut self, centre: [f32; 2], r: f32, cortex: f32, amount: f32) {
        for (radius, mu) in [(r, CORTEX), (r - cortex, CORE - CORTEX)] {
            // Discs of growing size add up to the chord of a sphere.
            let n = 24;
            for i in 1..=n {
                let t = i as f32 / n as f32;
                let ring = radius * t;
                let chord = |x: f32| 2.0 * (radius * radius - x * x).max(0.0).sqrt();
                let step = chord(radius * (t - 1.0 / n as f32)) - chord(ring);
                self.ellipse(centre, [ring, 0.0], ring, amount * mu * step);
            }
        }
    }
}

/// Catmull-Rom curve through points, eight pieces each.
pub(crate) fn curve(line: &[([f32; 3], f32)]) -> Vec<([f32; 3], f32)> {
    let n = line.len();
    let mut out = Vec::with_capacity(8 * n);
    for i in 0..n.saturating_sub(1) {
        let at = |k: usize| line[k.min(n - 1)];
        let (a, b, c, d) = (at(i.saturating_sub(1)), at(i), at(i + 1), at(i + 2));
        for j in 0..8 {
            let t = j as f32 / 8.0;
            let mix = |p: f32, q: f32, r: f32, s: f32| {
                0.5 * (2.0 * q
                    + (r - p) * t
                    + (2.0 * p - 5.0 * q + 4.0 * r - s) * t * t
                    + (3.0 * q - p - 3.0 * r + s) * t * t * t)
            };
            out.push((
                [0, 1, 2].map(|k| mix(a.0[k], b.0[k], c.0[k], d.0[k])),
                mix(a.1, b.1, c.1, d.1),
            ));
        }
    }
    out.extend(line.last());
    out
}

/// Draws all bones; `amount` scales their attenuation.
pub(crate) fn skeleton(chest: &Chest, view: &View, amount: f32) -> Plane {
    let mut plane = Plane::zero(view.width, view.height);
    let mut ink = Ink {
        plane: &mut plane,
        view,
    };
    for side in [-1.0, 1.0] {
        for i in 0..12 {
            rib(chest, &mut ink, i, side, amount);
        }
        girdle(chest, &mut ink, side, amount);
    }
    // Spongy bone is a mesh: nothing in a skeleton is smooth.
    let mesh = Noise::new(chest.seed, 51);
    let mut plane = Plane::fill(view.width, view.height, |c, r| {
        let v = plane.values[r * view.width + c];
        if v == 0.0 {
            return v;
        }
        let [x, y] = view.mm_from_px(c as f32, r as f32);
        v * (1.0
            + 0.22 * mesh.fractal(x / 2.4, y / 2.4, 0.0, 2)
            + 0.16 * mesh.at(x / 19.0, y / 19.0, 3.0))
    });
    plane.add(
        &spine(chest, view),
        if chest.child { 0.62 * amount } else { amount },
    );
    plane
}

fn rib(chest: &Chest, ink: &mut Ink<'_>, i: usize, side: f32, amount: f32) {
    const FALL: [f32; 12] = [
        57., 86., 103., 116., 126., 132., 134., 130., 122., 108., 86., 62.,
    ];
    const END: [f32; 12] = [
        0.81, 0.80, 0.785, 0.775, 0.765, 0.755, 0.74, 0.70, 0.65, 0.58, 0.43, 0.29,
    ];
    let mut dice = Dice::new(chest.seed, 100 + i as u64 * 2 + u64::from(side > 0.0));
    let fall = FALL[i] * chest.rib_fall + 2.5 * dice.normal();
    let level = vertebra_level(chest, i as f32) - 3.0;
    let end = std::f32::consts::PI * (END[i] + 0.012 * dice.normal());
    let middle = level + 0.45 * fall;
    let width = chest.cage_half_width(middle) + 3.2;
    let depth = chest.cage_half_depth(middle) + 3.2;
    let centre = chest.cage_middle(middle);
    let power = 2.0 / chest.squareness;
    let tall = if chest.child { 5.4 } else { 5.6 } * if i == 0 || i > 9 { 0.85 } else { 1.0 };
    let thick = 3.4;
    let wobble = Noise::new(chest.seed, 140 + i as u64);
    let at = |a: f32| {
        let (sin, cos) = a.sin_cos();
        let drop = (0.5 - 0.5 * cos).powf(1.14) * fall;
        // Near the spine the neck of the rib climbs a little before it falls.
        let neck = -3.5 * (-((a - 0.42) / 0.30).powi(2)).exp();
        let wave = 1.2 * wobble.at(a * 2.2, side * 3.0, 0.0);
        [
            side * width * sin.max(0.0).powf(power),
            level + drop + neck + wave,
            centre - depth * cos.signum() * cos.abs().powf(power),
        ]
    };
    let start = 0.13;
    let steps = 150;
    let mut previous = at(start);
    for k in 1..=steps {
        let a = start + (end - start) * k as f32 / steps as f32;
        let p = at(a);
        let t: [f32; 3] = [0, 1, 2].map(|j| p[j] - previous[j]);
        let span = length(t);
        let n = [
            p[0] / (width * width),
            0.0,
            (p[2] - centre) / (depth * depth),
        ];
        let h = [
            t[1] * n[2] - t[2] * n[1],
            t[2] * n[0] - t[0] * n[2],
            t[0] * n[1] - t[1] * n[0],
        ];
        let size = length(h).max(1e-6);
        // The bone fades into cartilage at its flared front end, and is slimmer at its neck.
        let fade = smooth(1.0, 0.955, (a - start) / (end - start))
            * smooth(0.0, 0.04, (a - start) / (end - start));
        let fade = fade * (1.0 - 0.38 * smooth(1.5, 2.1, a));
        let shape = 0.80 + 0.20 * smooth(start, 0.6, a) + 0.10 * smooth(end - 0.25, end, a);
        let pieces = (span / (0.18 * thick)).ceil().max(1.0) as usize;
        for piece in 0..pieces {
            let w = (piece as f32 + 0.5) / pieces as f32;
            let c = [previous[0] + t[0] * w, previous[1] + t[1] * w];
            let share = amount * fade * span / pieces as f32;
            for (shrink, mu) in [(0.0, CORTEX), (0.75, CORE - CORTEX)] {
                let high = tall * shape - shrink;
                let flat = thick - shrink;
                let v = [h[0] / size * high, h[1] / size * high];
                let long = v[0].hypot(v[1]);
                let v = if long < flat { [0.0, flat] } else { v };
                ink.ellipse(c, v, flat, share * mu);
            }
        }
        previous = p;
    }
}

/// The thin plate of a shoulder blade, between its upper border and its lower tip.
fn blade(ink: &mut Ink<'_>, side: f32, [a, b]: [[f32; 2]; 2], tip: [f32; 2], amount: f32) {
    let lines = 70;
    for i in 0..lines {
        let t = i as f32 / lines as f32;
        let towards = |from: [f32; 2]| {
            let at = [0, 1].map(|k| from[k] + t * (tip[k] - from[k]));
            ([side * at[0], at[1], -60.0], 1.9)
        };
        ink.tube(&[towards(a), towards(b)], |_| amount * 0.0055);
    }
}

fn girdle(chest: &Chest, ink: &mut Ink<'_>, side: f32, amount: f32) {
    let mut dice = Dice::new(chest.seed, 60 + u64::from(side > 0.0));
    let mut p =
        |x: f32, y: f32, z: f32| [side * x + 1.5 * dice.normal(), y + 1.5 * dice.normal(), z];
    if chest.child {
        let clavicle = [
            (p(13., 22., 50.), 6.2),
            (p(44., 8., 50.), 4.6),
            (p(80., -8., 38.), 4.2),
            (p(116., -22., 20.), 5.0),
        ];
        ink.long_bone(&clavicle, 1.3, 1.1 * amount);
        // Arms are up; the head of the humerus is a separate centre of growth over its shaft's end.
        ink.long_bone(
            &[
                (p(144., -3., 0.), 10.0),
                (p(154., -30., 0.), 7.2),
                (p(196., -120., 0.), 7.0),
            ],
            2.0,
            0.9 * amount,
        );
        ink.ball([side * 139.5, 8.0], 8.5, 0.6, 0.42 * amount);
        blade(ink, side, [[106., 8.], [130., 14.]], [126., 106.], amount);
        let medial = [
            (p(104., 6., -50.), 1.1),
            (p(116., 60., -62.), 1.1),
            (p(125., 105., -60.), 1.6),
        ];
        ink.long_bone(&medial, 0.5, 0.7 * amount);
        let lateral = [
            (p(129., 14., -30.), 3.0),
            (p(133., 60., -50.), 1.9),
            (p(126., 106., -60.), 1.6),
        ];
        ink.long_bone(&lateral, 0.7, 0.7 * amount);
        let ridge = [
            (p(104., 16., -50.), 1.4),
            (p(121., -4., -30.), 2.6),
            (p(137., -12., 0.), 4.2),
        ];
        ink.long_bone(&ridge, 0.6, 0.5 * amount);
        let hook = [(p(127., 8., 0.), 3.6), (p(114., 0., 20.), 3.0)];
        ink.long_bone(&hook, 0.7, 0.5 * amount);
        return;
    }
    let clavicle = [
        (p(15., 30., 60.), 7.6),
        (p(42., 19., 64.), 5.9),
        (p(84., 7., 48.), 5.2),
        (p(122., -4., 22.), 5.8),
        (p(153., -2., 6.), 6.2),
    ];
    ink.long_bone(&clavicle, 1.5, amount);
    // Arm: head and shaft of the humerus.
    ink.ball([side * 177.0, 41.0], 22.0, 0.8, 0.36 * amount);
    ink.ball([side * 188.0, 47.0], 17.0, 0.8, 0.30 * amount);
    ink.long_bone(
        &[
            (p(180., 46., 0.), 17.0),
            (p(190., 76., 0.), 12.0),
            (p(232., 190., 0.), 11.0),
        ],
        3.2,
        0.8 * amount,
    );
    // Shoulder blade, turned off the lungs: a thin plate first.
    blade(ink, side, [[118., 36.], [152., 52.]], [136., 147.], amount);
    // Then its borders, spine with acromion, coracoid, socket.
    ink.long_bone(
        &[
            (p(154., 56., -40.), 4.6),
            (p(146., 96., -60.), 3.0),
            (p(136., 146., -70.), 2.6),
        ],
        1.0,
        0.9 * amount,
    );
    ink.long_bone(
        &[
            (p(116., 34., -60.), 1.5),
            (p(124., 92., -72.), 1.5),
            (p(136., 148., -70.), 2.3),
        ],
        0.5,
        0.9 * amount,
    );
    ink.long_bone(
        &[
            (p(116., 34., -60.), 1.3),
            (p(134., 26., -45.), 1.6),
            (p(150., 34., -30.), 2.2),
        ],
        0.5,
        amount,
    );
    ink.long_bone(
        &[
            (p(120., 50., -66.), 2.4),
            (p(146., 27., -50.), 3.6),
            (p(166., 8., -10.), 6.0),
            (p(176., 12., 4.), 7.0),
        ],
        0.9,
        0.38 * amount,
    );
    ink.long_bone(
        &[
            (p(150., 34., 0.), 6.4),
            (p(136., 24., 22.), 5.2),
            (p(128., 29., 30.), 4.2),
        ],
        0.8,
        0.45 * amount,
    );
    for (dx, r) in [(0.0, 1.4), (5.0, 1.0)] {
        ink.long_bone(
            &[
                (p(155. + dx, 30., -20.), r),
                (p(152. + dx, 47., -22.), r),
                (p(157. + dx, 63., -20.), r),
            ],
            0.6,
            amount,
        );
    }
}
