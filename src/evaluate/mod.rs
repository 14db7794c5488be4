//! Numbers that say how far a map, or a model, can be trusted.

pub mod classification;
pub mod fostering;
pub mod localisation;
