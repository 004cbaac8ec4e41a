//! The smallest writer of `torch.save` files: enough pickle for a state dict, and for breaking one on purpose.

use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// A tensor to pickle. Its numbers go to the storage `key`.
pub struct Entry<'a> {
    pub name: &'a str,
    pub storage: &'a str,
    pub key: &'a str,
    pub elements: u32,
    pub offset: u32,
    pub shape: &'a [u32],
    pub strides: &'a [u32],
}

/// A pickle under construction (protocol 2).
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub fn global(self, module: &str, name: &str) -> Self {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn text(self, text: &str) -> Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    pub fn int(self, n: u32) -> Self {
        self.op(b"J").op(&n.to_le_bytes())
    }

    pub fn ints(self, ints: &[u32]) -> Self {
        ints.iter().fold(self.op(b"("), |p, n| p.int(*n)).op(b"t")
    }

    /// Name and tensor, as items of the dictionary that is open.
    pub fn tensor(self, entry: &Entry<'_>) -> Self {
        self.text(entry.name)
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b"((")
            .text("storage")
            .global("torch", entry.storage)
            .text(entry.key)
            .text("cpu")
            .int(entry.elements)
            .op(b"tQ")
            .int(entry.offset)
            .ints(entry.shape)
            .ints(entry.strides)
            .op(b"\x89")
            .global("collections", "OrderedDict")
            .op(b")RtR")
    }

    /// A whole state dict with its `_metadata`, as `torch.save(model.state_dict())` writes it.
    pub fn state_dict(entries: &[Entry<'_>]) -> Vec<u8> {
        let start = Self::new().global("collections", "OrderedDict").op(b")Rq\x00(");
        let items = entries.iter().fold(start, Self::tensor);
        items.op(b"u}").text("_metadata").op(b"}sb.").0
    }
}

/// A zip as `torch.save` lays it out.
pub fn zip(pickle: &[u8], storages: &[(&str, &[u8])], compression: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(compression);
    let mut add = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), options).expect("entry");
        zip.write_all(bytes).expect("bytes");
    };
    add("data.pkl", pickle);
    add("byteorder", b"little");
    for (key, bytes) in storages {
        add(&format!("data/{key}"), bytes);
    }
    zip.finish().expect("zip").into_inner()
}
