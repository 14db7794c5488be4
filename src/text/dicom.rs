//! Words about DICOM files: what is wrong inside one, and what it is.

/// Coded pixels that end too early.
pub const CODE_ENDS: &str = "its compressed pixels are cut short";
/// Coded pixels whose structure makes no sense.
pub const CODE_BROKEN: &str = "its compressed pixels are damaged";
/// Coded pixels without a picture.
pub const CODE_EMPTY: &str = "its compressed pixels hold no picture";
/// Compressed data that does not inflate.
pub const DEFLATE_BROKEN: &str = "its deflated data set does not unpack";
/// The data set would be larger than any file that is read.
pub const DEFLATE_LARGE: &str = "its deflated data set unpacks to more than 1 GiB";
/// A variant of JPEG that is not DICOM's.
pub const JPEG_KIND: &str =
    "its JPEG is of a kind that DICOM does not allow (hierarchical or arithmetic)";
/// A progressive JPEG of more than 8 bits.
pub const JPEG_PROGRESSIVE: &str =
    "its JPEG is progressive with more than 8 bits, which is not read";
/// Chroma of a lossless JPEG on another grid.
pub const JPEG_SAMPLING: &str =
    "its lossless JPEG has components of different sizes, which is not read";
/// JPEG-LS with restart markers.
pub const JPEG_LS_RESTART: &str =
    "its JPEG-LS uses restart markers or a mapping table, which is not read";
/// JPEG 2000 whose tiles or precincts are implausibly small.
pub const JPEG_2000_PIECES: &str = "its JPEG 2000 is cut into more pieces than any encoder makes";
/// An overlong list of RLE segments.
pub const RLE_SEGMENTS: &str = "its RLE header is damaged";
/// A palette is named and missing.
pub const NO_PALETTE: &str = "its colours come from a palette, and there is none";
/// No pixels at all.
pub const NO_PIXELS: &str = "it has no pixel data";

/// Compressed pixels of another size than the header says.
pub fn code_size(found: [usize; 3], header: [usize; 3]) -> String {
    let [w, h, c] = found;
    let [hw, hh, hc] = header;
    format!(
        "its compressed pixels are {w} x {h} with {c} sample(s), its header says {hw} x {hh} with {hc}"
    )
}

/// Fewer pixels than the header promises.
pub fn pixels_missing(found: usize, expected: u64) -> String {
    format!(
        "its pixel data has {found} bytes where its header promises {expected}; it is cut short or its size is wrong"
    )
}

/// A required attribute is absent or makes no sense.
pub fn attribute(name: &str, found: Option<&str>) -> String {
    match found {
        None => format!("{name} is missing in its header"),
        Some(found) => format!("its header says {name} '{found}', which makes no sense"),
    }
}

/// A frame that the file does not have.
pub fn frame_missing(frame: usize, frames: usize) -> String {
    format!("frame {frame} was asked for, it has {frames}")
}

/// Fragments of a frame are not there.
pub fn fragments_missing(frame: usize, frames: usize, found: usize) -> String {
    format!("frame {frame} of {frames} is not among its {found} fragment(s) of compressed pixels")
}

/// The header breaks off.
pub fn header_cut(group: u32, element: u32) -> String {
    format!("it is cut short inside its header, at ({group:04X},{element:04X})")
}

/// The header makes no sense.
pub fn header_broken(group: u32, element: u32) -> String {
    format!("its header makes no sense after ({group:04X},{element:04X})")
}

// ---- notices -----------------------------------------------------------------------------------

/// Several frames, of which one is shown.
pub fn frames(shown: usize, frames: usize) -> String {
    format!("The file has {frames} frames; frame {shown} is shown")
}

/// A file with a DICOM name and other content.
pub fn not_dicom(found: &str) -> String {
    format!("The name ends in .dcm, the content is {found}")
}

/// Lossy compression, by the header's word.
pub const LOSSY: &str = "The picture was compressed with loss before it reached this program";

/// Decoded values that no sound file has.
pub const DOUBTFUL: &str =
    "The compressed pixels look damaged: values lie outside the range that the header promises";

/// Pixels that are not square.
pub const OBLONG: &str = "Pixels are not square: the window shows true proportions; pictures that are written keep the stored rows and columns";

/// No transfer syntax was named.
pub fn guessed_syntax(name: &str) -> String {
    format!("The file does not say how it is coded; it was read as {name}")
}

// ---- what it is --------------------------------------------------------------------------------

/// Name of a window without an explanation.
pub fn window_number(number: usize) -> String {
    format!("Window {number}")
}

/// Name of a VOI LUT without an explanation.
pub fn lut_number(number: usize) -> String {
    format!("VOI LUT {number}")
}
