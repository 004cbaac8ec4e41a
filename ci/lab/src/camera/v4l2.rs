//! The structures and numbers of `include/uapi/linux/videodev2.h`, as far as a capture device needs them, on a 64-bit
//! machine.

use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(crate) const CAPTURE: u32 = 1;
pub(crate) const MEMORY_MMAP: u32 = 1;
pub(crate) const FIELD_NONE: u32 = 1;
pub(crate) const COLORSPACE_SRGB: u32 = 8;
pub(crate) const CAP_VIDEO_CAPTURE: u32 = 0x1;
pub(crate) const CAP_EXT_PIX_FORMAT: u32 = 0x0020_0000;
pub(crate) const CAP_STREAMING: u32 = 0x0400_0000;
pub(crate) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
pub(crate) const CAP_TIMEPERFRAME: u32 = 0x1000;
pub(crate) const BUF_CAP_SUPPORTS_MMAP: u32 = 1;
pub(crate) const FMT_FLAG_COMPRESSED: u32 = 1;
pub(crate) const FRAME_TYPE_DISCRETE: u32 = 1;
pub(crate) const INPUT_TYPE_CAMERA: u32 = 2;
pub(crate) const BUF_MAPPED: u32 = 0x1;
pub(crate) const BUF_QUEUED: u32 = 0x2;
pub(crate) const BUF_DONE: u32 = 0x4;
pub(crate) const BUF_ERROR: u32 = 0x40;
pub(crate) const BUF_STAMP_MONOTONIC: u32 = 0x2000;
pub(crate) const BUF_STAMP_START_OF_EXPOSURE: u32 = 0x1_0000;

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Capability {
    pub(crate) driver: [u8; 16],
    pub(crate) card: [u8; 32],
    pub(crate) bus_info: [u8; 32],
    pub(crate) version: u32,
    pub(crate) capabilities: u32,
    pub(crate) device_caps: u32,
    pub(crate) reserved: [u32; 3],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FormatDescription {
    pub(crate) index: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) description: [u8; 32],
    pub(crate) pixelformat: u32,
    pub(crate) reserved: [u32; 4],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Format {
    pub(crate) kind: u32,
    pub(crate) padding: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixelformat: u32,
    pub(crate) field: u32,
    pub(crate) bytesperline: u32,
    pub(crate) sizeimage: u32,
    pub(crate) colorspace: u32,
    pub(crate) private: u32,
    pub(crate) rest: [u32; 42],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct RequestBuffers {
    pub(crate) count: u32,
    pub(crate) kind: u32,
    pub(crate) memory: u32,
    pub(crate) capabilities: u32,
    pub(crate) flags: u32,
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) index: u32,
    pub(crate) kind: u32,
    pub(crate) bytesused: u32,
    pub(crate) flags: u32,
    pub(crate) field: u32,
    pub(crate) padding: u32,
    pub(crate) seconds: i64,
    pub(crate) microseconds: i64,
    pub(crate) timecode: [u32; 4],
    pub(crate) sequence: u32,
    pub(crate) memory: u32,
    pub(crate) offset: u32,
    pub(crate) offset_padding: u32,
    pub(crate) length: u32,
    pub(crate) reserved: [u32; 3],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct StreamParameters {
    pub(crate) kind: u32,
    pub(crate) capability: u32,
    pub(crate) capturemode: u32,
    pub(crate) numerator: u32,
    pub(crate) denominator: u32,
    pub(crate) rest: [u32; 46],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FrameSize {
    pub(crate) index: u32,
    pub(crate) pixel_format: u32,
    pub(crate) kind: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) rest: [u32; 6],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FrameInterval {
    pub(crate) index: u32,
    pub(crate) pixel_format: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) kind: u32,
    pub(crate) numerator: u32,
    pub(crate) denominator: u32,
    pub(crate) rest: [u32; 6],
}

#[derive(Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Input {
    pub(crate) index: u32,
    pub(crate) name: [u8; 32],
    pub(crate) kind: u32,
    pub(crate) rest: [u32; 10],
}

const fn code(direction: u32, number: u32, bytes: usize) -> u32 {
    direction << 30 | (bytes as u32) << 16 | (b'V' as u32) << 8 | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;
const BOTH: u32 = 3;

pub(crate) const QUERYCAP: u32 = code(READ, 0, size_of::<Capability>());
pub(crate) const ENUM_FMT: u32 = code(BOTH, 2, size_of::<FormatDescription>());
pub(crate) const G_FMT: u32 = code(BOTH, 4, size_of::<Format>());
pub(crate) const S_FMT: u32 = code(BOTH, 5, size_of::<Format>());
pub(crate) const REQBUFS: u32 = code(BOTH, 8, size_of::<RequestBuffers>());
pub(crate) const QUERYBUF: u32 = code(BOTH, 9, size_of::<Buffer>());
pub(crate) const QBUF: u32 = code(BOTH, 15, size_of::<Buffer>());
pub(crate) const DQBUF: u32 = code(BOTH, 17, size_of::<Buffer>());
pub(crate) const STREAMON: u32 = code(WRITE, 18, 4);
pub(crate) const STREAMOFF: u32 = code(WRITE, 19, 4);
pub(crate) const G_PARM: u32 = code(BOTH, 21, size_of::<StreamParameters>());
pub(crate) const S_PARM: u32 = code(BOTH, 22, size_of::<StreamParameters>());
pub(crate) const ENUMINPUT: u32 = code(BOTH, 26, size_of::<Input>());
pub(crate) const G_INPUT: u32 = code(READ, 38, 4);
pub(crate) const S_INPUT: u32 = code(BOTH, 39, 4);
pub(crate) const TRY_FMT: u32 = code(BOTH, 64, size_of::<Format>());
pub(crate) const ENUM_FRAMESIZES: u32 = code(BOTH, 74, size_of::<FrameSize>());
pub(crate) const ENUM_FRAMEINTERVALS: u32 = code(BOTH, 75, size_of::<FrameInterval>());

const _: () = {
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FormatDescription>() == 64);
    assert!(size_of::<Format>() == 208);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<Buffer>() == 88);
    assert!(size_of::<StreamParameters>() == 204);
    assert!(size_of::<FrameSize>() == 44);
    assert!(size_of::<FrameInterval>() == 52);
    assert!(size_of::<Input>() == 80);
};

/// A C string in a fixed field, cut where it does not fit.
pub(crate) fn text<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    field[..N - 1]
        .iter_mut()
        .zip(text.bytes())
        .for_each(|(to, from)| *to = from);
    field
}
