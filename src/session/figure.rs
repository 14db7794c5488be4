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
use crate::render::{Figure, FigurePanel, Heat, outlines};
use crate::text::method::objective_name;
use crate::text::{figure as words, measure, notice};

/// One panel of the grid.
#[derive(Clone)]
pub struct ExhibitPanel {
    /// Which case it shows.
    pub case: usize,
    /// What is explained.
    pub target: Target,
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

/// A picture in a network.
#[derive(Clone)]
pub struct ExhibitCase {
    /// The network.
    pub model: Arc<Model>,
    /// The X-ray.
    pub picture: Arc<Picture>,
    /// Findings by class index.
    pub findings: Vec<Finding>,
    /// Regions whose outlines are drawn on every panel.
    pub regions: Vec<Region>,
}

impl ExhibitCase {
    fn objective_name(&self, target: &Target) -> String {
        objective_name(target, |class| self.model.facts.label(class))
    }

    fn calls(&self, class: usize) -> bool {
        let probabilities: Vec<f32> = self.findings.iter().map(|f| f.probability).collect();
        self.model.facts.calls(class, &probabilities)
    }

    /// The lines about the network, the finding and what is explained.
    fn lines(&self, target: &Target) -> Vec<String> {
        let name = |class: usize| self.model.facts.label(class);
        vec![
            words::model_line(&self.model.name, &self.model.facts.arch.value),
            match self.findings.get(target.class) {
                Some(f) => words::finding_line(&f.label, f.probability, f.logit, f.score),
                None => self.objective_name(target),
            },
            words::objective_line(&target.formula(name)),
        ]
    }
}

/// Everything that an export shows, independent of the window.
#[derive(Clone)]
pub struct Exhibit {
    /// What panels show: one case, or two that are compared.
    pub cases: Vec<ExhibitCase>,
    /// Panels, row by row.
    pub panels: Vec<ExhibitPanel>,
    /// Panels in a row.
    pub columns: usize,
}

impl Exhibit {
    /// Draws the figure; `scale` 1 gives panels 480 pixels wide.
    ///
    /// # Errors
    /// Too large a figure, an unknown method.
    pub fn render(&self, scale: f32) -> Result<::image::RgbImage> {
        let pairs: Vec<(&ExhibitPanel, &ExhibitCase)> = self
            .panels
            .iter()
            .filter_map(|panel| Some((panel, self.cases.get(panel.case)?)))
            .collect();
        let fields: Vec<Option<Field>> = pairs
            .iter()
            .map(|(panel, case)| {
                let label = case.objective_name(&panel.target);
                let map = panel.map.as_ref();
                map.map(|map| process_named(map, &panel.post, &label))
            })
            .collect();
        let mut panels = Vec::with_capacity(pairs.len());
        for ((panel, case), field) in pairs.iter().zip(&fields) {
            let mut drawn = match (&panel.map, field) {
                (Some(map), Some(field)) => self.heat_panel(panel, case, map, field, &fields)?,
                _ => FigurePanel::plain(words::PLAIN, Vec::new(), &case.picture.display),
            };
            let size = [
                drawn.picture.width() as usize,
                drawn.picture.height() as usize,
            ];
            let drawn_from_source = Affine::scale_to(size, case.picture.size());
            drawn.outlines = outlines(&case.regions, &drawn_from_source);
            panels.push(drawn);
        }
        let figure = Figure {
            title: distinct(self.cases.iter().map(|case| case.picture.full_name())).join("  ·  "),
            subtitle: distinct(
                pairs
                    .iter()
                    .flat_map(|(panel, case)| case.lines(&panel.target)),
            ),
            panels,
            columns: self.columns,
            footer: distinct(
                self.cases
                    .iter()
                    .map(|case| words::footer(&case.model.sha256, &case.picture.sha256)),
            )
            .join("  ·  "),
            ..Figure::default()
        };
        figure.render(scale)
    }

    /// What tells a panel from its neighbours: its finding, its picture and its network, where these differ.
    fn told_apart(&self, panel: &ExhibitPanel, case: &ExhibitCase) -> Vec<String> {
        let (mut by_picture, mut by_network) = (false, false);
        for other in &self.cases {
            by_picture |= other.picture.key() != case.picture.key();
            by_network |= other.model.sha256 != case.model.sha256;
        }
        let by_target = self.panels.iter().any(|p| p.target != panel.target);
        [
            by_picture.then(|| case.picture.full_name()),
            by_network.then(|| case.model.name.clone()),
            by_target.then(|| case.objective_name(&panel.target)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn heat_panel(
        &self,
        panel: &ExhibitPanel,
        case: &ExhibitCase,
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
            &case.picture.display,
            &heat,
            words::unit(label),
        );
        let apart = self.told_apart(panel, case);
        if !apart.is_empty() {
            figure_panel.caption.insert(0, apart.join(" · "));
        }
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
        if !case.calls(panel.target.class) {
            figure_panel.notices.push(notice::NOT_CALLED.to_owned());
        }
        Ok(figure_panel)
    }
}

/// Each once, in the order in which they come first.
fn distinct(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}
