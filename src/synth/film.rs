//! The film: where a point of the body falls, scatter, tone, grain, marker and collimation.

use super::plane::{Dice, Noise, Plane, smooth};

/// Where the film stands in the body's frontal plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Left and upper border, in millimetres of the body.
    pub(crate) origin: [f32; 2],
    /// Size of a pixel.
    pub(crate) mm_per_px: f32,
}

impl View {
    /// The body's coordinates of a pixel's centre.
    pub(crate) fn mm_from_px(&self, column: f32, row: f32) -> [f32; 2] {
        [
            self.origin[0] + (column + 0.5) * self.mm_per_px,
            self.origin[1] + (row + 0.5) * self.mm_per_px,
        ]
    }

    /// Pixel coordinates of a place in the body.
    pub(crate) fn px_from_mm(&self, x: f32, y: f32) -> [f32; 2] {
        [
            (x - self.origin[0]) / self.mm_per_px - 0.5,
            (y - self.origin[1]) / self.mm_per_px - 0.5,
        ]
    }

    /// The same field with pixels `n` times as large.
    pub(crate) fn coarser(&self, n: usize) -> Self {
        Self {
            width: self.width.div_ceil(n),
            height: self.height.div_ceil(n),
            origin: self.origin,
            mm_per_px: self.mm_per_px * n as f32,
        }
    }
}

/// How the film was exposed and developed.
#[derive(Clone, Debug)]
pub(crate) struct Film {
    /// Grey of the aerated lung and of the abdomen, 0 to 1.
    pub(crate) tones: [f32; 2],
    /// Share of scattered radiation, as a multiple of the primary behind the mediastinum.
    pub(crate) scatter: f32,
    /// Grain, as a deviation in the logarithm of exposure behind the lung.
    pub(crate) grain: f32,
    /// Blur of focal spot and detector, in pixels.
    pub(crate) blur_px: f32,
    /// Amount of edge enhancement.
    pub(crate) sharpen: f32,
    /// Letter, its centre as shares of width and height, its height as a share, its turn in radians.
    pub(crate) marker: (char, [f32; 2], f32, f32),
    /// Borders that the collimator leaves black: left, top, right, bottom, as shares; and its turn.
    pub(crate) collimation: ([f32; 4], f32),
}

/// Bends the film by a few millimetres, so that no line of the body is a formula's.
pub(crate) fn bend(plane: &Plane, view: &View, seed: u64, amount_mm: f32) -> Plane {
    let n = Noise::new(seed, 21);
    Plane::fill(plane.width, plane.height, |c, r| {
        let [x, y] = view.mm_from_px(c as f32, r as f32);
        let shift = |z| {
            amount_mm / view.mm_per_px
                * (n.at(x / 75.0, y / 75.0, z) + 0.3 * n.at(x / 28.0, y / 28.0, z))
        };
        plane.sample(c as f32 + shift(0.5), r as f32 + shift(7.5))
    })
}

/// Turns attenuation (natural logarithms) into display grey. `reference` is the same chest without
/// disease: scatter and tone are set by it, so that a pair of films differs where the disease is.
pub(crate) fn develop(
    attenuation: &Plane,
    reference: &Plane,
    view: &View,
    film: &Film,
    seed: u64,
) -> Plane {
    let field = open_field(view, film);
    let beam = |c: usize, r: usize| {
        // The anode heel and the distance to the source make the beam fall off a little.
        let (u, v) = (
            c as f32 / view.width as f32 - 0.48,
            r as f32 / view.height as f32 - 0.45,
        );
        1.0 - 0.10 * u - 0.16 * (u * u + v * v)
    };
    let exposure = |plane: &Plane| {
        Plane::fill(view.width, view.height, |c, r| {
            let i = r * view.width + c;
            beam(c, r) * (-plane.values[i]).exp() * field.values[i]
        })
    };
    let still = exposure(reference);
    // What scatters towards a point comes from all around it; a grid holds most of it back.
    let capped = still.clone().map(|t| t.min(0.12));
    let haze = capped.blurred(38.0 / view.mm_per_px);
    let signal = |primary: &Plane| {
        let mut sum = primary.clone();
        sum.add(&haze, film.scatter);
        sum.map(|t| -(t.max(2e-5)).ln())
    };
    let still = signal(&still);
    let mut image = signal(&exposure(attenuation)).blurred(film.blur_px);
    let [lung, belly] = landmarks(&still, view, &field);
    let logit = |g: f32| (g / (1.0 - g)).ln();
    let slope = (logit(film.tones[1]) - logit(film.tones[0])) / (belly - lung).max(0.1);
    let offset = logit(film.tones[0]) - slope * lung;

    // Quanta: fewer behind dense parts, so more grain there; a detector smears them a little.
    let mut dice = Dice::new(seed, 31);
    let mut grain = Plane::zero(view.width, view.height);
    grain.values.iter_mut().for_each(|v| *v = dice.normal());
    let grain = grain.blurred(0.62);
    for ((v, g), s) in image
        .values
        .iter_mut()
        .zip(&grain.values)
        .zip(&still.values)
    {
        *v += film.grain * 2.0 * g * (0.35 * (s - lung)).clamp(-0.6, 0.75).exp();
    }
    // Every digital film is harmonised: broad contrast held down, detail lifted.
    let broad = image.blurred(13.0 / view.mm_per_px);
    let fine = image.blurred(1.3 / view.mm_per_px);
    for ((v, b), f) in image.values.iter_mut().zip(&broad.values).zip(&fine.values) {
        *v += film.sharpen * (1.2 * (*v - b) + 1.0 * (*v - f));
    }
    // Developed film saturates; what no body stands before is black.
    let image = image.map(|g| {
        let v = 1.0 / (1.0 + (-(slope * g + offset)).exp());
        (v - 0.06 * smooth(0.30, 0.0, v)).max(0.0)
    });
    stamp(&image, view, film, &field)
}

