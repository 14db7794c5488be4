//! The annotated picture of what is on screen, for reports.

use std::sync::Arc;

use super::analysis::Finding;
use super::picture::Picture;
use crate::error::Result;
use crate::evaluate::fostering::Indicators;
use crate::explain::{RawMap, catalogue};
use crate::image::geometry::Affine;
use crate::model::Model;
use crate::plan::{Post, Target, Values, View};
use crate::post::{Field, hidden_sign, process_named, scale_range};
use crate::regions::Region;
use crate::render::{Figure, FigurePanel, Heat, draw_regions};
use crate::text::method::objective_name;
use crate::text::{figure as words, measure, notice};

/// One panel of the grid.
#[derive(Clone)]
pub struct ExhibitPanel {
    /// The raw map; `None` for the X-ray alone.
    pub map: Option<Arc<RawMap>>,
    /// From the raw map to a presentable one.
    pub post: Post,
    /// How it is shown.
    pub view: View,
    /// Parameters of the method that differ from their defaults.
    pub params: Values,
    /// Passes that are done and passes in all, where the map was not finished.
    pub unfinished: Option<[usize; 2]>,
}

/// Everything that an export shows, independent of the window.
#[derive(Clone)]
pub struct Exhibit {
    /// The network.
    pub model: Arc<Model>,
    /// The X-ray.
    pub picture: Arc<Picture>,
    /// Findings by class index.
    pub findings: Vec<Finding>,
    /// The class that is explained.
    pub target: Target,
    /// Panels, row by row.
    pub panels: Vec<ExhibitPanel>,
    /// Panels in a row.
    pub columns: usize,
    /// Regions whose outlines are drawn on every panel.
    pub regions: Vec<Region>,
}

impl Exhibit {
    /// Draws the figure; `scale` 1 gives panels 480 pixels wide.
    ///
    /// # Errors
    /// Too large a figure, an unknown method.
    pub fn render(&self, scale: f32) -> Result<::image::RgbImage> {
        let name = |class: usize| self.model.facts.label(class);
        let label = objective_name(&self.target, name);
        let fields: Vec<Option<Field>> = self
            .panels
            .iter()
            .map(|p| {
                p.map
                    .as_ref()
                    .map(|map| process_named(map, &p.post, &label))
            })
            .collect();
        let mut panels = Vec::with_capacity(self.panels.len());
        for (panel, field) in self.panels.iter().zip(&fields) {
            panels.push(match (&panel.map, field) {
                (Some(map), Some(field)) => self.heat_panel(panel, map, field, &fields)?,
                _ => FigurePanel::plain(words::PLAIN, Vec::new(), &self.picture.display),
            });
        }
        for panel in panels.iter_mut().filter(|_| !self.regions.is_empty()) {
            let drawn = [
                panel.picture.width() as usize,
                panel.picture.height() as usize,
            ];
            let drawn_from_source = Affine::scale_to(drawn, self.picture.size());
            draw_regions(&mut panel.picture, &self.regions, &drawn_from_source);
        }
        let figure = Figure {
            title: self.picture.name.clone(),
            subtitle: vec![
                words::model_line(&self.model.name, &self.model.facts.arch.value),
                match self.findings.get(self.target.class) {
                    Some(f) => words::finding_line(&f.label, f.probability, f.logit, f.score),
                    None => label,
                },
                words::objective_line(&self.target.formula(name)),
            ],
            panels,
            columns: self.columns,
            footer: words::footer(&self.model.sha256, &self.picture.sha256),
            ..Figure::default()
        };
        figure.render(scale)
    }

    fn heat_panel(
        &self,
        panel: &ExhibitPanel,
        map: &RawMap,
        field: &Field,
        all: &[Option<Field>],
    ) -> Result<FigurePanel> {
        // A shared scale looks at every panel of the figure.
        let mut fields: Vec<&Field> = vec![field];
        fields.extend(all.iter().flatten());
        let range = scale_range(&fields, &panel.post)
            .into_iter()
            .next()
            .unwrap_or_default();
        let heat = Heat {
            field,
            range,
            sign: panel.post.sign,
            view: panel.view,
            cut: panel.post.cut,
        };
        let label = catalogue::find(&map.method)?.label;
        let mut figure_panel = FigurePanel::of_heat(
            label,
            words::caption(
                &map.layer,
                [map.height, map.width],
                &panel.post,
                &panel.view,
                &panel.params,
            ),
            &self.picture.display,
            &heat,
            words::unit(label),
        );
        figure_panel.notices.extend(
            panel
                .unfinished
                .map(|[done, total]| notice::unfinished(done, total)),
        );
        figure_panel.notices.extend(map.notices.iter().cloned());
        figure_panel
            .notices
            .extend(hidden_sign(map, panel.post.sign));
        figure_panel.caption.extend(map.conserved_words());
        let indicators = Indicators::of(map);
        figure_panel.caption.push(match &indicators {
            Indicators {
                ce: Some(ce),
                ca: Some(ca),
                cd: Some(cd),
                ce_max,
                ..
            } => measure::indicators(*ce, *ce_max, *ca, *cd),
            Indicators { reason, .. } => measure::no_indicators(reason.unwrap_or_default()),
        });
        if map.target.is_none() {
            figure_panel.notices.push(notice::NO_CLASS.to_owned());
        }
        let probabilities: Vec<f32> = self.findings.iter().map(|f| f.probability).collect();
        if !self.model.facts.calls(self.target.class, &probabilities) {
            figure_panel.notices.push(notice::NOT_CALLED.to_owned());
        }
        Ok(figure_panel)
    }
}
