//! The directory of a `torch.save` zip: `<top>/data.pkl` describes the tensors, `<top>/data/<key>` are raw storages.
//!
//! Everything the pickle says about sizes is checked against the zip entries, and those against the file.

use super::pickle::{self, TensorClaim};
use super::{Dtype, Layout, Stored};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use zip::{CompressionMethod, ZipArchive};

/// Longest pickle read: the huge model's is 0.2 MB.
const MAX_PICKLE_BYTES: u64 = 16 << 20;
/// Most zip entries: the huge model has 1 314.
const MAX_ENTRIES: usize = 1 << 18;

/// Where a zip entry's bytes lie.
#[derive(Clone, Copy)]
struct Extent {
    start: u64,
    bytes: u64,
}

/// Every tensor of the `file` of `file_bytes` bytes.
pub(super) fn directory(file: &File, file_bytes: u64) -> Result<BTreeMap<String, Stored>, String> {
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| format!("not a readable zip: {e}"))?;
    if zip.len() > MAX_ENTRIES {
        return Err(format!("{} zip entries; at most {MAX_ENTRIES} are read", zip.len()));
    }
    if zip
        .has_overlapping_entries()
        .map_err(|e| format!("not a readable zip: {e}"))?
    {
        return Err("zip entries overlap, as in a zip bomb".into());
    }
    let mut storages = BTreeMap::new();
    let mut pickle = None;
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(|e| format!("zip entry {index}: {e}"))?;
        let name = entry
            .name()
            .map_err(|e| format!("zip entry {index}: {e}"))?
            .into_owned();
        let (_, inner) = name.split_once('/').unwrap_or(("", &name));
        let wanted = inner == "data.pkl" || inner == "byteorder" || inner.starts_with("data/");
        if !wanted {
            continue;
        }
        let extent = stored_extent(&name, &entry, file_bytes)?;
        drop(entry);
        match inner {
            "data.pkl" => pickle = Some(read_entry(&mut zip, (index, &name), extent.bytes, MAX_PICKLE_BYTES)?),
            "byteorder" => {
                let order = read_entry(&mut zip, (index, &name), extent.bytes, 16)?;
                if order.trim_ascii() != b"little" {
                    return Err("numbers are stored big-endian; save the checkpoint on a little-endian machine".into());
                }
            }
            _ => {
                storages.insert(inner["data/".len()..].to_string(), extent);
            }
        }
    }
    let Some(pickle) = pickle else {
        return Err("zip without `data.pkl`: not a checkpoint of torch.save (torch >= 1.6)".into());
    };
    let claims = pickle::state_dict(&pickle).map_err(|e| format!("data.pkl: {e}"))?;
    claims
        .into_iter()
        .map(|(name, claim)| stored(&name, &claim, &storages).map(|s| (name, s)))
        .collect()
}

fn stored_extent<R: Read + ?Sized>(
    name: &str,
    entry: &zip::read::ZipFile<'_, R>,
    file_bytes: u64,
) -> Result<Extent, String> {
    if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
        return Err(format!(
            "zip entry `{name}` is compressed or encrypted; torch.save stores plainly: save it again"
        ));
    }
    let bytes = entry.size();
    let start = entry
        .data_start()
        .ok_or_else(|| format!("zip entry `{name}` has no data"))?;
    match start.checked_add(bytes) {
        Some(end) if bytes == entry.compressed_size() && end <= file_bytes => Ok(Extent { start, bytes }),
        _ => Err(format!(
            "zip entry `{name}` says {bytes} bytes at {start}; the file has {file_bytes}"
        )),
    }
}

fn read_entry(
    zip: &mut ZipArchive<BufReader<&File>>,
    (index, name): (usize, &str),
    bytes: u64,
    limit: u64,
) -> Result<Vec<u8>, String> {
    if bytes > limit {
        return Err(format!(
            "zip entry `{name}` is {bytes} bytes long; at most {limit} are read"
        ));
    }
    let fail = |e: &dyn std::fmt::Display| format!("zip entry `{name}`: {e}");
    let entry = zip.by_index(index).map_err(|e| fail(&e))?;
    let mut data = Vec::new();
    entry.take(limit + 1).read_to_end(&mut data).map_err(|e| fail(&e))?;
    if data.len() as u64 != bytes {
        return Err(format!("zip entry `{name}` says {bytes} bytes and has {}", data.len()));
    }
    Ok(data)
}

/// Checks one tensor of the pickle against the storage it points into.
fn stored(name: &str, claim: &TensorClaim, storages: &BTreeMap<String, Extent>) -> Result<Stored, String> {
    let dtype = match claim.storage_type.as_str() {
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::Bf16,
        other => return Ok(Stored::OtherType(other.to_string())),
    };
    let Some(extent) = storages.get(&claim.storage_key) else {
        return Err(format!(
            "tensor `{name}` points to storage `{}`, which the zip does not have",
            claim.storage_key
        ));
    };
    let width = dtype.bytes() as u64;
    if claim.storage_elements.checked_mul(width) != Some(extent.bytes) {
        return Err(format!(
            "tensor `{name}`: its storage says {} elements of {dtype}, the zip entry has {} bytes",
            claim.storage_elements, extent.bytes
        ));
    }
    let elements = claim.shape.iter().try_fold(1_u64, |n, d| n.checked_mul(*d));
    let end = elements.and_then(|n| claim.offset.checked_add(n));
    if end.is_none_or(|end| end > claim.storage_elements) {
        return Err(format!(
            "tensor `{name}`: shape {:?} from element {} on leaves its storage of {} elements",
            claim.shape, claim.offset, claim.storage_elements
        ));
    }
    let stored_order = dense_order(&claim.shape, &claim.strides).ok_or_else(|| {
        format!(
            "tensor `{name}`: strides {:?} of shape {:?} overlap or leave gaps",
            claim.strides, claim.shape
        )
    })?;
    let shape = claim
        .shape
        .iter()
        .map(|d| usize::try_from(*d))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let offset = extent.start + claim.offset * width;
    Ok(Stored::Tensor(Layout {
        dtype,
        shape,
        stored_order,
        offset,
    }))
}

/// The order of dimensions, slowest first, in which `strides` walk a dense block; `None` inside `Some` for row-major;
/// `None` when they do not (they repeat elements or leave gaps).
fn dense_order(shape: &[u64], strides: &[u64]) -> Option<Option<Vec<usize>>> {
    if shape.len() != strides.len() {
        return None;
    }
    if shape.contains(&0) {
        return Some(None);
    }
    // A dimension of one element is never stepped along: its stride means nothing.
    let mut order: Vec<usize> = (0..shape.len()).filter(|d| shape[*d] > 1).collect();
    order.sort_by_key(|d| std::cmp::Reverse(strides[*d]));
    let mut expected = 1_u64;
    for &dim in order.iter().rev() {
        if strides[dim] != expected {
            return None;
        }
        expected = expected.checked_mul(shape[dim])?;
    }
    Some(if order.is_sorted() { None } else { Some(order) })
}
