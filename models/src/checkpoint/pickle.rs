//! Reads the pickle of a state dict. Executes nothing.
//!
//! Pickle is a small stack machine (PEP 307; CPython `Lib/pickletools.py` documents each opcode). This one knows the
//! opcodes and the globals that `torch.save` uses for a state dict, and builds only tuples, dictionaries and
//! descriptions of tensors. Anything else is refused by name. Values are indices into flat arenas: a cycle, a deep
//! nest or a shared value costs nothing and cannot overflow the stack.

use std::collections::{BTreeMap, HashMap};

/// Most values a pickle may create; the huge model's creates about 50 000.
const MAX_VALUES: usize = 1 << 20;
/// Most open marks: a state dict nests four deep.
const MAX_MARKS: usize = 64;
/// Most dimensions of a tensor.
const MAX_DIMENSIONS: usize = 16;

/// Longest name of a storage: PyTorch counts them from `0`.
const MAX_KEY_BYTES: usize = 64;

/// What a pickle says about one tensor. Nothing of it is checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorClaim {
    /// PyTorch's storage class: `FloatStorage`, `HalfStorage`, …
    pub storage_type: String,
    /// Name of the storage's zip entry under `data/`.
    pub storage_key: String,
    /// Elements of the whole storage.
    pub storage_elements: u64,
    /// First element.
    pub offset: u64,
    /// Elements per dimension.
    pub shape: Vec<u64>,
    /// Elements between neighbours per dimension.
    pub strides: Vec<u64>,
}

/// Every tensor of a state dict, by name.
pub(super) fn state_dict(pickle: &[u8]) -> Result<BTreeMap<String, TensorClaim>, String> {
    let mut machine = Machine {
        bytes: pickle,
        ..Machine::default()
    };
    let Value::Dict(root) = machine.run()? else {
        return Err("the top level is no dictionary; save `model.state_dict()`".into());
    };
    let mut tensors = BTreeMap::new();
    for (key, value) in &machine.dicts[root] {
        let Value::Str(name) = key else {
            return Err(format!("a key is {}, expected a tensor's name", key.kind()));
        };
        let Value::Tensor(index) = value else {
            return Err(format!(
                "`{name}` is {}, expected a tensor; save `model.state_dict()`",
                value.kind()
            ));
        };
        if tensors
            .insert((*name).to_string(), machine.tensors[*index].clone())
            .is_some()
        {
            return Err(format!("`{name}` is there twice"));
        }
    }
    Ok(tensors)
}

/// The only names from Python that are understood, and what is done for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// Index into [`STORAGES`].
    Storage(usize),
}

const STORAGES: [&str; 10] = [
    "FloatStorage",
    "HalfStorage",
    "BFloat16Storage",
    "DoubleStorage",
    "LongStorage",
    "IntStorage",
    "ShortStorage",
    "CharStorage",
    "ByteStorage",
    "BoolStorage",
];

