//! Which part of the X-ray is seen and how it is turned: one for all panels, so that they move together, or one for each.
//!
//! Everything on a panel goes through one [`Placed`]: the X-ray, heat, frames, cells, regions and read-outs. Source
//! coordinates never change; what is written to files keeps the orientation of the source.

use egui::{Color32, Mesh, Pos2, Rect, TextureId, Vec2, epaint::Vertex, pos2, vec2};
use serde::{Deserialize, Serialize};

/// Closest zoom, in screen widths of the fitted picture.
const MAX_ZOOM: f32 = 40.0;
/// Closest zoom of large pictures, in points of the screen for a source pixel.
const MAX_SCALE: f32 = 16.0;

/// How the picture is turned on the screen, one of eight: first mirrored, then turned clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Turn {
    /// Left and right of the source are exchanged.
    pub mirrored: bool,
    /// Quarter turns clockwise that follow, 0 to 3.
    pub quarters: u8,
}

impl Turn {
    /// Exchanges left and right of what is seen.
    pub fn flip_across(&mut self) {
        self.mirrored = !self.mirrored;
        self.quarters = (4 - self.quarters % 4) % 4;
    }

    /// Exchanges top and bottom of what is seen.
    pub fn flip_down(&mut self) {
        self.flip_across();
        self.rotate(2);
    }

    /// Turns what is seen by quarters, clockwise.
    pub fn rotate(&mut self, quarters: u8) {
        self.quarters = (self.quarters + quarters) % 4;
    }

    /// Whether columns of the source run across the screen.
    fn keeps_axes(self) -> bool {
        self.quarters.is_multiple_of(2)
    }

    /// A vector as stored, turned.
    fn apply(self, [x, y]: [f64; 2]) -> [f64; 2] {
        let x = if self.mirrored { -x } else { x };
        match self.quarters % 4 {
            0 => [x, y],
            1 => [-y, x],
            2 => [-x, -y],
            _ => [y, -x],
        }
    }

    /// A turned vector, as stored.
    fn undo(self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [x, y] = match self.quarters % 4 {
            0 => [x, y],
            1 => [y, -x],
            2 => [-x, -y],
            _ => [-y, x],
        };
        [if self.mirrored { -x } else { x }, y]
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Width and height of a pixel; the shorter side is 1.
    pub pixel: [f64; 2],
}

impl From<[usize; 2]> for Source {
    /// A picture with square pixels.
    fn from(size: [usize; 2]) -> Self {
        Self::new(size, 1.0)
    }
}

impl Source {
    /// A picture of `size` (columns, rows) whose pixels are `aspect` times as wide as high.
    pub fn new(size: [usize; 2], aspect: f64) -> Self {
        let aspect = if aspect.is_finite() && aspect > 0.0 {
            aspect.clamp(0.01, 100.0)
        } else {
            1.0
        };
        Self {
            size: size.map(|side| side.max(1)),
            pixel: [aspect.max(1.0), (1.0 / aspect).max(1.0)],
        }
    }

    /// Width and height in true proportion, in shorter sides of a pixel, as it is seen under `turn`.
    pub fn shown(&self, turn: Turn) -> Vec2 {
        let [w, h] = [0, 1].map(|i| self.size[i] as f32 * self.pixel[i] as f32);
        if turn.keeps_axes() {
            vec2(w, h)
        } else {
            vec2(h, w)
        }
    }
}

/// Zoom, centre and turn, independent of any panel's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Viewport {
    /// 1 fits the picture into its panel.
    pub zoom: f32,
    /// Point of the source image in the middle of the panel, as a share of its size.
    pub centre: [f32; 2],
    /// How the picture is turned.
    pub turn: Turn,
    /// Points of the screen for a source pixel, whatever the panel's size: in place of `zoom` while one source pixel is
    /// one pixel of the screen.
    pub exact: Option<f32>,
    /// Single pixels of the source are squares, not smoothed.
    pub native: bool,
}

