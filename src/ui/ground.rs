//! The ground behind panels, painted only where nothing comes over it.
//!
//! The window is cleared to the colour that most of it has, that of bars, sides and headers; what is darker is painted
//! around them. Without a graphics card a layer over the whole window costs as many milliseconds as everything else.

use egui::{Color32, CornerRadius, Rect, Shape, pos2, vec2};

use super::theme::CARD_RADIUS;

/// The corners above a card's picture.
const UPPER: CornerRadius = CornerRadius {
    nw: CARD_RADIUS,
    ne: CARD_RADIUS,
    sw: 0,
    se: 0,
};
/// The corners below.
pub(super) const LOWER: CornerRadius = CornerRadius {
    nw: 0,
    ne: 0,
    sw: CARD_RADIUS,
    se: CARD_RADIUS,
};

/// Height of a card's painted edge: corners are no rounder than half of it.
const EDGE: f32 = 2.0 * CARD_RADIUS as f32;

/// What is left of an area without the holes in it, as rectangles that do not overlap.
pub(super) fn without(area: Rect, holes: &[Rect]) -> Vec<Rect> {
    let mut parts = vec![area];
    for hole in holes {
        let split = parts.iter().flat_map(|part| split(*part, *hole));
        parts = split.filter(Rect::is_positive).collect();
    }
    parts
}

/// A rectangle without a hole: above it, to its left, to its right and below.
fn split(area: Rect, hole: Rect) -> [Rect; 4] {
    let hole = area.intersect(hole);
    if !hole.is_positive() {
        return [area, Rect::NOTHING, Rect::NOTHING, Rect::NOTHING];
    }
    let (above, rest) = area.split_top_bottom_at_y(hole.top());
    let (beside, below) = rest.split_top_bottom_at_y(hole.bottom());
    let (left, rest) = beside.split_left_right_at_x(hole.left());
    let (_, right) = rest.split_left_right_at_x(hole.right());
    [above, left, right, below]
}

/// An area around cards, and in it the corners that the cards round off.
pub(super) fn around_cards(area: Rect, cards: &[Rect], colour: Color32) -> Shape {
    let corner = vec2(CARD_RADIUS.into(), CARD_RADIUS.into());
    let corners = cards.iter().flat_map(|card| {
        let [right, bottom] = [card.right() - corner.x, card.bottom() - corner.y];
        [
            card.min,
            pos2(right, card.top()),
            pos2(card.left(), bottom),
            pos2(right, bottom),
        ]
    });
    let corners = corners.map(|min| Rect::from_min_size(min, corner));
    let parts = without(area, cards).into_iter().chain(corners);
    Shape::Vec(
        parts
            .map(|part| Shape::rect_filled(part, CornerRadius::ZERO, colour))
            .collect(),
    )
}

/// The round upper edge of a card that has the colour of the cleared window.
pub(super) fn upper_edge(card: Rect, colour: Color32) -> Shape {
    let edge = Rect::from_min_size(card.min, vec2(card.width(), EDGE));
    Shape::rect_filled(edge, UPPER, colour)
}

/// The lower one.
pub(super) fn lower_edge(card: Rect, colour: Color32) -> Shape {
    let edge = card.with_min_y(card.bottom() - EDGE);
    Shape::rect_filled(edge, LOWER, colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_holes_cover_every_point_once() {
        let rect = |x0, y0, x1, y1| Rect::from_min_max(pos2(x0, y0), pos2(x1, y1));
        let area = rect(0.0, 0.0, 40.0, 30.0);
        let holes = [
            rect(2.0, 2.0, 18.0, 20.0),
            rect(20.0, 2.0, 38.0, 20.0),
            rect(2.0, 22.0, 38.0, 28.0),
            // Half outside, and over another one.
            rect(30.0, 10.0, 50.0, 26.0),
        ];
        let parts = without(area, &holes);
        for y in 0..30 {
            for x in 0..40 {
                let at = pos2(x as f32 + 0.5, y as f32 + 0.5);
                let free = !holes.iter().any(|hole| hole.contains(at));
                let found = parts.iter().filter(|part| part.contains(at)).count();
                assert_eq!(found, usize::from(free), "{at}");
            }
        }
        // As many cards as there can be leave no more than a few parts each.
        let many: Vec<Rect> = (0..16)
            .map(|i| {
                Rect::from_center_size(
                    pos2(5.0 + 8.0 * (i % 4) as f32, 4.0 + 7.0 * (i / 4) as f32),
                    vec2(6.0, 5.0),
                )
            })
            .collect();
        assert!(without(area, &many).len() <= 4 * many.len());
        assert_eq!(without(area, &[]), [area]);
        assert!(without(area, &[area.expand(1.0)]).is_empty());
    }
}
