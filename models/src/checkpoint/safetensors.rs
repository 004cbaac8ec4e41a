//! The directory of a safetensors file: 8 bytes of header length, a JSON header, then the numbers.

use super::{Dtype, Layout, Stored};
use safetensors::tensor::Metadata;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Longest header read; the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Every tensor of the `file` of `file_bytes` bytes.
pub(super) fn directory(file: &File, file_bytes: u64) -> Result<BTreeMap<String, Stored>, String> {
    let mut length = [0; 8];
    file.read_exact_at(&mut length, 0)
        .map_err(|e| format!("header length: {e}"))?;
    let header_bytes = u64::from_le_bytes(length);
    let data_start = header_bytes
        .checked_add(8)
        .filter(|start| *start <= file_bytes && header_bytes <= MAX_HEADER_BYTES);
    let Some(data_start) = data_start else {
        return Err(format!(
            "safetensors header says it is {header_bytes} bytes long; the file has {file_bytes}"
        ));
    };
    let mut header = vec![0; usize::try_from(header_bytes).map_err(|e| e.to_string())?];
    file.read_exact_at(&mut header, 8).map_err(|e| format!("header: {e}"))?;
    // Checks that tensors lie end to end without gap or overlap and that each shape fits its bytes.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| format!("safetensors header: {e}"))?;
    let data_bytes = file_bytes - data_start;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        if end as u64 > data_bytes {
            return Err(format!(
                "tensor `{name}` ends at byte {end} of {data_bytes}: the file is cut off"
            ));
        }
        let dtype = match info.dtype {
            safetensors::Dtype::F32 => Dtype::F32,
            safetensors::Dtype::F16 => Dtype::F16,
            safetensors::Dtype::BF16 => Dtype::Bf16,
            other => {
                tensors.insert(name, Stored::OtherType(format!("{other:?}")));
                continue;
            }
        };
        let offset = data_start + start as u64;
        let layout = Layout {
            dtype,
            shape: info.shape.clone(),
            stored_order: None,
            offset,
        };
        tensors.insert(name, Stored::Tensor(layout));
    }
    Ok(tensors)
}
