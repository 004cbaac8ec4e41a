//! What an emulated USB device is: descriptors, control requests and, where it streams, one bulk IN endpoint.
//!
//! Layouts and request numbers: USB 2.0 specification, chapter 9.

use std::time::Duration;

/// The eight bytes that open a control transfer (USB 2.0, table 9-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Direction, type and recipient: `bmRequestType`.
    pub request_type: u8,
    /// What is asked: `bRequest`.
    pub request: u8,
    /// `wValue`.
    pub value: u16,
    /// `wIndex`.
    pub index: u16,
    /// Bytes of the data stage: `wLength`.
    pub length: u16,
}

impl Setup {
    /// Reads the eight bytes as they stand on the wire.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            request_type: bytes[0],
            request: bytes[1],
            value: word(2),
            index: word(4),
            length: word(6),
        }
    }

    /// Whether the data stage goes from the device to the host.
    #[must_use]
    pub fn to_host(self) -> bool {
        self.request_type & 0x80 != 0
    }

    /// Whether this is one of chapter 9's own requests, which [`standard`] answers.
    fn is_standard(self) -> bool {
        self.request_type & 0x60 == 0
    }

    fn to_endpoint(self) -> bool {
        self.request_type & 0x1f == 2
    }
}

/// Who a device says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `idVendor`.
    pub vendor: u16,
    /// `idProduct`.
    pub product: u16,
    /// `bDeviceClass`, `bDeviceSubClass`, `bDeviceProtocol`.
    pub class: [u8; 3],
    /// String descriptor 1.
    pub manufacturer: String,
    /// String descriptor 2.
    pub product_name: String,
    /// String descriptor 3: what a driver may know the device by when it comes back.
    pub serial: String,
}

/// The device does not serve this request: it stalls the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall;

/// An emulated USB device. Chapter 9's requests are answered for it.
pub trait Device: Send {
    /// Who it is; asked while it is enumerated.
    fn identity(&self) -> Identity;

    /// How many interfaces [`Device::interfaces`] describes.
    fn interface_count(&self) -> u8;

    /// Everything behind the nine bytes of the configuration descriptor.
    fn interfaces(&self) -> Vec<u8>;

    /// The kernel's modules that drive it: nothing inside the virtual machine loads them by itself.
    fn kernel_modules(&self) -> &'static [&'static str];

    /// A class or vendor request that reads. More than `setup.length` bytes are cut off.
    ///
    /// # Errors
    /// [`Stall`] for a request that the device does not know.
    fn read(&mut self, setup: Setup) -> Result<Vec<u8>, Stall>;

    /// A class or vendor request that writes `data`.
    ///
    /// # Errors
    /// [`Stall`] for a request that the device does not know.
    fn write(&mut self, setup: Setup, data: &[u8]) -> Result<(), Stall>;

    /// The host cleared an endpoint's halt, by which a bulk camera learns that the stream ended.
    fn halt_cleared(&mut self) {}

    /// The time from one bulk payload to the next while the device streams.
    fn stream_period(&self) -> Option<Duration> {
        None
    }

    /// The most bytes that [`Device::payload`] writes: a transfer of just that length ends without a short packet.
    fn payload_limit(&self) -> usize {
        0
    }

    /// Writes the next bulk payload into an empty `into`; left empty, this period passes without one.
    fn payload(&mut self, into: &mut Vec<u8>) {
        let _ = into;
    }
}

/// Carries out one control transfer: the bytes for the host, or none where the host wrote.
pub(super) fn control(device: &mut dyn Device, setup: Setup, data: &[u8]) -> Result<Vec<u8>, Stall> {
    let mut answer = if setup.is_standard() {
        standard(device, setup)?
    } else if setup.to_host() {
        device.read(setup)?
    } else {
        device.write(setup, data)?;
        Vec::new()
    };
    answer.truncate(usize::from(setup.length));
    Ok(answer)
}

/// Requests of USB 2.0, section 9.4.
fn standard(device: &mut dyn Device, setup: Setup) -> Result<Vec<u8>, Stall> {
    const GET_STATUS: u8 = 0;
    const CLEAR_FEATURE: u8 = 1;
    const GET_DESCRIPTOR: u8 = 6;
    const GET_CONFIGURATION: u8 = 8;
    const GET_INTERFACE: u8 = 10;
    match setup.request {
        GET_STATUS => Ok(vec![0, 0]),
        GET_DESCRIPTOR => descriptor(device, setup.value),
        GET_CONFIGURATION => Ok(vec![1]),
        GET_INTERFACE => Ok(vec![0]),
        CLEAR_FEATURE if setup.to_endpoint() => {
            device.halt_cleared();
            Ok(Vec::new())
        }
        _ if setup.to_host() => Err(Stall),
        // Addresses, configurations and alternate settings: there is one of each.
        _ => Ok(Vec::new()),
    }
}

/// Descriptors of USB 2.0, section 9.6: `which` holds the type above and the index below.
fn descriptor(device: &dyn Device, which: u16) -> Result<Vec<u8>, Stall> {
    const DEVICE: u8 = 1;
    const CONFIGURATION: u8 = 2;
    const STRING: u8 = 3;
    const DEVICE_QUALIFIER: u8 = 6;
    let [kind, index] = which.to_be_bytes();
    let identity = device.identity();
    match (kind, index) {
        (DEVICE, _) => {
            let mut bytes = vec![18, DEVICE, 0x00, 0x02];
            bytes.extend(identity.class);
            bytes.push(64);
            bytes.extend(identity.vendor.to_le_bytes());
            bytes.extend(identity.product.to_le_bytes());
            bytes.extend([0x00, 0x01, 1, 2, 3, 1]);
            Ok(bytes)
        }
        (CONFIGURATION, _) => {
            let interfaces = device.interfaces();
            let total = u16::try_from(9 + interfaces.len()).map_err(|_| Stall)?;
            let mut bytes = vec![9, CONFIGURATION];
            bytes.extend(total.to_le_bytes());
            bytes.extend([device.interface_count(), 1, 0, 0x80, 250]);
            bytes.extend(interfaces);
            Ok(bytes)
        }
        (STRING, 0) => Ok(vec![4, STRING, 0x09, 0x04]),
        (STRING, 1) => string(&identity.manufacturer),
        (STRING, 2) => string(&identity.product_name),
        (STRING, 3) => string(&identity.serial),
        (DEVICE_QUALIFIER, _) => Ok(vec![10, DEVICE_QUALIFIER, 0x00, 0x02, 0, 0, 0, 64, 1, 0]),
        _ => Err(Stall),
    }
}

fn string(text: &str) -> Result<Vec<u8>, Stall> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut bytes = vec![u8::try_from(2 + units.len()).map_err(|_| Stall)?, 3];
    bytes.extend(units);
    Ok(bytes)
}
