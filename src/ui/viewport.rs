//! Which part of the X-ray is seen: one for all panels, so that they zoom and pan together, or one for each.

use egui::{Pos2, Rect, Vec2, pos2, vec2};
use serde::{Deserialize, Serialize};

/// Closest zoom, in screen widths of the fitted picture.
const MAX_ZOOM: f32 = 40.0;

/// Zoom and centre, independent of any panel's size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Viewport {
    /// 1 fits the picture into its panel.
    pub zoom: f32,
    /// Point of the source image in the middle of the panel, as a share of its size.
    pub centre: [f32; 2],
}

impl Default for Viewport {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            centre: [0.5, 0.5],
        }
    }
}

/// A viewport in a panel: how points of the source image and of the screen relate.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Screen points per source pixel.
    pub scale: f32,
    /// Where the source's upper left corner lies.
    pub origin: Pos2,
    /// Size of the source image.
    pub source: Vec2,
}

impl Placed {
    /// Point of the screen for a point of the source.
    pub fn screen_from_source(&self, [x, y]: [f64; 2]) -> Pos2 {
        self.origin + vec2(x as f32, y as f32) * self.scale
    }

    /// Point of the source for a point of the screen.
    pub fn source_from_screen(&self, at: Pos2) -> [f64; 2] {
        let p = (at - self.origin) / self.scale;
        [f64::from(p.x), f64::from(p.y)]
    }

    /// The picture's rectangle on the screen.
    pub fn picture(&self) -> Rect {
        Rect::from_min_size(self.origin, self.source * self.scale)
    }
}

impl Viewport {
    /// Places the source image into `area`.
    pub fn place(&self, area: Rect, source: [usize; 2]) -> Placed {
        let source = vec2(source[0].max(1) as f32, source[1].max(1) as f32);
        let fit = (area.width() / source.x)
            .min(area.height() / source.y)
            .max(1e-6);
        let scale = fit * self.zoom;
        let centre = vec2(self.centre[0] * source.x, self.centre[1] * source.y) * scale;
        Placed {
            scale,
            origin: area.center() - centre,
            source,
        }
    }

    /// Zooms by `factor` so that what lies under `at` stays there.
    pub fn zoom_at(&mut self, factor: f32, at: Pos2, area: Rect, source: [usize; 2]) {
        let before = self.place(area, source);
        let anchor = before.source_from_screen(at);
        self.zoom = (self.zoom * factor).clamp(1.0, MAX_ZOOM);
        let after = self.place(area, source);
        let drift = at - after.screen_from_source(anchor);
        self.pan(drift, area, source);
    }

    /// Moves the picture by `delta` screen points.
    pub fn pan(&mut self, delta: Vec2, area: Rect, source: [usize; 2]) {
        let placed = self.place(area, source);
        let size = placed.picture().size();
        let moved = pos2(
            self.centre[0] - delta.x / size.x,
            self.centre[1] - delta.y / size.y,
        );
        // The picture may not leave the panel; what fits stays in the middle.
        let keep = |value: f32, visible: f32| {
            let half = (visible / 2.0).min(0.5);
            value.clamp(half, 1.0 - half)
        };
        self.centre = [
            keep(moved.x, area.width() / size.x),
            keep(moved.y, area.height() / size.y),
        ];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area() -> Rect {
        Rect::from_min_size(pos2(100.0, 50.0), vec2(400.0, 300.0))
    }

    #[test]
    fn fits_and_centres() {
        let placed = Viewport::default().place(area(), [800, 300]);
        assert_eq!(placed.picture().width(), 400.0);
        assert_eq!(placed.picture().center(), area().center());
    }

    #[test]
    fn zoom_keeps_the_point_under_the_pointer() {
        let source = [800, 600];
        let at = pos2(220.0, 180.0);
        let mut view = Viewport::default();
        let before = view.place(area(), source).source_from_screen(at);
        for _ in 0..7 {
            view.zoom_at(1.3, at, area(), source);
        }
        let after = view.place(area(), source).source_from_screen(at);
        assert!((before[0] - after[0]).abs() < 0.01 && (before[1] - after[1]).abs() < 0.01);
        for _ in 0..60 {
            view.zoom_at(0.8, at, area(), source);
        }
        assert_eq!(view, Viewport::default());
    }
}
