//! Character sets of names (PS3.3, C.12.1.1.2; PS3.5, 6.1).

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4,
    ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1252,
    WINDOWS_1254,
};

/// Text of `bytes` under the file's Specific Character Set, whose values are separated by backslashes.
pub(super) fn decode(bytes: &[u8], sets: &str) -> String {
    let sets: Vec<&str> = sets.split('\\').map(str::trim).collect();
    let has = |number: &str| sets.iter().any(|set| set.ends_with(number));
    let first = sets.first().copied().unwrap_or("");
    let text = if has("IR 87") || has("IR 159") {
        // Names in romaji, kanji and kana; half-width kana of IR 13 have the upper half of the bytes.
        let encoding = if has("IR 13") && !bytes.contains(&0x1B) {
            SHIFT_JIS
        } else {
            ISO_2022_JP
        };
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    } else if has("IR 149") || has("IR 58") {
        // One escape sequence announces the two-byte set; then the usual encoding holds.
        let encoding = if has("IR 149") { EUC_KR } else { GBK };
        let plain = without_escapes(bytes);
        encoding.decode_without_bom_handling(&plain).0.into_owned()
    } else {
        let encoding = single(first);
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    };
    text.trim_matches(['\0', ' '])
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

fn single(set: &str) -> &'static Encoding {
    let number = set.rsplit("IR ").next().unwrap_or("").rsplit("IR_").next();
    match number
        .map(|n| n.rsplit(' ').next().unwrap_or(n))
        .unwrap_or("")
    {
        "101" => ISO_8859_2,
        "109" => ISO_8859_3,
        "110" => ISO_8859_4,
        "144" => ISO_8859_5,
        "127" => ISO_8859_6,
        "126" => ISO_8859_7,
        "138" => ISO_8859_8,
        "148" => WINDOWS_1254,
        "166" => WINDOWS_874,
        "13" => SHIFT_JIS,
        "192" => UTF_8,
        "GB18030" => GB18030,
        "GBK" => GBK,
        "BIG5" => BIG5,
        _ => WINDOWS_1252,
    }
}

/// Takes out `ESC` sequences of three and four bytes.
fn without_escapes(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != 0x1B {
            out.push(byte);
            rest = tail;
            continue;
        }
        let skip = if tail.first() == Some(&b'$') && matches!(tail.get(1), Some(b'(' | b')')) {
            3
        } else {
            2
        };
        rest = tail.get(skip..).unwrap_or_default();
    }
    out
}

/// A person's name for people: the components of each writing joined by spaces, the writings by `=`.
pub(super) fn person(name: &str) -> String {
    let writings = name.split('=').map(|writing| {
        let parts: Vec<&str> = writing
            .split('^')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        match parts.as_slice() {
            [family, rest @ ..] if !rest.is_empty() => format!("{family}, {}", rest.join(" ")),
            _ => parts.concat(),
        }
    });
    writings
        .filter(|writing| !writing.is_empty())
        .collect::<Vec<_>>()
        .join(" = ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_standard() {
        // PS3.5, annexes H and I.
        let yamada =
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(
            person(&decode(yamada, "\\ISO 2022 IR 87")),
            "Yamada, Tarou = \u{5c71}\u{7530}, \u{592a}\u{90ce} = \u{3084}\u{307e}\u{3060}, \u{305f}\u{308d}\u{3046}"
        );
        let hong = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7";
        assert_eq!(
            person(&decode(hong, "\\ISO 2022 IR 149")),
            "Hong, Gildong = \u{6d2a}, \u{5409}\u{6d1e}"
        );
        assert_eq!(
            decode(b"Buc^J\xe9r\xf4me", "ISO_IR 100"),
            "Buc^J\u{e9}r\u{f4}me"
        );
        assert_eq!(decode(b"\xbb\xee^", "ISO_IR 144"), "\u{41b}\u{44e}^");
        assert_eq!(decode("W\u{e4}ng^".as_bytes(), "ISO_IR 192"), "W\u{e4}ng^");
    }
}