/// Tones to anchor the curve: the lungs' middle grey and the abdomen's, read off the film itself.
fn landmarks(signal: &Plane, view: &View, field: &Plane) -> [f32; 2] {
    let mut body: Vec<f32> = Vec::new();
    for r in (view.height / 8..view.height * 15 / 16).step_by(3) {
        for c in (view.width / 6..view.width * 5 / 6).step_by(3) {
            let i = r * view.width + c;
            if field.values[i] > 0.9 && signal.values[i] > 0.7 {
                body.push(signal.values[i]);
            }
        }
    }
    body.sort_by(f32::total_cmp);
    let at = |share: f32| {
        body.get((share * body.len() as f32) as usize)
            .copied()
            .unwrap_or(2.0)
    };
    [at(0.20), at(0.90)]
}

/// 1 where the beam is open, 0 behind the collimator, soft over a penumbra.
fn open_field(view: &View, film: &Film) -> Plane {
    let ([left, top, right, bottom], turn) = film.collimation;
    let (w, h) = (view.width as f32, view.height as f32);
    let (sin, cos) = turn.sin_cos();
    let soft = 1.1 / view.mm_per_px;
    Plane::fill(view.width, view.height, |c, r| {
        let (x, y) = (c as f32 - 0.5 * w, r as f32 - 0.5 * h);
        let (x, y) = (cos * x + sin * y + 0.5 * w, cos * y - sin * x + 0.5 * h);
        let mut open = 1.0;
        // A border of 0 means that the collimator lies outside the film on that side.
        for (share, inside) in [
            (left, x - left * w),
            (top, y - top * h),
            (right, w - right * w - x),
            (bottom, h - bottom * h - y),
        ] {
            if share > 0.0 {
                open *= smooth(-soft, soft, inside);
            }
        }
        open
    })
}

/// Collimated borders are shown black, and the lead letter white.
fn stamp(image: &Plane, view: &View, film: &Film, field: &Plane) -> Plane {
    let (letter, [u, v], size, turn) = film.marker;
    let height = size * view.height as f32;
    let (sin, cos) = turn.sin_cos();
    Plane::fill(view.width, view.height, |c, r| {
        let i = r * view.width + c;
        let (x, y) = (
            c as f32 - u * view.width as f32,
            r as f32 - v * view.height as f32,
        );
        let (x, y) = ((cos * x + sin * y) / height, (cos * y - sin * x) / height);
        let d = strokes(letter)
            .iter()
            .map(|&[ax, ay, bx, by]| {
                let (dx, dy) = (bx - ax, by - ay);
                let t = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
                (x - ax - t * dx).hypot(y - ay - t * dy)
            })
            .fold(f32::INFINITY, f32::min);
        let lead = smooth(1.0, -1.0, (d - 0.085) * height);
        let g = image.values[i] * field.values[i];
        g + (0.97 - g) * lead * 0.96
    })
}

/// Strokes of a letter of height 1, centred.
fn strokes(letter: char) -> &'static [[f32; 4]] {
    match letter {
        'R' => &[
            [-0.26, -0.5, -0.26, 0.5],
            [-0.26, -0.5, 0.1, -0.5],
            [0.1, -0.5, 0.24, -0.4],
            [0.24, -0.4, 0.24, -0.12],
            [0.24, -0.12, 0.1, -0.02],
            [0.1, -0.02, -0.26, -0.02],
            [0.02, -0.02, 0.28, 0.5],
        ],
        _ => &[[-0.24, -0.5, -0.24, 0.5], [-0.24, 0.5, 0.28, 0.5]],
    }
}
