//! What `run` and `record` share: a board's sensors, the log they are recorded to, and what is told meanwhile.

mod recording;
mod report;

pub use report::{Reporter, Style, conclude};

use crate::board::Board;
use crate::exit::{Exit, Failure, OrExit};
use recording::Recording;
use sensebind_core::Clock;
use sensebind_drivers::host_clock::HostClock;
use sensebind_engine::Perceive;
use sensebind_engine::live::{self, Limits, LiveError, Opener, Recorder, Sensor, Summary};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A board about to be run.
pub struct Session {
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
}

impl Session {
    /// Begins now. From here on Ctrl-C and SIGTERM end the run in good order; a second one ends the process.
    ///
    /// # Errors
    /// With [`Exit::Failure`] when the signals cannot be caught.
    pub fn start() -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            if asked.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .or_exit(Exit::Failure)?;
        Ok(Self {
            clock: Arc::new(HostClock::start()),
            stop,
        })
    }

    /// The clock of this run.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// What ends the run when set.
    pub fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Captures the board's sensors until the run is stopped or all have ended. Blocks.
    ///
    /// # Errors
    /// With [`Exit::Configuration`] for settings that do not fit, [`Exit::Failure`] for a log that cannot be created,
    /// [`Exit::Model`] when a model fails.
    pub fn run(
        &self,
        board: Board,
        perceive: Option<Perceive>,
        log: Option<(&Path, Option<u64>)>,
        reporter: &mut Reporter,
    ) -> Result<Summary, Failure> {
        let about = board
            .description
            .as_ref()
            .map_or_else(String::new, |text| format!(": {text}"));
        eprintln!("board {}{about}", board.name);
        let recorder = log
            .map(|(path, max_bytes)| Recording::create(path, max_bytes, &self.clock))
            .transpose()?
            .map(|recording| Box::new(recording) as Box<dyn Recorder>);
        let sensors = board.sensors.into_iter().map(|sensor| self.sensor(sensor)).collect();
        let limits = Limits::default();
        live::run(sensors, perceive, recorder, &self.clock, limits, reporter, &self.stop).map_err(|e| {
            let exit = match e {
                LiveError::Misconfigured { .. } => Exit::Configuration,
                LiveError::Perceive(_) => Exit::Model,
                LiveError::Thread { .. } => Exit::Failure,
            };
            Failure { exit, error: e.into() }
        })
    }

    fn sensor(&self, sensor: crate::board::Sensor) -> Sensor {
        let (clock, stream) = (Arc::clone(&self.clock), sensor.name.clone());
        let open: Opener = Box::new(move || sensor.driver.open(&sensor.name, &sensor.settings, &clock));
        Sensor { stream, open }
    }
}

/// A length of time given on the command line.
///
/// # Errors
/// With [`Exit::Configuration`] for one that is none.
pub fn length(seconds: Option<f64>) -> Result<Option<Duration>, Failure> {
    seconds
        .map(|s| {
            Duration::try_from_secs_f64(s)
                .ok()
                .filter(|length| !length.is_zero())
                .ok_or_else(|| Failure::new(Exit::Configuration, format!("--seconds {s}: expected more than 0")))
        })
        .transpose()
}