impl Global {
    fn named(module: &str, name: &str) -> Result<Self, String> {
        let storage = || STORAGES.iter().position(|s| *s == name).map(Self::Storage);
        let global = match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", _) => storage(),
            _ => None,
        };
        global.ok_or_else(|| {
            format!("asks for the Python object `{module}.{name}`, which no state dict needs; nothing was executed")
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    None,
    Bool,
    Int(i64),
    Str(&'a str),
    Tuple(usize),
    Dict(usize),
    Global(Global),
    Storage(usize),
    Tensor(usize),
}

impl Value<'_> {
    const fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool => "a bool",
            Self::Int(_) => "an integer",
            Self::Str(_) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Global(_) => "a Python name",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

#[derive(Debug)]
struct StorageClaim<'a> {
    kind: &'static str,
    key: &'a str,
    elements: u64,
}

#[derive(Debug, Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
    stack: Vec<Value<'a>>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    tuples: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    storages: Vec<StorageClaim<'a>>,
    tensors: Vec<TensorClaim>,
}

impl<'a> Machine<'a> {
    /// Runs to the STOP opcode and returns the one value left.
    fn run(&mut self) -> Result<Value<'a>, String> {
        loop {
            let at = self.at;
            let [opcode] = *self.take::<1>()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode).map_err(|why| format!("byte {at}: {why}"))?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => match *self.take::<1>()? {
                [2] => Ok(()),
                [version] => Err(format!(
                    "pickle protocol {version}; torch.save's is 2: save with the default"
                )),
            },
            b'}' => self.new_dict(),
            b')' => self.new_tuple(0),
            0x85 => self.new_tuple(1),
            0x86 => self.new_tuple(2),
            0x87 => self.new_tuple(3),
            b't' => {
                let items = self.pop_mark()?;
                self.new_tuple(items)
            }
            b'(' => {
                if self.marks.len() == MAX_MARKS {
                    return Err(format!("more than {MAX_MARKS} open marks"));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool),
            b'K' => {
                let [n] = *self.take::<1>()?;
                self.push(Value::Int(n.into()))
            }
            b'M' => {
                let n = u16::from_le_bytes(*self.take()?);
                self.push(Value::Int(n.into()))
            }
            b'J' => {
                let n = i32::from_le_bytes(*self.take()?);
                self.push(Value::Int(n.into()))
            }
            0x8a => {
                let n = self.long()?;
                self.push(Value::Int(n))
            }
            b'X' => {
                let text = self.text()?;
                self.push(Value::Str(text))
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(Global::named(module, name)?))
            }
            b'q' => {
                let [key] = *self.take::<1>()?;
                self.remember(key.into())
            }
            b'r' => {
                let key = u32::from_le_bytes(*self.take()?);
                self.remember(key)
            }
            b'h' => {
                let [key] = *self.take::<1>()?;
                self.recall(key.into())
            }
            b'j' => {
                let key = u32::from_le_bytes(*self.take()?);
                self.recall(key)
            }
            b's' => self.set_items(2),
            b'u' => {
                let items = self.pop_mark()?;
                self.set_items(items)
            }
            b'Q' => self.storage(),
            b'R' => self.reduce(),
            b'b' => self.build(),
            other => Err(format!(
                "opcode 0x{other:02x}, which no state dict needs; nothing was executed"
            )),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], String> {
        let bytes = self
            .bytes
            .get(self.at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or("the pickle is cut off")?;
        self.at += N;
        Ok(bytes)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("says {length} bytes follow; {} do", self.bytes.len() - self.at))?;
        let bytes = &self.bytes[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let length = u32::from_le_bytes(*self.take()?) as usize;
        std::str::from_utf8(self.slice(length)?).map_err(|e| format!("a string is no UTF-8: {e}"))
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| *b == b'\n').ok_or("a name without an end")?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|e| format!("a name is no UTF-8: {e}"))
    }

    /// LONG1: little-endian two's complement of up to eight bytes.
    fn long(&mut self) -> Result<i64, String> {
        let [length] = *self.take::<1>()?;
        let bytes = self.slice(length.into())?;
        if bytes.len() > 8 {
            return Err(format!("an integer of {} bytes; at most 8", bytes.len()));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), String> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(format!("more than {MAX_VALUES} values"));
        }
        self.stack.push(value);
        Ok(())
    }

    /// Values on the stack above the last mark.
    fn above_mark(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        if self.above_mark() == 0 {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn pop_mark(&mut self) -> Result<usize, String> {
        let items = self.above_mark();
        self.marks.pop().ok_or("no mark is open")?;
        Ok(items)
    }

    /// Takes the last `items` values off the stack.
    fn pop_many(&mut self, items: usize) -> Result<Vec<Value<'a>>, String> {
        if items > self.above_mark() {
            return Err(format!("takes {items} values off a stack of {}", self.above_mark()));
        }
        Ok(self.stack.split_off(self.stack.len() - items))
    }

    fn new_tuple(&mut self, items: usize) -> Result<(), String> {
        let items = self.pop_many(items)?;
        self.tuples.push(items);
        self.push(Value::Tuple(self.tuples.len() - 1))
    }

    fn new_dict(&mut self) -> Result<(), String> {
        self.dicts.push(Vec::new());
        self.push(Value::Dict(self.dicts.len() - 1))
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        let value = self.pop()?;
        self.stack.push(value);
        if self.memo.len() == MAX_VALUES {
            return Err(format!("remembers more than {MAX_VALUES} values"));
        }
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let value = *self
            .memo
            .get(&key)
            .ok_or_else(|| format!("recalls value {key}, which was never stored"))?;
        self.push(value)
    }

    fn set_items(&mut self, items: usize) -> Result<(), String> {
        let items = self.pop_many(items)?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("a dictionary key without a value".into());
        }
        match self.stack.last() {
            Some(Value::Dict(dict)) if self.above_mark() > 0 => {
                self.dicts[*dict].extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            other => Err(format!("puts items into {}", other.map_or("nothing", Value::kind))),
        }
    }

    /// BINPERSID: `("storage", <storage class>, key, device, elements)`.
    fn storage(&mut self) -> Result<(), String> {
        let value = self.pop()?;
        let Value::Tuple(tuple) = value else {
            return Err(format!("a persistent id is {}, expected a tuple", value.kind()));
        };
        let [
            Value::Str("storage"),
            Value::Global(Global::Storage(kind)),
            Value::Str(key),
            Value::Str(_),
            elements,
        ] = self.tuples[tuple][..]
        else {
            return Err("a persistent id that is no (\"storage\", class, key, device, elements)".into());
        };
        if key.len() > MAX_KEY_BYTES {
            return Err(format!(
                "a storage name of {} bytes; at most {MAX_KEY_BYTES}",
                key.len()
            ));
        }
        let elements = natural(elements, "a storage's element count")?;
        self.storages.push(StorageClaim {
            kind: STORAGES[kind],
            key,
            elements,
        });
        self.push(Value::Storage(self.storages.len() - 1))
    }

    /// REDUCE: "calls" one of the known globals, that is, describes what PyTorch would build.
    fn reduce(&mut self) -> Result<(), String> {
        let [callee, arguments] = self.pop_many(2)?[..] else {
            return Err("a call without arguments".into());
        };
        let (Value::Global(global), Value::Tuple(tuple)) = (callee, arguments) else {
            return Err(format!("calls {} with {}", callee.kind(), arguments.kind()));
        };
        match (global, &self.tuples[tuple][..]) {
            (Global::OrderedDict, []) => self.new_dict(),
            // (storage, offset, shape, strides, requires_grad, backward_hooks[, metadata])
            (
                Global::RebuildTensor,
                &[
                    Value::Storage(storage),
                    offset,
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    ..,
                ],
            ) => {
                let claim = TensorClaim {
                    storage_type: self.storages[storage].kind.to_string(),
                    storage_key: self.storages[storage].key.to_string(),
                    storage_elements: self.storages[storage].elements,
                    offset: natural(offset, "a tensor's offset")?,
                    shape: self.naturals(shape, "a tensor's shape")?,
                    strides: self.naturals(strides, "a tensor's strides")?,
                };
                self.tensors.push(claim);
                self.push(Value::Tensor(self.tensors.len() - 1))
            }
            // (tensor, requires_grad, backward_hooks)
            (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => self.push(tensor),
            (global, arguments) => Err(format!(
                "calls {global:?} with {} unexpected arguments",
                arguments.len()
            )),
        }
    }

    /// BUILD sets attributes. A state dict's only ones are its `_metadata` (module versions), which no weight needs.
    fn build(&mut self) -> Result<(), String> {
        match self.pop_many(2)?[..] {
            [object @ Value::Dict(_), Value::Dict(_)] => {
                self.stack.push(object);
                Ok(())
            }
            [object, state] => Err(format!("sets the state of {} from {}", object.kind(), state.kind())),
            _ => Err("sets the state of nothing".into()),
        }
    }

    fn naturals(&self, tuple: usize, what: &str) -> Result<Vec<u64>, String> {
        let items = &self.tuples[tuple];
        if items.len() > MAX_DIMENSIONS {
            return Err(format!(
                "{what} has {} dimensions; at most {MAX_DIMENSIONS}",
                items.len()
            ));
        }
        items.iter().map(|item| natural(*item, what)).collect()
    }
}

fn natural(value: Value<'_>, what: &str) -> Result<u64, String> {
    match value {
        Value::Int(n) => u64::try_from(n).map_err(|_| format!("{what} is {n}")),
        other => Err(format!("{what} is {}", other.kind())),
    }
}
