//! Which windows are judged together, and when they can wait no longer.
//!
//! Windows that end at the same time belong together. A moment is judged as soon as no stream can still deliver a window
//! that ends by then; the streams say so themselves, by their data or by having none. A stream that says nothing holds up
//! the others for [`Limits::patience`] at most.

use super::health::{Health, Recording, State, Status, StreamStatus};
use super::queue::{Bell, Cut, CutReceiver};
use super::reaction::Reaction;
use super::recorder::RecorderThread;
use super::sensor::{Link, News, Report};
use super::{Halt, Limits, LiveError, Observer, Summary};
use crate::perceive::{Judged, Perceive};
use crate::stream::settle;
use crossbeam_channel::Receiver;
use sensebind_core::{Clock, Event, Phase, StreamId, Timestamp, Window};
use std::sync::Arc;
use std::time::Duration;

/// Longest sleep without a bell: how late overdue windows, dead drivers and the status may be noticed.
const TICK: Duration = Duration::from_millis(20);
/// A driver that has not come back from a read for this long hangs.
const HANGS: Duration = Duration::from_secs(4);

/// One sensor as the judging thread sees it.
pub(crate) struct Lane {
    pub link: Arc<Link>,
    pub windows: CutReceiver,
    /// It has been heard of once, well or not.
    reported: bool,
    /// It has been said that its driver hangs.
    hangs: bool,
}

/// See the [module](self).
pub(crate) struct Judging {
    lanes: Vec<Lane>,
    perceive: Option<Perceive>,
    recorder: Option<RecorderThread>,
    recording_stopped: bool,
    clock: Arc<dyn Clock>,
    limits: Limits,
    waiting: Vec<Cut>,
    batch: Vec<Window>,
    judged: Vec<Judged>,
    events: Vec<Event>,
    begun: u64,
    /// Up to when all has been judged.
    watermark: Timestamp,
    status_due: Timestamp,
    reaction: Reaction,
}

impl Judging {
    pub fn new(
        lanes: Vec<(Arc<Link>, CutReceiver)>,
        perceive: Option<Perceive>,
        recorder: Option<RecorderThread>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        let lanes = lanes
            .into_iter()
            .map(|(link, windows)| Lane {
                link,
                windows,
                reported: false,
                hangs: false,
            })
            .collect();
        let status_due = clock.now().after(limits.status_every);
        Self {
            lanes,
            perceive,
            recorder,
            recording_stopped: false,
            clock,
            limits,
            waiting: Vec::new(),
            batch: Vec::new(),
            judged: Vec::new(),
            events: Vec::new(),
            begun: 0,
            watermark: Timestamp::ZERO,
            status_due,
            reaction: Reaction::default(),
        }
    }

    /// Judges until the run is asked to end or every sensor has ended.
    pub fn run(
        &mut self,
        bell: &Bell,
        reports: &Receiver<Report>,
        observer: &mut dyn Observer,
        halt: &Halt,
    ) -> Result<(), LiveError> {
        loop {
            bell.wait(TICK);
            for report in reports.try_iter() {
                self.hear(report, observer)?;
            }
            let all_done = self.lanes.iter().all(|lane| lane.link.is_done());
            // Before the windows are taken: whatever ends by then is in the queues.
            let complete = self.complete_until();
            self.take_windows();
            self.step(complete, observer)?;
            self.watch(observer);
            if all_done || halt.is_set() {
                return Ok(());
            }
        }
    }

