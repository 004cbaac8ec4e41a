//! Reads and writes CDR, the encoding of ROS 2 messages (OMG DDSI-RTPS 2.2, section 10; CORBA 3.4, chapter 9.3).
//!
//! Four bytes say the byte order, then come the fields one after the other, each aligned to its own size.

/// Why bytes are no message of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CdrError {
    /// The message ends before its last field.
    Short,
    /// Its first bytes name another encoding than plain CDR.
    Encapsulation,
    /// A string is not UTF-8 or lacks its final zero.
    Text,
}

impl CdrError {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Short => "CDR message ends before its last field",
            Self::Encapsulation => "expected plain CDR (00 00 or 00 01 first), found another encapsulation",
            Self::Text => "CDR string is not UTF-8 that ends with a zero",
        }
    }
}

/// A position in a message.
#[derive(Debug, Clone)]
pub(crate) struct CdrReader<'a> {
    /// What follows the four encapsulation bytes; alignment counts from here.
    body: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> CdrReader<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Result<Self, CdrError> {
        let (header, body) = message.split_first_chunk::<4>().ok_or(CdrError::Short)?;
        let big_endian = match header[..2] {
            [0, 0] => true,
            [0, 1] => false,
            _ => return Err(CdrError::Encapsulation),
        };
        Ok(Self {
            body,
            at: 0,
            big_endian,
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CdrError> {
        let start = self.at.next_multiple_of(N.max(1));
        let bytes = self
            .body
            .get(start..)
            .and_then(|rest| rest.first_chunk::<N>())
            .ok_or(CdrError::Short)?;
        self.at = start + N;
        Ok(*bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CdrError> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, CdrError> {
        let bytes = self.take()?;
        Ok(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    pub(crate) fn f64(&mut self) -> Result<f64, CdrError> {
        let bytes = self.take()?;
        Ok(if self.big_endian {
            f64::from_be_bytes(bytes)
        } else {
            f64::from_le_bytes(bytes)
        })
    }

    pub(crate) fn f64s<const N: usize>(&mut self) -> Result<[f64; N], CdrError> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = self.f64()?;
        }
        Ok(values)
    }

    /// `sequence<uint8>`.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CdrError> {
        let length = self.u32()? as usize;
        let bytes = self
            .body
            .get(self.at..)
            .and_then(|rest| rest.get(..length))
            .ok_or(CdrError::Short)?;
        self.at += length;
        Ok(bytes)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, CdrError> {
        match self.bytes()? {
            // Some writers give an empty string no final zero.
            [] => Ok(""),
            [text @ .., 0] => std::str::from_utf8(text).map_err(|_| CdrError::Text),
            _ => Err(CdrError::Text),
        }
    }

    /// `std_msgs/Header`: stamp and frame name. Skipped: the log's clock is the one all streams share.
    pub(crate) fn skip_header(&mut self) -> Result<(), CdrError> {
        self.u32()?;
        self.u32()?;
        self.text()?;
        Ok(())
    }
}

/// Builds a little-endian message.
#[derive(Debug)]
pub(crate) struct CdrWriter {
    out: Vec<u8>,
}

impl CdrWriter {
    const ENCAPSULATION: [u8; 4] = [0, 1, 0, 0];

    /// Begins a message in the buffer `out`, whatever that held.
    pub(crate) fn new(mut out: Vec<u8>) -> Self {
        out.clear();
        out.extend(Self::ENCAPSULATION);
        Self { out }
    }

    fn align(&mut self, to: usize) {
        let body = self.out.len() - Self::ENCAPSULATION.len();
        self.out
            .resize(Self::ENCAPSULATION.len() + body.next_multiple_of(to), 0);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.align(4);
        self.out.extend(value.to_le_bytes());
    }

    pub(crate) fn f64s(&mut self, values: &[f64]) {
        self.align(8);
        for value in values {
            self.out.extend(value.to_le_bytes());
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len() + 1).unwrap_or(u32::MAX));
        self.out.extend(text.as_bytes());
        self.out.push(0);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_aligned_to_their_own_size_after_the_encapsulation() {
        let mut w = CdrWriter::new(Vec::new());
        w.text("ab");
        w.f64s(&[1.5]);
        w.u32(7);
        let message = w.finish();
        assert_eq!(message.len(), 4 + 4 + 3 + 1 + 8 + 4);
        let mut r = CdrReader::new(&message).unwrap();
        assert_eq!((r.text(), r.f64(), r.u32()), (Ok("ab"), Ok(1.5), Ok(7)));
        assert_eq!(r.u8(), Err(CdrError::Short));
    }

    #[test]
    fn both_byte_orders_and_nothing_else() {
        assert_eq!(CdrReader::new(&[0, 0, 0, 0, 0, 0, 1, 2]).unwrap().u32(), Ok(0x0102));
        assert_eq!(
            CdrReader::new(&[0, 1, 0, 0, 0, 0, 1, 2]).unwrap().u32(),
            Ok(0x0201_0000)
        );
        assert_eq!(CdrReader::new(&[0, 3, 0, 0, 0]).unwrap_err(), CdrError::Encapsulation);
        assert_eq!(CdrReader::new(&[0, 1, 0]).unwrap_err(), CdrError::Short);
    }

    #[test]
    fn a_length_beyond_the_end_is_short_not_a_panic() {
        let mut r = CdrReader::new(&[0, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]).unwrap();
        assert_eq!(r.bytes(), Err(CdrError::Short));
    }
}
