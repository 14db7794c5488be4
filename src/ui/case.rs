//! One side of the window: a picture in a network, with what was found in it and what is drawn on it.
//!
//! There is one case, or two that are compared. Everything that belongs to the pair of picture and network lives here;
//! panels say which case they show.

use std::path::Path;
use std::sync::Arc;

use egui::Context;

use super::app::Message;
use super::base::Base;
use super::follow::Wanted;
use super::regions_tool::Drawn;
use super::stops::Stops;
use super::viewport::Source;
use crate::error::{Error, Result};
use crate::explain::catalogue::{Layout, Method, Passes};
use crate::image::display::Display;
use crate::model::Model;
use crate::plan::{
    Against, DeviceChoice, Factor, GivenFacts, ImageSource, ModelSource, Score, Target, Values,
};
use crate::regions::Regions;
use crate::session::{Picture, Session};
use crate::text::method as words;

/// What of the explained class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Aim {
    pub(super) score: Score,
    /// Another class that it is set against.
    pub(super) against: Option<usize>,
    /// The sign is turned: the absence of the class.
    pub(super) negated: bool,
}

/// What is to hold once a network or a picture that is on its way has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// Label of the class that is to be explained.
    pub(super) target: Option<String>,
    /// Label of the class that it is set against, and the rest of the aim.
    pub(super) aim: Option<(Aim, Option<String>)>,
    /// Grey levels; `Some(None)` are the file's own.
    pub(super) display: Option<Option<Display>>,
    /// The part of the picture that is seen stays as it is.
    pub(super) keep_view: bool,
}

/// A picture in a network.
pub(super) struct Case {
    pub(super) session: Session,
    pub(super) model_source: ModelSource,
    /// What the user has said about the network.
    pub(super) given: GivenFacts,
    pub(super) image_source: ImageSource,
    /// The network that [`Case::stops`] belongs to.
    pub(super) model: Option<Arc<Model>>,
    pub(super) picture: Option<Arc<Picture>>,
    pub(super) stops: Stops,
    pub(super) target: Option<usize>,
    /// What of the explained class is explained, and against which other one.
    pub(super) aim: Aim,
    pub(super) base: Base,
    pub(super) wanted: Option<Wanted>,
    /// Work was stopped by the user and is not to start again by itself.
    pub(super) stopped: bool,
    /// Regions of the open X-ray.
    pub(super) drawn: Drawn,
    pub(super) wish: Wish,
}

/// What came in while a case kept up with its session.
#[derive(Default)]
pub(super) struct News {
    /// Stops of the network before, where another one came.
    pub(super) other_network: Option<Stops>,
    /// Another picture came, which is to be seen whole.
    pub(super) fit: bool,
    pub(super) messages: Vec<Message>,
    pub(super) errors: Vec<Error>,
}

impl Case {
    /// A case that begins to open what is named.
    pub(super) fn open(
        ctx: &Context,
        device: DeviceChoice,
        model: ModelSource,
        given: GivenFacts,
        image: ImageSource,
    ) -> Result<Self> {
        let wake = ctx.clone();
        let mut session = Session::new(device, move || wake.request_repaint())?;
        session.open_model_with(model.clone(), given.clone());
        session.open_picture(image.clone());
        Ok(Self::of(session, model, given, image))
    }

    /// A second case that begins with the same network and picture.
    pub(super) fn beside(&self, ctx: &Context) -> Result<Self> {
        let wake = ctx.clone();
        let session = self.session.beside(move || wake.request_repaint())?;
        let mut second = Self::of(
            session,
            self.model_source.clone(),
            self.given.clone(),
            self.image_source.clone(),
        );
        second.wish = Wish {
            target: self.target.map(|class| self.label(class)),
            aim: Some((self.aim, self.aim.against.map(|class| self.label(class)))),
            display: self.base.has_own_display().then(|| self.base.display()),
            keep_view: true,
        };
        let of = self.drawn.of().to_owned();
        second.drawn.restore(&of, self.drawn.set.clone());
        Ok(second)
    }

    fn of(session: Session, model: ModelSource, given: GivenFacts, image: ImageSource) -> Self {
        Self {
            session,
            model_source: model,
            given,
            image_source: image,
            model: None,
            picture: None,
            stops: Stops::default(),
            target: None,
            aim: Aim::default(),
            base: Base::default(),
            wanted: None,
            stopped: false,
            drawn: Drawn::default(),
            wish: Wish::default(),
        }
    }

    pub(super) fn open_image(&mut self, source: ImageSource) {
        self.stopped = false;
        self.wish.display = None;
        self.image_source = source.clone();
        self.session.open_picture(source);
    }

    pub(super) fn open_model(&mut self, source: ModelSource, given: GivenFacts) {
        self.stopped = false;
        self.model_source = source.clone();
        self.given = given.clone();
        self.session.open_model_with(source, given);
    }