    /// Judges the rest once all sensor threads have ended.
    pub fn finish(mut self, observer: &mut dyn Observer) -> Result<Summary, LiveError> {
        self.take_windows();
        let last = self.waiting.iter().map(|cut| cut.window.span.end).max();
        self.step(Timestamp::from_nanos(u64::MAX), observer)?;
        let end = last.unwrap_or(self.clock.now());
        if let Some(perceive) = &mut self.perceive {
            perceive.finish(end, &mut self.events);
        }
        self.deliver(observer);
        for lane in &self.lanes {
            lane.link.ledger.lock().frames.close();
        }
        let recording = self.recorder.take().map(RecorderThread::finish);
        let streams = self.lanes.iter().map(|lane| {
            let (ledger, face) = (lane.link.ledger.lock(), lane.link.face());
            let (frames, windows) = (ledger.frames.clone(), ledger.windows.clone());
            (lane.link.stream.clone(), face.format, frames, windows)
        });
        Ok(Summary {
            streams: streams.collect(),
            events: self.begun,
            recording,
            reaction: self.reaction,
        })
    }

    /// The run has failed: completes the recording all the same.
    pub fn abandon(self) {
        if let Some(recorder) = self.recorder {
            recorder.finish();
        }
    }

    /// A sensor's thread panicked.
    pub fn thread_died(&mut self, stream: &StreamId, observer: &mut dyn Observer) {
        let health = Health {
            stream: stream.clone(),
            at: self.clock.now(),
            state: State::Stopped,
            why: "its driver ended unexpectedly: please report this".to_owned(),
        };
        self.say(&health, observer);
    }

    fn hear(&mut self, report: Report, observer: &mut dyn Observer) -> Result<(), LiveError> {
        let Some(lane) = self.lanes.get_mut(report.index) else {
            return Ok(());
        };
        // Until every sensor has been heard of, what does not fit ends the run: a person is there to mend it.
        let starting = !lane.reported;
        match report.news {
            News::Opened(format) => {
                let stream = lane.link.stream.clone();
                let accepted = match &self.perceive {
                    Some(perceive) => perceive.accepts(&[(stream, format)]),
                    None => Ok(()),
                };
                match accepted {
                    Ok(()) => lane.reported = true,
                    Err(mismatch) if starting => return Err(mismatch.into()),
                    Err(mismatch) => lane.link.face().refused = Some(mismatch.to_string()),
                }
            }
            News::Health(health) => {
                if starting && health.state == State::Misconfigured {
                    return Err(LiveError::Misconfigured {
                        stream: health.stream,
                        why: health.why,
                    });
                }
                lane.reported |= health.state != State::Opening;
                lane.hangs = false;
                self.say(&health, observer);
            }
        }
        Ok(())
    }

    /// No window that ends by then is still to come.
    fn complete_until(&self) -> Timestamp {
        let next_end = |lane: &Lane| {
            let complete = lane.link.complete_until();
            let sense = lane.link.face().format.map(|format| format.sense());
            match sense {
                // Not opened yet, or of a sense that nobody judges: nothing to wait for.
                None => Timestamp::from_nanos(u64::MAX),
                Some(sense) => lane
                    .link
                    .cuttings
                    .get(&sense)
                    .map_or(Timestamp::from_nanos(u64::MAX), |cutting| {
                        let hop = u64::try_from(cutting.hop.as_nanos()).unwrap_or(u64::MAX).max(1);
                        let end = (complete.as_nanos() / hop).saturating_add(1).saturating_mul(hop);
                        Timestamp::from_nanos(end)
                    }),
            }
        };
        let next = self.lanes.iter().map(next_end).min();
        match next {
            Some(end) if end < Timestamp::from_nanos(u64::MAX) => end.before(Duration::from_nanos(1)),
            _ => self.clock.now(),
        }
    }

    fn take_windows(&mut self) {
        for lane in &self.lanes {
            self.waiting.extend(lane.windows.take());
        }
    }

