//! Transfer syntaxes and SOP classes by name (PS3.6, annex A).

use super::dataset::Coding;

/// How the pixels are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Native,
    Rle,
    /// Sequential DCT and lossless Huffman coding.
    Jpeg,
    JpegLs,
    Jpeg2000,
    /// Known by name and not read.
    Other,
}

/// A transfer syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    pub(super) name: &'static str,
    pub(super) coding: Coding,
    pub(super) codec: Codec,
    pub(super) deflated: bool,
}

const fn syntax(name: &'static str, codec: Codec) -> Syntax {
    Syntax {
        name,
        coding: Coding::EXPLICIT,
        codec,
        deflated: false,
    }
}

pub(super) const IMPLICIT: Syntax = Syntax {
    coding: Coding::IMPLICIT,
    ..syntax("Implicit VR Little Endian", Codec::Native)
};
pub(super) const EXPLICIT: Syntax = syntax("Explicit VR Little Endian", Codec::Native);
pub(super) const BIG_ENDIAN: Syntax = Syntax {
    coding: Coding {
        explicit: true,
        big_endian: true,
    },
    ..syntax("Explicit VR Big Endian", Codec::Native)
};

impl Syntax {
    /// Whether the code is said to lose nothing.
    pub(super) fn is_lossless_only(self) -> bool {
        self.name.ends_with("(Lossless Only)")
    }

    /// Whether the code itself loses something.
    pub(super) fn is_lossy(self) -> bool {
        matches!(
            self.name,
            "JPEG Baseline (Process 1)"
                | "JPEG Extended (Process 2 and 4)"
                | "JPEG-LS Lossy (Near-Lossless)"
        )
    }
}

/// The transfer syntax of a UID; `None` for private ones.
pub(super) fn by_uid(uid: &str) -> Option<Syntax> {
    let rest = uid.strip_prefix("1.2.840.10008.1.2")?;
    Some(match rest {
        "" => IMPLICIT,
        ".1" => EXPLICIT,
        ".1.98" => syntax(
            "Encapsulated Uncompressed Explicit VR Little Endian",
            Codec::Native,
        ),
        ".1.99" => Syntax {
            deflated: true,
            ..syntax("Deflated Explicit VR Little Endian", Codec::Native)
        },
        ".2" => BIG_ENDIAN,
        ".5" => syntax("RLE Lossless", Codec::Rle),
        ".4.50" => syntax("JPEG Baseline (Process 1)", Codec::Jpeg),
        ".4.51" => syntax("JPEG Extended (Process 2 and 4)", Codec::Jpeg),
        ".4.57" => syntax("JPEG Lossless, Non-Hierarchical (Process 14)", Codec::Jpeg),
        ".4.70" => syntax(
            "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)",
            Codec::Jpeg,
        ),
        ".4.80" => syntax("JPEG-LS Lossless", Codec::JpegLs),
        ".4.81" => syntax("JPEG-LS Lossy (Near-Lossless)", Codec::JpegLs),
        ".4.90" => syntax("JPEG 2000 (Lossless Only)", Codec::Jpeg2000),
        ".4.91" => syntax("JPEG 2000", Codec::Jpeg2000),
        ".4.92" => syntax(
            "JPEG 2000 Part 2 Multi-component (Lossless Only)",
            Codec::Other,
        ),
        ".4.93" => syntax("JPEG 2000 Part 2 Multi-component", Codec::Other),
        ".4.100" | ".4.100.1" | ".4.101" | ".4.101.1" => syntax("MPEG-2 video", Codec::Other),
        ".4.102" | ".4.102.1" | ".4.103" | ".4.103.1" | ".4.104" | ".4.104.1" | ".4.105"
        | ".4.105.1" | ".4.106" | ".4.106.1" => syntax("MPEG-4 video", Codec::Other),
        ".4.107" | ".4.108" => syntax("HEVC video", Codec::Other),
        ".4.110" | ".4.111" | ".4.112" => syntax("JPEG XL", Codec::Other),
        ".4.201" => syntax("High-Throughput JPEG 2000 (Lossless Only)", Codec::Other),
        ".4.202" => syntax(
            "High-Throughput JPEG 2000 with RPCL (Lossless Only)",
            Codec::Other,
        ),
        ".4.203" => syntax("High-Throughput JPEG 2000", Codec::Other),
        ".4.94" | ".4.95" | ".4.204" | ".4.205" => {
            syntax("JPIP, pixels at an address", Codec::Other)
        }
        _ => return None,
    })
}

/// Name of a SOP class that carries pictures or is often met beside them; others by their UID.
pub(super) fn sop_class(uid: &str) -> String {
    let name = match uid.strip_prefix("1.2.840.10008.5.1.4.1.1.") {
        Some("1") => "Computed Radiography Image",
        Some("1.1") => "Digital X-Ray Image - For Presentation",
        Some("1.1.1") => "Digital X-Ray Image - For Processing",
        Some("1.2") => "Digital Mammography X-Ray Image - For Presentation",
        Some("1.2.1") => "Digital Mammography X-Ray Image - For Processing",
        Some("1.3") => "Digital Intra-Oral X-Ray Image - For Presentation",
        Some("2") => "CT Image",
        Some("2.1") => "Enhanced CT Image",
        Some("3.1") => "Ultrasound Multi-frame Image",
        Some("4") => "MR Image",
        Some("4.1") => "Enhanced MR Image",
        Some("6.1") => "Ultrasound Image",
        Some("7") => "Secondary Capture Image",
        Some("7.1") => "Multi-frame Single Bit Secondary Capture Image",
        Some("7.2") => "Multi-frame Grayscale Byte Secondary Capture Image",
        Some("7.3") => "Multi-frame Grayscale Word Secondary Capture Image",
        Some("7.4") => "Multi-frame True Color Secondary Capture Image",
        Some("9.1.1") => "12-lead ECG Waveform",
        Some("11.1") => "Grayscale Softcopy Presentation State",
        Some("12.1") => "X-Ray Angiographic Image",
        Some("12.2") => "X-Ray Radiofluoroscopic Image",
        Some("20") => "Nuclear Medicine Image",
        Some("30") => "Parametric Map",
        Some("66.4") => "Segmentation",
        Some("88.11") => "Basic Text SR",
        Some("88.22") => "Enhanced SR",
        Some("88.33") => "Comprehensive SR",
        Some("88.59") => "Key Object Selection Document",
        Some("104.1") => "Encapsulated PDF",
        Some("128") => "Positron Emission Tomography Image",
        Some("481.1") => "RT Image",
        Some("481.2") => "RT Dose",
        Some("481.3") => "RT Structure Set",
        Some("481.5") => "RT Plan",
        _ if uid == "1.2.840.10008.1.3.10" => "Media Storage Directory",
        _ => return format!("SOP class {uid}"),
    };
    name.to_owned()
}