impl Default for Viewport {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            centre: [0.5, 0.5],
            turn: Turn::default(),
            exact: None,
            native: false,
        }
    }
}

/// A viewport in a panel: how points of the source image and of the screen relate. An affine map whose linear part
/// exchanges and mirrors axes and scales each; so its inverse is exact.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Screen points per shorter side of a source pixel.
    pub scale: f32,
    /// Where the source's first corner lies, the upper left one while nothing is turned.
    pub origin: Pos2,
    /// Size of the source image in pixels.
    pub source: Vec2,
    /// Screen points of a source pixel, along its rows and its columns.
    side: [f64; 2],
    turn: Turn,
}

impl Placed {
    /// Point of the screen for a point of the source.
    pub fn screen_from_source(&self, [x, y]: [f64; 2]) -> Pos2 {
        let [dx, dy] = self.turn.apply([x * self.side[0], y * self.side[1]]);
        pos2(
            (f64::from(self.origin.x) + dx) as f32,
            (f64::from(self.origin.y) + dy) as f32,
        )
    }

    /// Point of the source for a point of the screen.
    pub fn source_from_screen(&self, at: Pos2) -> [f64; 2] {
        self.source_from_vector(at - self.origin)
    }

    /// Way in the source for a way on the screen.
    pub fn source_from_vector(&self, way: Vec2) -> [f64; 2] {
        let [x, y] = self.turn.undo([f64::from(way.x), f64::from(way.y)]);
        [x / self.side[0], y / self.side[1]]
    }

    /// Screen points that a length along the source's rows and one along its columns take.
    pub fn lengths(&self, source: [f64; 2]) -> [f32; 2] {
        [0, 1].map(|i| (source[i] * self.side[i]) as f32)
    }

    /// The rectangle on the screen of one in the source, left, top, right, bottom.
    pub fn rect(&self, [left, top, right, bottom]: [f64; 4]) -> Rect {
        Rect::from_two_pos(
            self.screen_from_source([left, top]),
            self.screen_from_source([right, bottom]),
        )
    }

    /// The picture's rectangle on the screen.
    pub fn picture(&self) -> Rect {
        let [w, h] = [self.source.x, self.source.y].map(f64::from);
        self.rect([0.0, 0.0, w, h])
    }

    /// A texture over a rectangle of the source, left, top, right, bottom, turned as the picture is.
    pub fn mesh(&self, texture: TextureId, rect: [f64; 4], tint: Color32) -> Mesh {
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        self.mesh_of_part(texture, rect, whole, tint)
    }

    /// The same of a `part` of the texture, in shares of its sides; the rest of `rect` stays as it is.
    pub fn mesh_of_part(
        &self,
        texture: TextureId,
        [left, top, right, bottom]: [f64; 4],
        part: Rect,
        tint: Color32,
    ) -> Mesh {
        let mut mesh = Mesh::with_texture(texture);
        let size = [right - left, bottom - top];
        for uv in [
            part.left_top(),
            part.right_top(),
            part.right_bottom(),
            part.left_bottom(),
        ] {
            let at = [
                left + size[0] * f64::from(uv.x),
                top + size[1] * f64::from(uv.y),
            ];
            mesh.vertices.push(Vertex {
                pos: self.screen_from_source(at),
                uv,
                color: tint,
            });
        }
        mesh.add_triangle(0, 1, 2);
        mesh.add_triangle(0, 2, 3);
        mesh
    }
}

impl Viewport {
    /// Places the source image into `area`.
    pub fn place(&self, area: Rect, source: impl Into<Source>) -> Placed {
        let source = source.into();
        let scale = self
            .exact
            .unwrap_or(fit(area, &source, self.turn) * self.zoom);
        let side = source.pixel.map(|side| side * f64::from(scale));
        let to_centre = [0, 1].map(|i| f64::from(self.centre[i]) * source.size[i] as f64 * side[i]);
        let [dx, dy] = self.turn.apply(to_centre);
        let mut origin = area.center() - vec2(dx as f32, dy as f32);
        if let Some(step) = self.exact {
            // Pixels of the source lie on those of the screen, or all of them would be blurred.
            let snap = |v: f32| (v / step).round() * step;
            origin = pos2(snap(origin.x), snap(origin.y));
        }
        Placed {
            scale,
            origin,
            source: vec2(source.size[0] as f32, source.size[1] as f32),
            side,
            turn: self.turn,
        }
    }