    /// The file of the open X-ray; `None` for a sample.
    pub(super) fn open_file(&self) -> Option<&Path> {
        self.open_image_source().path()
    }

    /// The frame, from 1, of the open file that was last asked for, so that steps count while one is on its way.
    pub(super) fn frame_asked(&self) -> usize {
        let open = self.open_image_source();
        let waits = self.session.is_busy() && self.image_source.path() == open.path();
        let source = if waits { &self.image_source } else { open };
        source.frame().get()
    }

    /// The network that is open, or was asked for where none is, and what was said about it.
    pub(super) fn open_network(&self) -> (&ModelSource, &GivenFacts) {
        let open = self.session.network_source();
        open.unwrap_or((&self.model_source, &self.given))
    }

    /// The picture that is open, or was asked for where none is.
    pub(super) fn open_image_source(&self) -> &ImageSource {
        self.session.picture_source().unwrap_or(&self.image_source)
    }

    /// Whether a network, a picture or the findings are on their way.
    pub(super) fn is_opening(&self) -> bool {
        let waits = !self.session.is_settled() && self.session.is_busy();
        self.session.is_opening() || waits
    }

    /// Regions of the open picture.
    pub(super) fn regions(&self) -> &Regions {
        &self.drawn.set
    }

    /// Width and height of the open picture.
    pub(super) fn size(&self) -> Option<[usize; 2]> {
        self.session.picture().map(|picture| picture.size())
    }

    /// The open picture as a viewport places it.
    pub(super) fn source(&self) -> Option<Source> {
        let picture = self.session.picture()?;
        Some(Source::new(picture.size(), picture.pixel_aspect()))
    }

    // ---- what is explained -------------------------------------------------------------------------

    /// What maps explain, of the case's class or of another one.
    pub(super) fn objective(&self, own: Option<usize>) -> Option<Target> {
        let known = self.session.findings().len();
        let class = own.filter(|&class| class < known).or(self.target)?;
        let against = self.aim.against.filter(|&d| d != class && d < known);
        Some(Target {
            class,
            score: self.aim.score,
            against: against.map(|class| Against {
                class,
                factor: Factor(1.0),
            }),
            negated: self.aim.negated,
        })
    }

    /// What the explained thing is called in a sentence: "Pneumonia", "Pneumonia against Normal".
    pub(super) fn objective_name(&self, own: Option<usize>) -> String {
        self.objective(own)
            .map(|target| words::objective_name(&target, |class| self.label(class)))
            .unwrap_or_default()
    }

    /// Label of a class; empty where there is none.
    pub(super) fn label(&self, class: usize) -> String {
        let finding = self.session.findings().get(class);
        finding.map(|f| f.label.clone()).unwrap_or_default()
    }

    /// The class of this label.
    pub(super) fn class_of(&self, label: &str) -> Option<usize> {
        let found = self.session.findings().iter().find(|f| f.label == label);
        found.map(|finding| finding.index)
    }

    /// From which probability on a class is called, where the network says so.
    pub(super) fn threshold_of(&self, class: usize) -> Option<f32> {
        self.session.model()?.facts.threshold(class)
    }

    /// Whether the model calls a class.
    pub(super) fn calls(&self, class: usize) -> Option<bool> {
        let findings = self.session.findings();
        let probabilities: Vec<f32> = findings.iter().map(|f| f.probability).collect();
        findings.get(class)?;
        Some(self.session.model()?.facts.calls(class, &probabilities))
    }

    /// Classes in the order of the findings list; `wanted` is what their labels must hold.
    pub(super) fn findings_order(&self, wanted: &str) -> Vec<usize> {
        let findings = self.session.findings();
        let wanted = wanted.trim().to_lowercase();
        let mut order: Vec<usize> = (0..findings.len())
            .filter(|&i| findings[i].trained && findings[i].label.to_lowercase().contains(&wanted))
            .collect();
        order.sort_by(|&a, &b| findings[b].logit.total_cmp(&findings[a].logit));
        order
    }

    /// The class that is explained unless another is asked for: what the network was made to find
    /// where it says so, else the highest logit.
    fn usual_target(&self) -> usize {
        match self.session.model() {
            Some(model) if model.facts.operating_point.is_some() => {
                model.classes().saturating_sub(1)
            }
            _ => self.session.top(),
        }
    }

    // ---- what methods cost -------------------------------------------------------------------------

