//! The verbs that make maps, and how they become a plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::network::ModelArgs;
use super::parse::{
    parse_colormap, parse_contours, parse_factor, parse_normalise, parse_score, parse_set,
    parse_share, parse_sigma, parse_sign,
};
use super::picture::{FrameArgs, ImageArgs, first_sample};
use crate::error::Result;
use crate::plan::{
    Colormap, Contours, ImageSource, Normalise, Plan, Post, Score, Sign, Values, View,
};
use crate::session::comparison::Comparison;
use crate::text::fault;

/// How maps are processed and shown.
#[derive(Args)]
pub(in crate::cli) struct DisplayArgs {
    /// Evidence to show: positive, negative, signed; unless given, relevance with both signs and all other maps
    /// with what is positive
    #[arg(long, value_parser = parse_sign)]
    pub(in crate::cli) sign: Option<Sign>,
    /// Denoising threshold: cells under this share of the largest become 0, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    pub(in crate::cli) threshold: f32,
    /// Gaussian blur, standard deviation in pixels of the image
    #[arg(long, default_value_t = 0.0, value_name = "SIGMA_PX", value_parser = parse_sigma)]
    pub(in crate::cli) blur: f32,
    /// Share of the colour scale under which nothing is drawn, 0 to 1
    #[arg(long, default_value_t = Post::default().cut, value_parser = parse_share)]
    pub(in crate::cli) cut: f32,
    /// Ends of the colour scale: map, shared, or LO..HI
    #[arg(long, default_value = "map", value_parser = parse_normalise, allow_hyphen_values = true)]
    pub(in crate::cli) normalise: Normalise,
    /// Opacity of the overlay, 0 to 1
    #[arg(long, default_value_t = View::default().opacity, value_parser = parse_share)]
    pub(in crate::cli) opacity: f32,
    /// Colour map: inferno, magma, viridis, cividis, diverging, jet (legacy)
    #[arg(long, default_value = "inferno", value_parser = parse_colormap)]
    pub(in crate::cli) colormap: Colormap,
    /// Lines of equal value: none, half, quarters, tenths of the colour scale
    #[arg(long, default_value = "none", value_parser = parse_contours)]
    pub(in crate::cli) contours: Contours,
}

impl DisplayArgs {
    fn post(&self) -> Post {
        Post {
            sign: self.sign.unwrap_or_default(),
            denoise: self.threshold,
            blur_px: self.blur,
            normalise: self.normalise,
            cut: self.cut,
        }
    }

    fn view(&self) -> View {
        View {
            opacity: self.opacity,
            colormap: self.colormap,
            contours: self.contours,
            ..View::default()
        }
    }
}

#[derive(Args)]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    #[command(flatten)]
    pub(in crate::cli) image: ImageArgs,
    /// Methods, by id
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "grad-cam",
        value_name = "ID[,ID]"
    )]
    pub(in crate::cli) method: Vec<String>,
    /// Layers, by name, or last, stages, all; usual is last, and the input for methods that look at pixels
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "usual",
        value_name = "NAME[,NAME]"
    )]
    pub(in crate::cli) layer: Vec<String>,
    /// Class to explain [default: the highest logit]
    #[arg(long, value_name = "INDEX|LABEL")]
    pub(in crate::cli) class: Option<String>,
    /// Explains the class against another one: score_c - A score_d
    #[arg(long, value_name = "INDEX|LABEL", requires = "class")]
    pub(in crate::cli) against: Option<String>,
    /// Factor A of --against
    #[arg(long, default_value_t = 1.0, value_name = "A", value_parser = parse_factor, requires = "against")]
    pub(in crate::cli) against_factor: f32,
    /// Which number of a class is explained: logit, probability
    #[arg(long, default_value = "logit", value_parser = parse_score)]
    pub(in crate::cli) score: Score,
    /// Turns the sign of the score before anything is computed: what speaks for the absence of the class
    #[arg(long)]
    pub(in crate::cli) negate: bool,
    /// A method's parameter; may be given several times
    #[arg(long, value_name = "ID.PARAM=VALUE", value_parser = parse_set)]
    pub(in crate::cli) set: Vec<(String, String, String)>,
    #[command(flatten)]
    pub(in crate::cli) display: DisplayArgs,
    /// Regions to measure maps against and to draw: NIH or RSNA boxes (CSV), COCO or CheXlocalize JSON, YOLO text, or a
    /// mask (PNG)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) regions: Option<PathBuf>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,
}

