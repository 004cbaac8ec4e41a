//! Sensor logs: MCAP in and out.
