//! The index of an uncompressed zip archive, which is what `torch.save` writes: where each entry's
//! bytes are. Every offset is checked against the file before it is followed.

use std::collections::BTreeMap;

/// Most entries; a large network's checkpoint has a few thousand.
const MAX_ENTRIES: usize = 1 << 17;

/// Start of the record at the end, its shortest length, and how far a comment may push it forward.
const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const MAX_COMMENT: usize = 65535;

/// Bytes of every entry by its name; `None` for a compressed one.
pub(super) fn entries(file: &[u8]) -> Result<BTreeMap<String, Option<&[u8]>>, String> {
    let tail = file.len().saturating_sub(END_LENGTH + MAX_COMMENT);
    let end = file
        .get(tail..)
        .unwrap_or_default()
        .windows(END.len())
        .rposition(|window| window == END)
        .map(|at| at + tail)
        .ok_or("the archive has no directory: the file is cut short or no zip")?;
    let (count, directory) = directory_at(file, end).ok_or("the archive's directory is damaged")?;
    if count > MAX_ENTRIES {
        return Err(format!("the archive has {count} entries"));
    }
    let mut entries = BTreeMap::new();
    let mut at = directory;
    for i in 0..count {
        let wrong = || format!("entry {i} of the archive's directory is damaged");
        if bytes(file, at, 4) != Some(b"PK\x01\x02") {
            return Err(wrong());
        }
        let field =
            |offset: usize, length: usize| number(file, at + offset, length).ok_or_else(wrong);
        let (method, name_length, extra_length) = (field(10, 2)?, field(28, 2)?, field(30, 2)?);
        let (mut packed, mut size, mut local) = (field(20, 4)?, field(24, 4)?, field(42, 4)?);
        let comment_length = field(32, 2)?;
        let name = bytes(file, at + 46, name_length).ok_or_else(wrong)?;
        let name = String::from_utf8_lossy(name).into_owned();
        let extra = bytes(file, at + 46 + name_length, extra_length).ok_or_else(wrong)?;
        large_numbers(extra, [&mut size, &mut packed, &mut local]);
        // The entry's own header repeats the name, with fields of its own after it.
        let start = (bytes(file, local, 4) == Some(b"PK\x03\x04"))
            .then(|| {
                let name = number(file, local.checked_add(26)?, 2)?;
                let extra = number(file, local.checked_add(28)?, 2)?;
                local.checked_add(30 + name + extra)
            })
            .flatten();
        let data = start
            .and_then(|start| bytes(file, start, packed))
            .ok_or_else(|| "an entry of the archive lies outside the file".to_owned())?;
        entries.insert(name, (method == 0 && packed == size).then_some(data));
        at += 46 + name_length + extra_length + comment_length;
    }
    Ok(entries)
}

/// Number of entries and offset of the directory, from the record for large archives where there is one.
fn directory_at(file: &[u8], end: usize) -> Option<(usize, usize)> {
    let locator = end.checked_sub(20);
    if let Some(locator) = locator
        && bytes(file, locator, 4) == Some(b"PK\x06\x07")
    {
        let record = number(file, locator + 8, 8)?;
        if bytes(file, record, 4) == Some(b"PK\x06\x06") {
            return Some((
                number(file, record.checked_add(32)?, 8)?,
                number(file, record.checked_add(48)?, 8)?,
            ));
        }
    }
    Some((number(file, end + 10, 2)?, number(file, end + 16, 4)?))
}

/// Fields that do not fit into 32 bits stand in an extra field, in this order.
fn large_numbers(extra: &[u8], fields: [&mut usize; 3]) {
    let mut at = 0;
    while let (Some(id), Some(length)) = (number(extra, at, 2), number(extra, at + 2, 2)) {
        if id == 1 {
            let mut from = at + 4;
            for field in fields {
                if *field == 0xffff_ffff {
                    *field = number(extra, from, 8).unwrap_or(usize::MAX);
                    from += 8;
                }
            }
            return;
        }
        at += 4 + length;
    }
}

fn bytes(file: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    file.get(at..at.checked_add(length)?)
}

/// A little-endian number of at most eight bytes.
fn number(file: &[u8], at: usize, length: usize) -> Option<usize> {
    let mut whole = [0; 8];
    for (to, from) in whole.iter_mut().zip(bytes(file, at, length)?) {
        *to = *from;
    }
    usize::try_from(u64::from_le_bytes(whole)).ok()
}
