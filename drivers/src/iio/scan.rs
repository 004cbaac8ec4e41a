//! How values lie in a scan.

/// One value's place and coding: `[be|le]:[s|u]bits/storagebits>>shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ScanType {
    big_endian: bool,
    signed: bool,
    bits: u32,
    storage_bytes: usize,
    shift: u32,
}

impl ScanType {
    /// What a `_type` attribute says. Repeated values and floating point, which no inertial sensor has, are not known.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (endian, rest) = text.trim().split_once(':')?;
        let (coding, shift) = rest.split_once(">>").unwrap_or((rest, "0"));
        let (value, storage) = coding.split_once('/')?;
        let (signed, bits) = match value.split_at_checked(1)? {
            ("s", bits) => (true, bits),
            ("u", bits) => (false, bits),
            _ => return None,
        };
        let parsed = Self {
            big_endian: match endian {
                "be" => true,
                "le" => false,
                _ => return None,
            },
            signed,
            bits: bits.parse().ok()?,
            storage_bytes: storage.parse::<usize>().ok()? / 8,
            shift: shift.parse().ok()?,
        };
        let fits = matches!(parsed.storage_bytes, 1 | 2 | 4 | 8)
            && (1..=64).contains(&parsed.bits)
            && parsed.shift < 64
            && (parsed.bits + parsed.shift) as usize <= parsed.storage_bytes * 8;
        fits.then_some(parsed)
    }

    fn value(self, bytes: &[u8]) -> i64 {
        let mut word = [0; 8];
        let word = if self.big_endian {
            word[8 - bytes.len()..].copy_from_slice(bytes);
            u64::from_be_bytes(word)
        } else {
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        // The value's bits to the top, and back with its sign.
        let unused = 64 - self.bits;
        let top = (word >> self.shift) << unused;
        if self.signed {
            (top as i64) >> unused
        } else {
            (top >> unused) as i64
        }
    }
}

/// Where the values of one scan are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    places: Vec<(usize, ScanType)>,
    pub(super) bytes: usize,
}

impl Layout {
    /// Values in the order of their scan indices: each at a multiple of its own size, the whole a multiple of the
    /// largest.
    pub(super) fn new(types: impl IntoIterator<Item = ScanType>) -> Self {
        let (mut places, mut at, mut largest) = (Vec::new(), 0_usize, 1);
        for scan_type in types {
            at = at.next_multiple_of(scan_type.storage_bytes);
            places.push((at, scan_type));
            at += scan_type.storage_bytes;
            largest = largest.max(scan_type.storage_bytes);
        }
        Self {
            places,
            bytes: at.next_multiple_of(largest),
        }
    }

    /// The value at `place` of the order; 0 beyond the end.
    pub(super) fn value(&self, scan: &[u8], place: usize) -> i64 {
        let Some((at, scan_type)) = self.places.get(place) else {
            return 0;
        };
        scan.get(*at..at + scan_type.storage_bytes)
            .map_or(0, |bytes| scan_type.value(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_whatever_surrounds_them() {
        for (text, bytes, value) in [
            ("le:s16/16>>0", &[0xfe, 0xff][..], -2),
            ("be:s12/16>>4", &[0xff, 0xef], -2),
            ("le:u12/16>>4", &[0xef, 0xff], 0xffe),
            ("le:s24/32>>8", &[0xff, 0x01, 0x00, 0x80], -0x7f_ffff),
            ("be:u8/8>>0", &[200], 200),
            ("le:s64/64>>0", &[0xff; 8], -1),
            ("be:s16/16", &[0x01, 0x00], 256),
        ] {
            let layout = Layout::new([ScanType::parse(text).unwrap()]);
            assert_eq!(layout.value(bytes, 0), value, "{text}");
        }
        for bad in [
            "",
            "s16/16>>0",
            "le:f32/32>>0",
            "le:s16/12>>0",
            "le:s16/16>>1",
            "le:s16/16X2>>0",
            "le:s0/16>>0",
        ] {
            assert_eq!(ScanType::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_are_aligned_to_their_size() {
        let types =
            ["le:s16/16>>0", "le:s32/32>>0", "le:s16/16>>0", "le:s64/64>>0"].map(|t| ScanType::parse(t).unwrap());
        let layout = Layout::new(types);
        let at: Vec<_> = layout.places.iter().map(|(at, _)| *at).collect();
        assert_eq!((at.as_slice(), layout.bytes), ([0, 4, 8, 16].as_slice(), 24));
        assert_eq!(Layout::new(types[..3].iter().copied()).bytes, 12);
    }
}
