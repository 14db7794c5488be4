//! The soft parts of a chest as solids: rib cage, lungs, diaphragm, heart and great vessels, skin.
//!
//! Units are millimetres of an adult; a child is drawn in the same units with other proportions and
//! another scale of the film. `x` grows to the patient's left (the right of a frontal film), `y`
//! downwards from the top of the lungs, `z` forwards from the middle of the chest.

use super::plane::{Noise, smooth};

/// Attenuation of soft tissue at the energies of a chest film, per millimetre.
pub(crate) const SOFT: f32 = 0.0178;
/// Density of aerated lung as a share of soft tissue.
pub(crate) const AERATED: f32 = 0.21;

/// Proportions of one person.
#[derive(Clone, Debug)]
pub(crate) struct Chest {
    /// Everything irregular in this person follows from it.
    pub(crate) seed: u64,
    /// Inner half width of the cage at its widest.
    pub(crate) half_width: f32,
    /// Level at which the cage is widest.
    pub(crate) widest: f32,
    /// Inner half depth of the cage.
    pub(crate) half_depth: f32,
    /// Exponent of the cage's horizontal section: 2 an ellipse, more a box.
    pub(crate) squareness: f32,
    /// Levels of the right and the left dome of the diaphragm.
    pub(crate) domes: [f32; 2],
    /// How far the domes fall towards the wall.
    pub(crate) dome_drop: f32,
    /// Size of the heart (1 fills a little less than half the chest of an adult).
    pub(crate) heart: f32,
    /// How far the heart lies to the left of its usual place.
    pub(crate) heart_shift: f32,
    /// Thickness of the chest wall in front and behind, and at the sides.
    pub(crate) wall: [f32; 2],
    /// Amount of breast tissue, 0 to 1.
    pub(crate) breast: f32,
    /// A young child: thymus, arms up, short neck, head in the field.
    pub(crate) child: bool,
    /// Distance of neighbouring vertebrae at the first and the last thoracic level.
    pub(crate) pitch: [f32; 2],
    /// How far ribs fall from spine to sternum, as a share of an adult's.
    pub(crate) rib_fall: f32,
}

type Point = [f32; 3];

impl Chest {
    /// Inner half width of the rib cage at level `y`; 0 above the apex.
    pub(crate) fn cage_half_width(&self, y: f32) -> f32 {
        let t = (1.0 - y / self.widest).clamp(0.0, 1.0);
        let narrowing = smooth(self.widest + 60.0, self.widest + 260.0, y);
        self.half_width * (1.0 - t.powf(2.6)).max(0.0).powf(0.4545) * (1.0 - 0.08 * narrowing)
    }

    /// Inner half depth of the rib cage at level `y`.
    pub(crate) fn cage_half_depth(&self, y: f32) -> f32 {
        let t = (1.0 - y / (0.8 * self.widest)).clamp(0.0, 1.0);
        self.half_depth * (1.0 - t.powf(2.4)).max(0.0).powf(0.4545)
    }

    /// Middle of the cage, front to back: the apex lies further back than the base.
    pub(crate) fn cage_middle(&self, y: f32) -> f32 {
        -20.0 * (1.0 - y / 150.0).clamp(0.0, 1.0)
    }

    /// Level of the diaphragm under a point of the horizontal plane, above which lung lies, and how
    /// steeply it falls along the beam there.
    pub(crate) fn diaphragm(&self, x: f32, z: f32) -> [f32; 2] {
        let (side, sign) = if x < 0.0 { (0, -1.0) } else { (1, 1.0) };
        let centre = 0.47 * self.half_width;
        let u = x * sign - centre;
        let a = if u > 0.0 {
            self.half_width - centre + 4.0
        } else {
            2.0 * centre
        };
        let v = z - 14.0;
        let b = if v > 0.0 {
            0.92 * self.half_depth
        } else {
            1.22 * self.half_depth
        };
        let q = (u / a).powi(2) + (v / b).powi(2);
        let wave = 2.0 * Noise::new(self.seed, 11).at(x / 46.0, z / 60.0, 0.0);
        let fall = if q < 0.985 {
            1.0 - (1.0 - q).sqrt()
        } else {
            0.8775 + 2.0 * (q - 0.985)
        };
        let slope = self.dome_drop * (v / (b * b)).abs() / (1.0 - q).max(0.02).sqrt();
        [self.domes[side] + self.dome_drop * fall + wave, slope]
    }