impl ExplainArgs {
    /// The plan that these arguments say.
    ///
    /// # Errors
    /// A file of labels that cannot be read.
    pub(in crate::cli) fn plan(&self) -> Result<Plan> {
        let mut params: BTreeMap<String, Values> = BTreeMap::new();
        for (method, param, value) in &self.set {
            params
                .entry(method.clone())
                .or_default()
                .insert(param.clone(), value.clone());
        }
        Ok(Plan {
            model: self.model.source(),
            given: self.model.given()?,
            arch: self.model.arch.clone(),
            image: self.image.source(),
            device: self.model.device,
            class: self.class.clone(),
            against: self.against.clone(),
            against_factor: self.against_factor,
            score: self.score,
            negated: self.negate,
            methods: self.method.clone(),
            layers: self.layer.clone(),
            params,
            sign: self.display.sign,
            post: self.display.post(),
            view: self.display.view(),
            regions: self.regions.clone(),
        })
    }
}

#[derive(Args)]
pub(in crate::cli) struct FigureArgs {
    #[command(flatten)]
    pub(in crate::cli) model: ModelArgs,
    /// Image: DICOM, PNG, JPEG, TIFF, BMP, WebP, or a ready input [default: a sample case]
    #[arg(long, conflicts_with = "sample")]
    pub(in crate::cli) image: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) frame: FrameArgs,
    /// Sample case, by name; the outline of its finding is drawn
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) sample: Option<String>,
    /// Picture of the image's size, bright where the finding is; its outline is drawn
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) mask: Option<PathBuf>,
    /// Regions to outline: NIH or RSNA boxes (CSV), COCO or CheXlocalize JSON, YOLO text, or a mask (PNG)
    #[arg(long, value_name = "FILE", conflicts_with = "mask")]
    pub(in crate::cli) regions: Option<PathBuf>,
    /// Rows: methods, by id, with parameters behind a colon
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "grad-cam,layer-cam,fg-cam,fg-cam:denoise=yes,lrp-epsilon-plus,grad-cam-lrp",
        value_name = "ID[:PARAM=VALUE[;PARAM=VALUE]]"
    )]
    pub(in crate::cli) row: Vec<String>,
    /// Columns: layers, by name, or last, stages, all
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "stages",
        value_name = "NAME[,NAME]"
    )]
    pub(in crate::cli) layer: Vec<String>,
    /// Class to explain [default: the highest logit]
    #[arg(long, value_name = "INDEX|LABEL")]
    pub(in crate::cli) class: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) display: DisplayArgs,
    /// Size: 1 gives panels 480 pixels wide
    #[arg(long, default_value_t = 0.5)]
    pub(in crate::cli) scale: f32,
    /// The PNG file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) out: PathBuf,
}

impl FigureArgs {
    /// The figure that these arguments say.
    ///
    /// # Errors
    /// A row that does not read, a file of labels that cannot be read.
    pub(in crate::cli) fn comparison(&self) -> Result<Comparison> {
        let image = match (&self.image, &self.sample) {
            (Some(path), _) => self.frame.of(path.clone()),
            (None, Some(name)) => ImageSource::Sample(name.clone()),
            (None, None) => first_sample(),
        };
        Ok(Comparison {
            plan: Plan {
                model: self.model.source(),
                given: self.model.given()?,
                arch: self.model.arch.clone(),
                image,
                device: self.model.device,
                class: self.class.clone(),
                against: None,
                against_factor: 1.0,
                score: Score::default(),
                negated: false,
                methods: Vec::new(),
                layers: self.layer.clone(),
                params: BTreeMap::new(),
                sign: self.display.sign,
                post: self.display.post(),
                view: self.display.view(),
                regions: self.regions.clone(),
            },
            rows: self
                .row
                .iter()
                .map(|row| parse_row(row))
                .collect::<Result<_>>()?,
            mask: self.mask.clone(),
            scale: self.scale,
        })
    }
}

/// A method with its parameters.
fn parse_row(text: &str) -> Result<(String, Values)> {
    let (id, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut values = Values::new();
    for part in rest.split(';').filter(|part| !part.trim().is_empty()) {
        let (param, value) = part
            .split_once('=')
            .ok_or_else(|| fault::figure_row(text))?;
        values.insert(param.trim().to_owned(), value.trim().to_owned());
    }
    Ok((id.trim().to_owned(), values))
}
