//! PyTorch's checkpoints (`.pth`, `.pt`, `.ckpt`, `.bin`): a zip archive with a pickle that describes
//! tensors and one entry a storage. Read as data; nothing of it is executed.

use std::collections::{BTreeMap, BTreeSet};

use super::pickle::{self, Id, Value, Values};
use super::raw::{Number, Raw, check_rank, convert, elements};
use super::safetensors_file::one_line;
use super::zip;
use crate::error::Result;
use crate::text::fault;

/// Where training scripts put the state dict.
const NESTED: [&str; 8] = [
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "model_state",
    "weights",
    "params",
];

/// Largest pickle, in bytes.
const MAX_PICKLE: usize = 64 << 20;

/// Tensors of numbers together may be so many times the file: a tensor that several names share
/// stands in it once.
const MAX_SHARED: usize = 2;

/// Whether the bytes begin as a zip archive.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// Whether the bytes begin as a bare pickle: what `torch.save` wrote before PyTorch 1.6.
pub(super) fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 1..=5, ..]) && !bytes.get(8..).is_some_and(|json| json.starts_with(b"{"))
}

/// What a tensor's record says.
struct Record<'a> {
    number: Number,
    /// Name of its storage's entry.
    key: &'a str,
    /// In numbers, not bytes.
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

/// Tensors of a checkpoint, and where in it they were nested.
///
/// # Errors
/// One sentence with the file's `name`: a whole pickled module, TorchScript, no tensors, storages
/// shorter than their tensors, damaged archives.
pub(super) fn read(name: &str, bytes: &[u8]) -> Result<(Vec<Raw>, Option<String>)> {
    let broken = |why: &str| fault::bad_checkpoint(name, &one_line(why));
    let entries = zip::entries(bytes).map_err(|why| broken(&why))?;
    let (folder, pickle) = entries
        .iter()
        .find_map(|(entry, data)| Some((entry.strip_suffix("data.pkl")?, *data)))
        .ok_or_else(|| broken("the archive holds no data.pkl"))?;
    if entries.contains_key(&format!("{folder}constants.pkl")) {
        return Err(fault::torchscript(name));
    }
    let pickle = pickle.ok_or_else(|| broken("its data.pkl is compressed"))?;
    if pickle.len() > MAX_PICKLE {
        return Err(broken("its data.pkl has more than 64 MiB"));
    }
    let byte_order = entries.get(&format!("{folder}byteorder"));
    if byte_order
        .and_then(|order| *order)
        .is_some_and(|order| order.starts_with(b"big"))
    {
        return Err(broken("its numbers are big-endian"));
    }
    let values = pickle::read(pickle).map_err(|why| broken(&why))?;
    let (dict, path) = state_dict(name, &values)?;

    let mut records: BTreeMap<&str, Record<'_>> = BTreeMap::new();
    for (key, value) in values.dict(dict).unwrap_or_default() {
        if let Some(key) = values.text(*key)
            && let Some(record) = tensor(&values, *value)
                .map_err(|why| fault::bad_checkpoint_tensor(name, &one_line(key), &why))?
        {
            records.insert(key, record);
        }
    }
    let mut total = 0usize;
    let mut raws = Vec::with_capacity(records.len());
    for (key, record) in records {
        let wrong = |why: &str| fault::bad_checkpoint_tensor(name, &one_line(key), why);
        check_rank(name, &one_line(key), record.shape.len())?;
        let entry = format!("{folder}data/{}", record.key);
        let storage = entries
            .get(&entry)
            .and_then(|data| *data)
            .ok_or_else(|| wrong("its storage is not in the archive, or compressed"))?;
        let size = elements(&record.shape)
            .and_then(|n| n.checked_mul(record.number.bytes()))
            .ok_or_else(|| wrong("its shape is larger than memory"))?;
        total = total.saturating_add(size);
        if total > MAX_SHARED.saturating_mul(bytes.len()) {
            return Err(wrong(
                "the tensors claim far more numbers than the file holds",
            ));
        }
        raws.push(copy(key, &record, storage).ok_or_else(|| {
            wrong(&format!(
                "its storage has {} bytes, too few for shape {:?}",
                storage.len(),
                record.shape
            ))
        })?);
    }
    Ok((raws, path))
}

/// The dict that holds tensors under names, and the keys that lead to it.
fn state_dict(name: &str, values: &Values<'_>) -> Result<(Id, Option<String>)> {
    let has_tensors = |id: Id| {
        values.dict(id).is_some_and(|dict| {
            dict.iter()
                .any(|(key, value)| values.text(*key).is_some() && is_tensor(values, *value))
        })
    };
    let nested = |id: Id, key: &str| {
        let dict = values.dict(id)?;
        let found = dict.iter().find(|(k, _)| values.text(*k) == Some(key))?;
        Some(found.1)
    };
    let mut object = object_class(values, values.top);
    if has_tensors(values.top) {
        return Ok((values.top, None));
    }
    for first in NESTED {
        let Some(inner) = nested(values.top, first) else {
            continue;
        };
        if has_tensors(inner) {
            return Ok((inner, Some(first.to_owned())));
        }
        object = object.or_else(|| object_class(values, inner));
        for second in NESTED {
            if let Some(inner) = nested(inner, second).filter(|id| has_tensors(*id)) {
                return Ok((inner, Some(format!("{first}.{second}"))));
            }
        }
    }
    if let Some((module, class)) = object {
        let class = one_line(&format!("{module}.{class}"));
        return Err(if module.starts_with("torchxrayvision") {
            fault::pickled_torchxrayvision(name, &class)
        } else {
            fault::pickled_module(name, &class)
        });
    }
    let keys: BTreeSet<&str> = values
        .dict(values.top)
        .unwrap_or_default()
        .iter()
        .filter_map(|(key, _)| values.text(*key))
        .take(8)
        .collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    Err(fault::no_state_dict(name, &one_line(&keys.join(", "))))
}