    /// Signed distance to the mediastinum, negative inside: spine, heart, great vessels.
    pub(crate) fn mediastinum(&self, p: Point) -> f32 {
        let [x, y, z] = p;
        let h = self.heart;
        let s = self.heart_shift;
        // The strip that holds spine, oesophagus and great vessels; in front the lungs nearly meet.
        let half = 14.0 - 12.0 * smooth(-10.0, 44.0, z) + 6.0 * smooth(80.0, 0.0, y)
            - 5.0 * smooth(-60.0, -30.0, z);
        let edge =
            2.5 * Noise::new(self.seed, 12).at(y / 38.0, if x < 0.0 { 3.0 } else { 9.0 }, z / 50.0);
        let mut d = x.abs() - half - edge;
        let bodies = (x * x + (z + 63.0) * (z + 63.0)).sqrt() - 18.0 - 0.6 * edge;
        d = merge(d, bodies, 6.0);
        let base = self.domes[0] - 212.0;
        let c = [30.0 + s, 177.0 + base, 16.0];
        // Below its middle the heart rests on the diaphragm: no lung gets under it.
        let seat = [x, y.min(c[1] + 32.0), z];
        let ventricle = turned_ellipsoid(seat, c, [68.0 * h, 49.0 * h, 66.0 * h], 0.66);
        let atrium = ellipsoid(
            [x, y.min(196.0 + base), z],
            [-9.0 + 0.5 * s, 168.0 + base, 14.0],
            [33.5 * h, 56.0 * h, 58.0 * h],
        );
        let outflow = capsule(
            p,
            [16.0 + 0.7 * s, 152.0 + base, 22.0],
            [20.0, 98.0 + 0.4 * base, 12.0],
            21.0 * h.min(1.1),
        );
        d = merge(
            d,
            merge(ventricle, merge(atrium, outflow, 14.0), 12.0),
            24.0,
        );
        let knob = if self.child { 0.72 } else { 1.0 };
        let rising = capsule(p, [-6.0, 140.0, 18.0], [-13.0, 78.0, 14.0], 18.0 * knob);
        let arch = capsule(p, [-8.0, 68.0, 14.0], [22.0, 64.0, -36.0], 18.0 * knob);
        let falling = capsule(p, [23.0, 72.0, -40.0], [12.0, 270.0, -46.0], 13.5 * knob);
        let cava = capsule(p, [-21.0, 30.0, 0.0], [-23.0, 132.0, 2.0], 11.0);
        let subclavian = capsule(p, [24.0, 0.0, -12.0], [19.0, 56.0, -16.0], 8.0);
        d = merge(
            d,
            merge(
                merge(rising, arch, 6.0),
                merge(falling, merge(cava, subclavian, 4.0), 4.0),
                4.0,
            ),
            4.0,
        );
        if self.child {
            let thymus = ellipsoid(p, [3.0, 84.0, 36.0], [40.0, 44.0, 26.0]);
            d = merge(d, thymus, 10.0);
        }
        d
    }

    /// Distance into the cage from its wall, positive inside (an estimate that is good near the wall).
    pub(crate) fn cage(&self, p: Point) -> f32 {
        let w = self.cage_half_width(p[1]);
        let depth = self.cage_half_depth(p[1]);
        if w < 1.0 || depth < 1.0 {
            return -10.0;
        }
        let u = (p[0].abs() / w).powf(self.squareness);
        let v = ((p[2] - self.cage_middle(p[1])).abs() / depth).powf(self.squareness);
        (1.0 - u - v) / self.squareness * w.min(depth)
    }

