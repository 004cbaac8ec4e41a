//! One VoSPI packet: an ID, a checksum, 80 words.
//!
//! FLIR "Lepton Engineering Datasheet", 500-0659-00-09 rev 203, sections 4.2.2.1 and 4.2.3.1.

/// Bytes of a packet in Raw14 video format.
pub const PACKET_BYTES: usize = 164;
/// Words of payload: half a row of a Lepton 3, a row of a Lepton 2.
pub const PACKET_WORDS: usize = 80;

const HEADER_BYTES: usize = 4;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The chip had nothing to send: ID `xFxx`.
    Discard,
    /// Its checksum is wrong.
    Corrupt { expected: u16, found: u16 },
    /// A line of video or of telemetry.
    Line {
        /// 12 bits of the ID, from 0 in each segment.
        number: u16,
        /// The three T bits of the ID: the segment's number, but only in packet 20.
        segment: u8,
        /// The checksum, a fingerprint of the payload.
        checksum: u16,
        /// 160 bytes, words in big-endian order.
        payload: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    pub(super) fn parse(bytes: &'a [u8; PACKET_BYTES]) -> Self {
        let (header, payload) = bytes.split_at(HEADER_BYTES);
        if header[0] & 0x0F == 0x0F {
            return Self::Discard;
        }
        let found = u16::from_be_bytes([header[2], header[3]]);
        let expected = checksum(bytes);
        if expected != found {
            return Self::Corrupt { expected, found };
        }
        Self::Line {
            number: u16::from_be_bytes([header[0] & 0x0F, header[1]]),
            segment: header[0] >> 4 & 0x07,
            checksum: found,
            payload,
        }
    }
}

/// The checksum a packet should carry: CRC-16 with polynomial x¹⁶ + x¹² + x⁵ + x⁰ and initial value 0 over the whole
/// packet, the four top bits of the ID and the CRC field itself taken as zero (section 4.2.2.1).
#[must_use]
pub fn checksum(bytes: &[u8; PACKET_BYTES]) -> u16 {
    let masked = [bytes[0] & 0x0F, bytes[1], 0, 0];
    bytes[HEADER_BYTES..]
        .iter()
        .fold(masked.into_iter().fold(0, advance), |crc, byte| advance(crc, *byte))
}

fn advance(crc: u16, byte: u8) -> u16 {
    crc << 8 ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]
}

/// The remainder of each byte: at 27 Hz every packet of the stream is checked, bit by bit would cost eight times more.
static TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut remainder = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 0x8000 == 0 {
                remainder << 1
            } else {
                remainder << 1 ^ 0x1021
            };
            bit += 1;
        }
        table[index] = remainder;
        index += 1;
    }
    table
};