    /// The whole picture, turned as before.
    pub fn fit(&mut self) {
        *self = Self {
            turn: self.turn,
            ..self.anew()
        };
    }

    /// What another picture begins with: seen whole and as it is stored.
    pub fn anew(&self) -> Self {
        Self {
            native: self.native,
            ..Self::default()
        }
    }

    /// One source pixel (its shorter side) on one pixel of the screen, which is `1 / pixels_per_point` points wide.
    pub fn one_to_one(&mut self, area: Rect, source: impl Into<Source>, pixels_per_point: f32) {
        let source = source.into();
        let scale = 1.0 / pixels_per_point.max(0.1);
        // What asks for the zoom gets that of this panel.
        self.zoom = scale / fit(area, &source, self.turn);
        self.exact = Some(scale);
        self.pan(Vec2::ZERO, area, source);
    }

    /// Zooms by `factor` so that what lies under `at` stays there.
    pub fn zoom_at(&mut self, factor: f32, at: Pos2, area: Rect, source: impl Into<Source>) {
        let source = source.into();
        let before = self.place(area, source);
        let anchor = before.source_from_screen(at);
        let fit = fit(area, &source, self.turn);
        let now = before.scale / fit;
        // One to one may be smaller than the fitted picture: from there the only way is up.
        let most = MAX_ZOOM.max(MAX_SCALE / fit);
        self.zoom = (now * factor).clamp(now.min(1.0), most.max(now));
        self.exact = None;
        let after = self.place(area, source);
        let drift = at - after.screen_from_source(anchor);
        self.pan(drift, area, source);
    }

    /// Moves the picture by `delta` screen points.
    pub fn pan(&mut self, delta: Vec2, area: Rect, source: impl Into<Source>) {
        let source = source.into();
        let placed = self.place(area, source);
        let way = placed.source_from_vector(delta);
        let seen = placed.source_from_vector(area.size()).map(f64::abs);
        for i in [0, 1] {
            let size = source.size[i] as f64;
            let moved = f64::from(self.centre[i]) - way[i] / size;
            // The picture may not leave the panel; what fits stays in the middle.
            let half = (seen[i] / size / 2.0).min(0.5);
            self.centre[i] = moved.clamp(half, 1.0 - half) as f32;
        }
    }
}