    /// Share of lung at a point, 0 to 1, soft over `edge` millimetres.
    pub(crate) fn lung(&self, p: Point, edge: f32) -> f32 {
        let cage = smooth(-edge, edge, self.cage(p));
        if cage <= 0.0 {
            return 0.0;
        }
        let [level, slope] = self.diaphragm(p[0], p[2]);
        // The dome's crest is a sharp line on a film; its flanks are cut by the steps along the beam.
        let rim = edge * (0.3 + slope.min(1.5));
        let floor = smooth(-rim, rim, level - p[1]);
        if floor <= 0.0 {
            return 0.0;
        }
        cage * floor * smooth(-edge, edge, self.mediastinum(p))
    }

    /// Length of the ray through the body, skin to skin, at a place on the film.
    pub(crate) fn body(&self, x: f32, y: f32) -> f32 {
        let [wall, side] = self.wall;
        // The trunk round the cage.
        let lower = y.max(96.0);
        let w = self.cage_half_width(lower) + side;
        let d = self.cage_half_depth(y.max(26.0)) + wall;
        let u = (x.abs() / w).powf(self.squareness + 0.1);
        let mut trunk = if u < 1.0 {
            2.0 * d * (1.0 - u).powf(0.5)
        } else {
            0.0
        };

        // Neck, shoulders and arms from their outlines: thickness rises like a round edge.
        let p = [x.abs(), y, 0.0];
        let neck_at = |y: f32| {
            let r = if self.child { 66.0 } else { 56.0 };
            capsule([x.abs(), y, 0.0], [0.0, -160.0, 0.0], [0.0, 10.0, 0.0], r)
        };
        let shoulder_at = |y: f32| {
            let (a, b, r) = if self.child {
                (40.0, 128.0, 42.0)
            } else {
                (50.0, 156.0, 54.0)
            };
            capsule([x.abs(), y, 0.0], [a, 0.5 * a, 0.0], [b, 30.0, 0.0], r)
        };
        let (neck, shoulder) = (neck_at(y), shoulder_at(y));
        let arm = if self.child {
            capsule(p, [136.0, 34.0, 0.0], [205.0, -120.0, 0.0], 46.0)
        } else {
            capsule(p, [176.0, 34.0, 0.0], [236.0, 190.0, 0.0], 45.0)
        };
        let trapezius = merge(neck, shoulder, 46.0);
        // Above the arm pits the trunk ends where the shoulders' outline ends.
        trunk *= smooth(
            0.0,
            44.0,
            -merge(neck_at(y.min(22.0)), shoulder_at(y.min(22.0)), 46.0),
        );
        let flank = (x.abs() - w).max(60.0 - y);
        let fold = merge(arm, flank, 24.0).max(arm.min(flank) - 30.0);
        let top = round_edge(-trapezius, 78.0);
        let arms = round_edge(-fold.max(-18.0 + arm.min(0.0)), 46.0);
        let limb = round_edge(-arm, 44.0);
        let mut length = soft_max(trunk, soft_max(top, limb.max(0.55 * arms), 14.0), 14.0);
        if self.child {
            let head = ellipsoid(p, [0.0, -128.0, 0.0], [98.0, 92.0, 90.0]);
            length = soft_max(length, round_edge(-head, 90.0) * 1.25, 10.0);
        }
        // The furrow of the back and the hollow before the breastbone thin the midline.
        let furrow = if self.child { 26.0 } else { 36.0 } * (-(x / 27.0).powi(2)).exp();
        (length - furrow.min(0.3 * length)) + self.breast_tissue(x, y)
    }

