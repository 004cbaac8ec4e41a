//! What an IIO device is and measures.

use std::fmt;

/// How one value lies in a scan: `[be|le]:[s|u]bits/storagebits>>shift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanType {
    big_endian: bool,
    signed: bool,
    bits: u32,
    storage_bits: u32,
    shift: u32,
}

impl ScanType {
    /// A signed little-endian value of `bits` in `storage_bits` (8, 16, 32 or 64), `shift` bits up.
    pub fn signed(bits: u32, storage_bits: u32, shift: u32) -> Self {
        Self {
            big_endian: false,
            signed: true,
            bits,
            storage_bits: storage_bits.next_power_of_two().clamp(8, 64),
            shift,
        }
    }

    /// The same without a sign.
    pub fn unsigned(bits: u32, storage_bits: u32, shift: u32) -> Self {
        Self {
            signed: false,
            ..Self::signed(bits, storage_bits, shift)
        }
    }

    /// The same, first byte highest.
    #[must_use]
    pub fn big_endian(self) -> Self {
        Self {
            big_endian: true,
            ..self
        }
    }

    pub(crate) fn bytes(self) -> usize {
        self.storage_bits as usize / 8
    }

    /// Appends a value. Bits that are not the value's are ones, so that a reader who forgets to mask them fails.
    pub(crate) fn put(self, value: i64, scan: &mut Vec<u8>) {
        let ones = |bits: u32| if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        let mask = ones(self.bits) << self.shift;
        let word = ((value as u64) << self.shift) & mask | !mask & ones(self.storage_bits);
        let bytes = self.bytes();
        if self.big_endian {
            scan.extend_from_slice(&word.to_be_bytes()[8 - bytes..]);
        } else {
            scan.extend_from_slice(&word.to_le_bytes()[..bytes]);
        }
    }
}

impl fmt::Display for ScanType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endian = if self.big_endian { "be" } else { "le" };
        let sign = if self.signed { 's' } else { 'u' };
        write!(f, "{endian}:{sign}{}/{}>>{}", self.bits, self.storage_bits, self.shift)
    }
}

/// An IIO device as a test describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct IioSpec {
    pub(crate) name: String,
    pub(crate) rate_hz: f64,
    pub(crate) channels: Vec<(String, ScanType)>,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) new_style: bool,
}

impl IioSpec {
    /// A device whose driver calls it `name`, sampling at `rate_hz` until `sampling_frequency` is written.
    pub fn new(name: &str, rate_hz: f64) -> Self {
        Self {
            name: name.to_owned(),
            rate_hz: if rate_hz > 0.0 && rate_hz.is_finite() {
                rate_hz
            } else {
                1.0
            },
            channels: Vec::new(),
            attributes: Vec::new(),
            new_style: true,
        }
    }

    /// Another channel, such as `in_accel_x`; its scan index is its place in this order. A time stamp (`in_timestamp`,
    /// 64 bits) follows them all.
    #[must_use]
    pub fn channel(mut self, name: &str, scan_type: ScanType) -> Self {
        self.channels.push((name.to_owned(), scan_type));
        self
    }

    /// Another attribute that never changes: `in_accel_scale`, `in_accel_mount_matrix`, `label` and the like.
    #[must_use]
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As kernels before 5.11 have it: `buffer/` and `scan_elements/`, but no `buffer0/`.
    #[must_use]
    pub fn legacy_only(mut self) -> Self {
        self.new_style = false;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_where_the_type_says() {
        let put = |scan_type: ScanType, value| {
            let mut scan = Vec::new();
            scan_type.put(value, &mut scan);
            scan
        };
        let twelve = ScanType::signed(12, 16, 4);
        assert_eq!(twelve.to_string(), "le:s12/16>>4");
        assert_eq!(
            put(twelve, -2),
            [0xef, 0xff],
            "-2 is 0xffe, 0xffe0 shifted, the low bits ones"
        );
        assert_eq!(put(twelve.big_endian(), 1), [0x00, 0x1f]);
        assert_eq!(put(ScanType::unsigned(24, 32, 0), 0x01_0203), [3, 2, 1, 0xff]);
        assert_eq!(put(ScanType::signed(64, 64, 0), -1), [0xff; 8]);
    }
}