/// The class of an object that was pickled whole.
fn object_class<'a>(values: &Values<'a>, id: Id) -> Option<(&'a str, &'a str)> {
    match values.get(id) {
        Value::Call(callable, args) => match values.class(*callable)? {
            // Older protocols name the class as an argument.
            ("copyreg" | "copy_reg", _) => values.class(*values.tuple(*args)?.first()?),
            class => Some(class),
        },
        _ => None,
    }
}

/// A tensor's record below the wrappers that parameters and subclasses put around it.
fn rebuilt(values: &Values<'_>, id: Id) -> Option<Id> {
    let mut id = id;
    for _ in 0..4 {
        let Value::Call(callable, args) = values.get(id) else {
            return None;
        };
        id = match values.class(*callable)? {
            ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => return Some(*args),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                *values.tuple(*args)?.first()?
            }
            ("torch._tensor", "_rebuild_from_type_v2") => {
                let args = values.tuple(*args)?;
                let (function, inner) = (*args.first()?, *args.get(2)?);
                if values.class(function)?.1.starts_with("_rebuild_tensor") {
                    return Some(inner);
                }
                *values.tuple(inner)?.first()?
            }
            _ => return None,
        };
    }
    None
}

fn is_tensor(values: &Values<'_>, id: Id) -> bool {
    rebuilt(values, id).is_some()
}

/// The record of a tensor of floating-point numbers; `None` for integers and for what is no tensor.
fn tensor<'a>(values: &Values<'a>, id: Id) -> Result<Option<Record<'a>>, String> {
    let Some(args) = rebuilt(values, id) else {
        return Ok(None);
    };
    let damaged = || "its record is damaged".to_owned();
    let Some([storage, offset, shape, stride, ..]) = values.tuple(args) else {
        return Err(damaged());
    };
    let Value::Storage(storage) = values.get(*storage) else {
        return Err(damaged());
    };
    let Some([_, class, key, ..]) = values.tuple(*storage) else {
        return Err(damaged());
    };
    let (_, class) = values.class(*class).ok_or_else(damaged)?;
    let number = match class {
        "FloatStorage" => Number::F32,
        "DoubleStorage" => Number::F64,
        "HalfStorage" => Number::F16,
        "BFloat16Storage" => Number::BF16,
        "LongStorage" | "IntStorage" | "ShortStorage" | "CharStorage" | "ByteStorage"
        | "BoolStorage" => return Ok(None),
        other => return Err(format!("its numbers are a {}", one_line(other))),
    };
    let numbers = |id: Id| -> Option<Vec<usize>> {
        values
            .tuple(id)?
            .iter()
            .take(64)
            .map(|n| values.int(*n))
            .collect()
    };
    Ok(Some(Record {
        number,
        key: values.text(*key).ok_or_else(damaged)?,
        offset: values.int(*offset).ok_or_else(damaged)?,
        shape: numbers(*shape).ok_or_else(damaged)?,
        stride: numbers(*stride).ok_or_else(damaged)?,
    }))
}

/// Copies a tensor out of its storage; `None` where the storage is too short for it.
fn copy(name: &str, record: &Record<'_>, storage: &[u8]) -> Option<Raw> {
    let width = record.number.bytes();
    let count = elements(&record.shape)?;
    if record.stride.len() != record.shape.len() {
        return None;
    }
    let start = record.offset.checked_mul(width)?;
    if count == 0 {
        return Some(convert(name, &record.shape, record.number, &[]));
    }
    let mut expected = 1usize;
    let mut contiguous = true;
    let mut last = record.offset;
    for (size, stride) in record.shape.iter().zip(&record.stride).rev() {
        contiguous &= *size == 1 || *stride == expected;
        expected = expected.checked_mul(*size)?;
        last = last.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    if contiguous {
        let end = start.checked_add(count.checked_mul(width)?)?;
        return Some(convert(
            name,
            &record.shape,
            record.number,
            storage.get(start..end)?,
        ));
    }
    // Other orders, such as channels-last: gathered first. The largest place is inside, so all are.
    storage.get(last.checked_mul(width)?..last.checked_add(1)?.checked_mul(width)?)?;
    let mut gathered = Vec::with_capacity(count * width);
    let mut index = vec![0usize; record.shape.len()];
    for _ in 0..count {
        let at: usize = index.iter().zip(&record.stride).map(|(i, s)| i * s).sum();
        let at = (record.offset + at) * width;
        gathered.extend_from_slice(storage.get(at..at + width)?);
        for (i, size) in index.iter_mut().zip(&record.shape).rev() {
            *i += 1;
            if *i < *size {
                break;
            }
            *i = 0;
        }
    }
    Some(convert(name, &record.shape, record.number, &gathered))
}