    /// Judges what is complete, and what can wait no longer.
    fn step(&mut self, complete: Timestamp, observer: &mut dyn Observer) -> Result<(), LiveError> {
        let Some(perceive) = &mut self.perceive else {
            return Ok(());
        };
        let now = self.clock.now();
        let overdue = self
            .waiting
            .iter()
            .filter(|cut| now.since(cut.arrived) > self.limits.patience)
            .map(|cut| cut.window.span.end)
            .max();
        let until = overdue.map_or(complete, |end| complete.max(end)).max(self.watermark);
        let mut arrived = Timestamp::ZERO;
        for cut in self.waiting.extract_if(.., |cut| cut.window.span.end <= until) {
            arrived = arrived.max(cut.arrived);
            self.batch.push(cut.window);
        }
        let any = !self.batch.is_empty();
        let before = self.clock.now();
        if any {
            perceive.encode(&mut self.batch, &mut self.judged)?;
        }
        let encoding = self.clock.now().since(before);
        if any {
            perceive.judge(&mut self.judged, |scored| observer.scored(scored), &mut self.events);
        }
        if until > self.watermark && until < Timestamp::from_nanos(u64::MAX) {
            self.watermark = until;
            perceive.advance(until, &mut self.events);
        }
        self.deliver(observer);
        if any {
            let reaction = self.clock.now().since(arrived).saturating_sub(encoding);
            self.reaction.record(reaction);
        }
        self.settle();
        Ok(())
    }

    fn settle(&mut self) {
        for Judged { window, outcome } in self.judged.drain(..) {
            let Some(lane) = self.lanes.iter().find(|lane| lane.link.stream == window.stream) else {
                continue;
            };
            let cutting = lane.link.cuttings.get(&window.format.sense()).copied();
            settle(&lane.link.ledger, cutting, &window, outcome);
            lane.windows.give_back(window);
        }
    }

    fn deliver(&mut self, observer: &mut dyn Observer) {
        for event in self.events.drain(..) {
            self.begun += u64::from(event.phase == Phase::Begin);
            if let Some(recorder) = &self.recorder {
                recorder.event(&event);
            }
            observer.event(&event);
        }
    }

    /// Drivers that hang, a recorder that stopped, and the status.
    fn watch(&mut self, observer: &mut dyn Observer) {
        let now = self.clock.now();
        let mut news = Vec::new();
        for lane in &mut self.lanes {
            let silence = now.since(lane.link.heartbeat());
            if silence > HANGS && !lane.hangs && !lane.link.is_done() {
                lane.hangs = true;
                let health = Health {
                    stream: lane.link.stream.clone(),
                    at: now,
                    state: State::Stalled,
                    why: format!("its driver has not answered for {:.0} s", silence.as_secs_f64()),
                };
                lane.link.face().health = health.clone();
                news.push(health);
            }
        }
        if let Some(Recording { stopped: Some(why), .. }) = self.recorder.as_ref().map(RecorderThread::status)
            && !self.recording_stopped
        {
            self.recording_stopped = true;
            news.push(Health {
                stream: StreamId::new(Health::RECORDING),
                at: now,
                state: State::Stopped,
                why: format!("{why}; detection goes on"),
            });
        }
        for health in news {
            self.say(&health, observer);
        }
        if now >= self.status_due {
            self.status_due = now.after(self.limits.status_every);
            observer.status(&self.status(now));
        }
    }

    fn say(&self, health: &Health, observer: &mut dyn Observer) {
        if let Some(recorder) = &self.recorder {
            recorder.health(health);
        }
        observer.health(health);
    }

    fn status(&self, at: Timestamp) -> Status {
        let streams = self.lanes.iter().map(|lane| {
            let (frames, windows) = {
                let ledger = lane.link.ledger.lock();
                (ledger.frames.clone(), ledger.windows.clone())
            };
            let face = lane.link.face();
            StreamStatus {
                stream: lane.link.stream.clone(),
                format: face.format,
                health: face.health.clone(),
                frames,
                windows,
                ring_bytes: face.ring_bytes,
            }
        });
        Status {
            at,
            streams: streams.collect(),
            events: self.begun,
            recording: self.recorder.as_ref().map(RecorderThread::status),
        }
    }
}