    /// The channels of a layer, and of the stages up to it.
    fn channels_at(&self, stop: usize) -> Option<(usize, Vec<usize>)> {
        let model = self.model.as_ref()?;
        let stop = self.stops.list.get(stop)?;
        let node = model.layer(&stop.name).ok()?;
        let channels = |name: &str| Some(model.shape(model.layer(name).ok()?).ok()?.channels());
        let stages = model.graph.stages.iter();
        let before = stages.filter(|stage| model.layer(stage).is_ok_and(|s| s < node));
        let mut stages: Vec<usize> = before.filter_map(|stage| channels(stage)).collect();
        let own = channels(&stop.name)?;
        stages.push(own);
        Some((own, stages))
    }

    /// Forward passes and reverse walks of a method at a stop.
    pub(super) fn passes_of(
        &self,
        method: &Method,
        stop: usize,
        values: &Values,
    ) -> Option<Passes> {
        let (channels, stages) = self.channels_at(stop)?;
        let [_, height, width] = self.model.as_ref()?.input_shape();
        let layout = Layout {
            channels,
            input: [height, width],
            stages: &stages,
            last: self.channels_at(self.stops.last)?.0,
        };
        Some(method.passes(&layout, values))
    }

    // ---- keeping up with the session ---------------------------------------------------------------

    /// Takes in what the session has: another network, another picture, findings, errors.
    pub(super) fn follow(&mut self, ctx: &Context) -> News {
        let mut news = News::default();
        self.session.poll();
        if let Some(model) = self.session.model().cloned()
            && !self.model.as_ref().is_some_and(|m| Arc::ptr_eq(m, &model))
        {
            let stops = Stops::of(&model);
            let same_labels = self.model.as_ref().is_some_and(|m| {
                m.facts.labels == model.facts.labels && m.classes() == model.classes()
            });
            if !same_labels {
                self.target = None;
                self.aim = Aim::default();
            }
            news.other_network = Some(std::mem::replace(&mut self.stops, stops));
            self.model = Some(model);
            self.wanted = None;
        }
        if let Some(picture) = self.session.picture().cloned()
            && !self
                .picture
                .as_ref()
                .is_some_and(|p| Arc::ptr_eq(p, &picture))
        {
            self.base.show(ctx, &picture);
            if let Some(display) = self.wish.display.take() {
                self.base.set_display(display);
            }
            // Frames are leafed through with one look at one place.
            let old = self.picture.as_ref();
            let same_file = old.is_some_and(|old| old.is_of_same_file(&picture));
            news.fit = !std::mem::take(&mut self.wish.keep_view) && !same_file;
            self.picture = Some(picture);
            self.wanted = None;
        }
        self.grant();
        news.errors = self.session.take_errors();
        if !news.errors.is_empty() {
            // What waited was dropped together with the request that failed: ask again.
            self.session.want(&[], &[]);
            self.wanted = None;
        }
        for error in &news.errors {
            let words = error.to_string();
            news.messages.push(if error.is_of_device() {
                Message::Device(words)
            } else {
                Message::Error(words)
            });
        }
        news.messages.extend(self.follow_regions(ctx));
        news
    }

    /// Has what was wished for hold, as soon as the findings are there.
    pub(super) fn grant(&mut self) {
        if self.session.findings().is_empty() {
            return;
        }
        if let Some(label) = self.wish.target.take() {
            self.target = self.class_of(&label).or(self.target);
        }
        if let Some((aim, against)) = self.wish.aim.take() {
            self.aim = Aim {
                against: against.and_then(|label| self.class_of(&label)),
                ..aim
            };
        }
        if self.target.is_none() {
            self.target = Some(self.usual_target());
        }
    }

    /// Has the maps asked for again, after they were stopped.
    pub(super) fn want_again(&mut self) {
        self.stopped = false;
        self.session.want(&[], &[]);
        self.wanted = None;
    }
}

/// The open case, or two that are compared.
pub(super) struct Cases {
    first: Case,
    second: Option<Case>,
}

impl Cases {
    pub(super) fn of(first: Case) -> Self {
        Self {
            first,
            second: None,
        }
    }

    /// A case by its number; the first one where there is none of that number.
    pub(super) fn get(&self, case: usize) -> &Case {
        match &self.second {
            Some(second) if case == 1 => second,
            _ => &self.first,
        }
    }

    /// As [`Cases::get`].
    pub(super) fn get_mut(&mut self, case: usize) -> &mut Case {
        match &mut self.second {
            Some(second) if case == 1 => second,
            _ => &mut self.first,
        }
    }

    pub(super) fn len(&self) -> usize {
        1 + usize::from(self.second.is_some())
    }

    /// Puts another case beside the first one, or takes it away.
    pub(super) fn set_second(&mut self, second: Option<Case>) {
        self.second = second;
    }

    /// Has the second case be the only one.
    pub(super) fn keep_second(&mut self) {
        if let Some(second) = self.second.take() {
            self.first = second;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Case> {
        std::iter::once(&self.first).chain(&self.second)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Case> {
        std::iter::once(&mut self.first).chain(&mut self.second)
    }
}