/// Screen points per shorter side of a source pixel with which the turned picture just fits.
fn fit(area: Rect, source: &Source, turn: Turn) -> f32 {
    let shown = source.shown(turn);
    (area.width() / shown.x)
        .min(area.height() / shown.y)
        .max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area() -> Rect {
        Rect::from_min_size(pos2(100.0, 50.0), vec2(400.0, 300.0))
    }

    fn turns() -> impl Iterator<Item = Turn> {
        [false, true]
            .into_iter()
            .flat_map(|mirrored| (0..4).map(move |quarters| Turn { mirrored, quarters }))
    }

    #[test]
    fn fits_and_centres() {
        let placed = Viewport::default().place(area(), [800, 300]);
        assert_eq!(placed.picture().width(), 400.0);
        assert_eq!(placed.picture().center(), area().center());
    }

    #[test]
    fn zoom_keeps_the_point_under_the_pointer() {
        for turn in turns() {
            let source = Source::new([800, 600], 1.5);
            let at = pos2(270.0, 180.0);
            let mut view = Viewport {
                turn,
                ..Viewport::default()
            };
            let start = view;
            // What is narrower than its panel stays in the middle: from here on it fills the panel, however it is turned.
            view.zoom_at(4.0, area().center(), area(), source);
            let before = view.place(area(), source).source_from_screen(at);
            for _ in 0..7 {
                view.zoom_at(1.3, at, area(), source);
            }
            let after = view.place(area(), source).source_from_screen(at);
            assert!((before[0] - after[0]).abs() < 0.01 && (before[1] - after[1]).abs() < 0.01);
            for _ in 0..60 {
                view.zoom_at(0.8, at, area(), source);
            }
            assert_eq!(view, start);
        }
    }

    #[test]
    fn turns_are_those_of_the_screen() {
        // Corners of what is seen, clockwise from the upper left one, by name in the source.
        let seen = |turn: Turn| {
            let view = Viewport {
                turn,
                ..Viewport::default()
            };
            let placed = view.place(area(), [200, 100]);
            let rect = placed.picture();
            [
                rect.left_top(),
                rect.right_top(),
                rect.right_bottom(),
                rect.left_bottom(),
            ]
            .map(|at| {
                let inside = at + 0.1 * (rect.center() - at);
                let [x, y] = placed.source_from_screen(inside);
                match (x < 100.0, y < 50.0) {
                    (true, true) => 'a',
                    (false, true) => 'b',
                    (false, false) => 'c',
                    (true, false) => 'd',
                }
            })
        };
        let mut turn = Turn::default();
        assert_eq!(seen(turn), ['a', 'b', 'c', 'd']);
        turn.rotate(1);
        assert_eq!(seen(turn), ['d', 'a', 'b', 'c'], "clockwise");
        turn.flip_across();
        assert_eq!(seen(turn), ['a', 'd', 'c', 'b'], "of what is seen");
        turn.flip_down();
        assert_eq!(seen(turn), ['b', 'c', 'd', 'a']);
        turn.rotate(3);
        turn.rotate(2);
        turn.flip_down();
        turn.flip_down();
        assert_eq!(seen(turn), ['a', 'b', 'c', 'd'], "round and back");
    }

    #[test]
    fn a_turned_picture_fits_by_its_turned_shape() {
        let view = Viewport {
            turn: Turn {
                mirrored: false,
                quarters: 1,
            },
            ..Viewport::default()
        };
        let rect = view.place(area(), [800, 300]).picture();
        assert!((rect.height() - 300.0).abs() < 1e-3 && (rect.width() - 112.5).abs() < 1e-3);
        // Pixels twice as high as wide: 800 x 300 of them are 800 x 600 in truth.
        let tall = Source::new([800, 300], 0.5);
        let rect = Viewport::default().place(area(), tall).picture();
        assert!((rect.width() / rect.height() - 800.0 / 600.0).abs() < 1e-4);
    }

    #[test]
    fn one_to_one_is_a_pixel_on_a_pixel() {
        for turn in turns() {
            for (size, pixels_per_point) in
                [([3000, 2000], 1.0), ([64, 48], 1.0), ([901, 700], 1.5)]
            {
                let mut view = Viewport {
                    turn,
                    ..Viewport::default()
                };
                view.one_to_one(area(), size, pixels_per_point);
                let placed = view.place(area(), size);
                let [a, b] = [[10.0, 20.0], [11.0, 21.0]].map(|at| placed.screen_from_source(at));
                let step = ((b - a) * pixels_per_point).abs();
                assert!((step - vec2(1.0, 1.0)).length() < 1e-3, "{step}");
                let corner = a.to_vec2() * pixels_per_point;
                assert!((corner - corner.round()).length() < 1e-2, "{corner}");
                // In another panel it is the same; the wheel goes on from there.
                let other = area().shrink(70.0);
                assert_eq!(view.place(other, size).scale, placed.scale);
                view.zoom_at(2.0, area().center(), area(), size);
                assert!((view.place(area(), size).scale / placed.scale - 2.0).abs() < 1e-4);
            }
        }
    }
}
