//! Which packet of sound is which, and when it was captured: the count of samples as a clock.

use crate::sound::packet_queue::Packet;
use sensebind_core::{ClockFix, ClockMap, ClockMapSpec, Timestamp};

/// Numbers and dates packets in the order of their arrival.
#[derive(Debug)]
pub(crate) struct PacketTimes {
    rate_hz: u32,
    /// From the device's clock, which is its samples counted, to the host's.
    clock_map: ClockMap,
    overruns: u64,
    /// Frames lost by the device, estimated.
    lost_frames: u64,
    /// What comes next if nothing is lost.
    next_frame: u64,
    next_seq: u64,
}

impl PacketTimes {
    /// Nothing has come yet.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz: rate_hz.max(1),
            clock_map: ClockMap::new(ClockMapSpec::default()),
            overruns: 0,
            lost_frames: 0,
            next_frame: 0,
            next_seq: 0,
        }
    }

    /// The sequence number of `packet`, of `frames` frames, and when its first was captured. As many numbers are left out
    /// as packets of this length were lost, at least one for an overrun.
    pub fn place(&mut self, packet: &Packet, frames: u64) -> (u64, Timestamp) {
        let overrun = packet.overruns > self.overruns;
        if overrun {
            self.overruns = packet.overruns;
            self.lost_frames = self.lost_frames.saturating_add(self.missing_before(packet));
        }
        let first_frame = packet.first_frame.saturating_add(self.lost_frames);
        let lost = first_frame.saturating_sub(self.next_frame);
        let seq = self.next_seq + lost.div_ceil(frames.max(1)).max(u64::from(overrun));
        self.next_frame = first_frame.saturating_add(frames);
        self.next_seq = seq + 1;

        let device_ns = self.device_ns(first_frame);
        self.clock_map.observe(device_ns, packet.captured);
        (seq, self.clock_map.map(device_ns).unwrap_or(packet.captured))
    }

    /// How the device's clock lies to the host's.
    pub fn clock_fix(&self) -> Option<ClockFix> {
        self.clock_map.fix()
    }

    /// A device does not say how much it lost: as many frames as would have come until this packet did.
    fn missing_before(&self, packet: &Packet) -> u64 {
        let device_ns = self.device_ns(packet.first_frame.saturating_add(self.lost_frames));
        let expected = self.clock_map.map(device_ns).unwrap_or(packet.captured);
        let frames = packet.captured.since(expected).as_nanos() * u128::from(self.rate_hz) / 1_000_000_000;
        u64::try_from(frames).unwrap_or(u64::MAX)
    }

    /// The device's clock before `frame`, nanoseconds at the nominal rate.
    fn device_ns(&self, frame: u64) -> u64 {
        u64::try_from(u128::from(frame) * 1_000_000_000 / u128::from(self.rate_hz)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 48_000;
    /// 20 ms.
    const FRAMES: u64 = 960;

    /// A card that runs 100 ppm slow, whose packets come up to a millisecond late.
    fn packet(nth: u64, captured_ms: f64, overruns: u64) -> Packet {
        let late_ns = nth * 7919 % 1000 * 1000;
        Packet {
            first_frame: nth * FRAMES,
            captured: Timestamp::from_nanos((captured_ms * 1e6 * 1.0001) as u64 + late_ns + 1_000_000_000),
            overruns,
            bytes: 0,
        }
    }

    fn error_ms(time: Timestamp, captured_ms: f64) -> f64 {
        time.as_secs_f64() * 1e3 - captured_ms * 1.0001 - 1000.0
    }

    #[test]
    fn packets_follow_one_another_as_evenly_as_they_were_captured() {
        let mut times = PacketTimes::new(RATE_HZ);
        for nth in 0..3000 {
            let at_ms = nth as f64 * 20.0;
            let (seq, captured) = times.place(&packet(nth, at_ms, 0), FRAMES);
            assert_eq!(seq, nth);
            assert!(
                nth < 500 || error_ms(captured, at_ms).abs() < 0.1,
                "packet {nth}: {captured}"
            );
        }
        let fix = times.clock_fix().unwrap();
        assert!((fix.drift_ppm - 100.0).abs() < 5.0 && fix.steps == 0, "{fix:?}");
    }

    #[test]
    fn dropped_packets_leave_their_numbers_and_their_time() {
        let mut times = PacketTimes::new(RATE_HZ);
        for nth in (0..600).filter(|nth| !(540..553).contains(nth)) {
            let at_ms = nth as f64 * 20.0;
            let (seq, captured) = times.place(&packet(nth, at_ms, 0), FRAMES);
            assert_eq!(seq, nth);
            assert!(nth < 500 || error_ms(captured, at_ms).abs() < 0.1);
        }
    }

    #[test]
    fn an_overrun_is_as_long_as_the_silence_it_left() {
        let mut times = PacketTimes::new(RATE_HZ);
        let mut last = 0;
        for nth in 0..3000 {
            // The card stops for 250 ms, and later for less than a packet; its count of frames goes on without a gap.
            let (gap_ms, overruns) = match nth {
                0..1000 => (0.0, 0),
                1000..2000 => (250.0, 1),
                _ => (255.0, 2),
            };
            let at_ms = nth as f64 * 20.0 + gap_ms;
            let (seq, captured) = times.place(&packet(nth, at_ms, overruns), FRAMES);
            let left_out = if nth == 0 { 0 } else { seq - last - 1 };
            match nth {
                1000 => assert_eq!(left_out, 13),
                2000 => assert_eq!(left_out, 1),
                _ => assert_eq!(left_out, 0, "packet {nth}"),
            }
            last = seq;
            let settled = nth >= 500 && nth % 1000 > 10;
            assert!(
                !settled || error_ms(captured, at_ms).abs() < 1.1,
                "packet {nth}: {captured}"
            );
        }
        assert_eq!(times.clock_fix().unwrap().steps, 0);
    }
}