    fn breast_tissue(&self, x: f32, y: f32) -> f32 {
        if self.breast <= 0.0 {
            return 0.0;
        }
        let u = (x.abs() - 0.56 * self.half_width) / (0.50 * self.half_width);
        let v = (y - 170.0) / 52.0;
        // Flat above, hanging below: the lower margin is the one that is seen.
        let v = if v < 0.0 { 0.62 * v } else { v };
        let q = u * u + v * v;
        if q < 1.0 {
            55.0 * self.breast * (1.0 - q).powf(0.62)
        } else {
            0.0
        }
    }

    /// Length of gas along the ray: the air bubble of the stomach over its fluid.
    pub(crate) fn gas(&self, x: f32, y: f32) -> f32 {
        let n = Noise::new(self.seed, 13);
        let top = self.domes[1] + 13.0;
        let (u, v) = ((x - 0.46 * self.half_width) / 33.0, (y - top - 12.0) / 15.0);
        let q = (u * u + v * v).sqrt() + 0.34 * n.fractal(x / 22.0, y / 18.0, 1.0, 2);
        let level = smooth(2.5, -2.5, y - top - 15.0 - 2.5 * n.at(x / 17.0, 6.0, 2.0));
        let stomach = 34.0 * (1.0 - q * q).max(0.0).sqrt() * (0.45 + 0.55 * level);
        // Loops of bowel below, patchy.
        let loops = smooth(0.25, 0.9, n.fractal(x / 26.0, y / 20.0, 4.0, 2))
            * smooth(top + 25.0, top + 60.0, y);
        stomach * smooth(-0.5, 0.3, 1.0 - q) + 11.0 * loops * smooth(10.0, 50.0, x)
    }
}

/// Thickness of a body whose outline is a round edge of radius `r`, `d` inside the outline.
fn round_edge(d: f32, r: f32) -> f32 {
    let inside = d.clamp(0.0, r);
    2.0 * (r * r - (r - inside) * (r - inside)).max(0.0).sqrt()
}

/// The larger of two lengths, without a crease.
fn soft_max(a: f32, b: f32, k: f32) -> f32 {
    -merge(-a, -b, k.min(0.5 * a.min(b).max(0.0) + 0.01))
}

/// Union of two solids with a fillet of size `k` (polynomial smooth minimum).
pub(crate) fn merge(a: f32, b: f32, k: f32) -> f32 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.min(b) - 0.25 * h * h * k
}

fn ellipsoid(p: Point, c: Point, r: Point) -> f32 {
    let q: Point = [0, 1, 2].map(|i| (p[i] - c[i]) / r[i]);
    let g: Point = [0, 1, 2].map(|i| q[i] / r[i]);
    let (k0, k1) = (length(q), length(g));
    if k1 < 1e-6 {
        -r[0].min(r[1]).min(r[2])
    } else {
        k0 * (k0 - 1.0) / k1
    }
}

/// An ellipsoid turned by `angle` in the frontal plane, long axis downwards to the left.
fn turned_ellipsoid(p: Point, c: Point, r: Point, angle: f32) -> f32 {
    let (sin, cos) = angle.sin_cos();
    let (x, y) = (p[0] - c[0], p[1] - c[1]);
    ellipsoid(
        [cos * x + sin * y, cos * y - sin * x, p[2] - c[2]],
        [0.0; 3],
        r,
    )
}

pub(crate) fn capsule(p: Point, a: Point, b: Point, r: f32) -> f32 {
    let ab: Point = [0, 1, 2].map(|i| b[i] - a[i]);
    let ap: Point = [0, 1, 2].map(|i| p[i] - a[i]);
    let dot: f32 = (0..3).map(|i| ab[i] * ap[i]).sum();
    let square: f32 = ab.iter().map(|v| v * v).sum();
    let t = (dot / square.max(1e-6)).clamp(0.0, 1.0);
    length([0, 1, 2].map(|i| ap[i] - t * ab[i])) - r
}

pub(crate) fn length(v: Point) -> f32 {
    (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]).sqrt()
}
