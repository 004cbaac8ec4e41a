//! Replays a finite input: exact, and as fast as the encoders allow.

use crate::account::{Account, WindowAccount};
use crate::capture::Capture;
use crate::input::{Input, InputError};
use crate::perceive::{Perceive, PerceiveError};
use sensebind_core::{Event, Format, Span, StreamId, Timestamp, Window};
use sensebind_space::Scored;
use std::time::Duration;

/// World time encoded at once. Part of what makes replay exact: batches depend on the data, never on the clock.
const BATCH: Duration = Duration::from_secs(8);

/// How long after a batch's end its windows are waited for: longer than any stream's frame period.
const SLACK: Duration = Duration::from_secs(1);

/// Told of everything that happens during a replay. Every method does nothing unless overridden.
pub trait Observer {
    /// An event began, changed or ended. Events come in order of emission.
    fn event(&mut self, _event: &Event) {}

    /// A window was scored.
    fn scored(&mut self, _scored: &Scored) {}

    /// World time has reached `at`.
    fn reached(&mut self, _at: Timestamp) {}
}

/// What a replay did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Each stream: name, format, frames, windows.
    pub streams: Vec<(StreamId, Format, Account, WindowAccount)>,
    /// From the first to the last capture time.
    pub world: Span,
    /// Events that began.
    pub events: u64,
    /// What broke the input off, if something did. What came before it is counted above.
    pub broke_off: Option<String>,
}

impl Summary {
    /// Whether `captured = processed + dropped` holds for every stream and every window is accounted for.
    pub fn balances(&self) -> bool {
        self.streams
            .iter()
            .all(|(_, _, frames, windows)| frames.balances() && frames.pending() == 0 && windows.balances())
    }
}

/// Runs `input` to its end.
///
/// # Errors
/// When streams, encoders and prompts do not fit, or a model fails. An input that breaks off is no error: the summary
/// says so.
pub fn replay(
    input: &mut dyn Input,
    perceive: &mut Perceive,
    observer: &mut dyn Observer,
) -> Result<Summary, PerceiveError> {
    perceive.accepts(input.streams())?;
    let mut run = Run {
        capture: Capture::new(input.streams(), &perceive.cuttings())?,
        ready: Vec::new(),
        batch: Vec::new(),
        judged: Vec::new(),
        events: Vec::new(),
        begun: 0,
    };
    let mut world: Option<Span> = None;
    let mut boundary: Option<Timestamp> = None;
    let mut broke_off = None;
    loop {
        let item = match input.next() {
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(InputError(why)) => {
                broke_off = Some(why);
                break;
            }
        };
        let now = item.captured;
        let span = world.get_or_insert(Span::new(now, now));
        span.end = span.end.max(now);
        let end = *boundary.get_or_insert_with(|| now.after(BATCH));
        run.capture
            .push(item.stream, now, item.calibrating, item.data, &mut run.ready);
        if now >= end.after(SLACK) {
            run.flush(Some(end), perceive, observer)?;
            observer.reached(now);
            boundary = Some(now.before(SLACK).after(BATCH));
        }
    }
    run.capture.finish(&mut run.ready);
    run.flush(None, perceive, observer)?;
    run.capture.close();
    let world = world.unwrap_or_default();
    perceive.finish(world.end, &mut run.events);
    run.deliver(observer);
    observer.reached(world.end);
    let streams = run.capture.accounts().collect();
    Ok(Summary {
        streams,
        world,
        events: run.begun,
        broke_off,
    })
}

struct Run {
    capture: Capture,
    ready: Vec<Window>,
    batch: Vec<Window>,
    judged: Vec<crate::perceive::Judged>,
    events: Vec<Event>,
    begun: u64,
}

impl Run {
    /// Judges every window that ends by `end` (all of them when `None`).
    fn flush(
        &mut self,
        end: Option<Timestamp>,
        perceive: &mut Perceive,
        observer: &mut dyn Observer,
    ) -> Result<(), PerceiveError> {
        match end {
            None => self.batch.append(&mut self.ready),
            Some(end) => self.batch.extend(self.ready.extract_if(.., |w| w.span.end <= end)),
        }
        let scored = |scored: &Scored| observer.scored(scored);
        perceive.perceive(&mut self.batch, &mut self.judged, scored, &mut self.events)?;
        if let Some(end) = end {
            perceive.advance(end, &mut self.events);
        }
        for judged in self.judged.drain(..) {
            self.capture.settle(judged.window, judged.outcome);
        }
        self.deliver(observer);
        Ok(())
    }

    fn deliver(&mut self, observer: &mut dyn Observer) {
        for event in self.events.drain(..) {
            self.begun += u64::from(event.phase == sensebind_core::Phase::Begin);
            observer.event(&event);
        }
    }
}
