//! Who may come in: as many cases as there is room for, and none that would wait longer than a caller should. What is
//! over that is refused on arrival, before it costs anything, so that those inside keep their latency.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::error::ApiError;

/// The door to the models and the ledger.
#[derive(Debug)]
pub(super) struct Admission {
    gauge: Arc<Gauge>,
    /// Cases inside at most.
    room: usize,
    /// The longest that a case may be expected to take.
    longest: Duration,
}

/// What the door and those inside know of each other.
#[derive(Debug)]
struct Gauge {
    /// Cases admitted and not yet recorded.
    inside: AtomicUsize,
    /// What each case inside adds to a new one's time, in microseconds, smoothed.
    per_case: AtomicU64,
}

/// What a case is thought to cost before any was decided, in microseconds. Little: the first ones, on cold paths, tell
/// nothing of the next.
const AT_FIRST: u64 = 1_000;

/// A case's leave to be inside, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    gauge: Arc<Gauge>,
    at: Instant,
    /// Cases inside when it came, itself among them.
    among: usize,
}

impl Admission {
    pub(super) fn new(room: usize, longest: Duration) -> Self {
        let gauge = Gauge { inside: AtomicUsize::new(0), per_case: AtomicU64::new(AT_FIRST) };
        Self { gauge: Arc::new(gauge), room, longest }
    }

    /// Cases admitted and not yet recorded.
    pub(super) fn inside(&self) -> usize {
        self.gauge.inside.load(Ordering::Relaxed)
    }

    /// The same, to be asked from elsewhere.
    pub(super) fn gauge(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let gauge = Arc::clone(&self.gauge);
        move || gauge.inside.load(Ordering::Relaxed)
    }

    /// Lets a case in, unless there is no room or it would take too long. A case that would be alone always may.
    pub(super) fn admit(&self) -> Result<Admitted, ApiError> {
        let among = self.gauge.inside.fetch_add(1, Ordering::Relaxed) + 1;
        // From here on it counts, and no longer when it is refused.
        let admitted = Admitted { gauge: Arc::clone(&self.gauge), at: Instant::now(), among };
        let expected = self.expected(among);
        if among > self.room || (among > 1 && expected > self.longest) {
            metrics::counter!("praetor_shed_total").increment(1);
            return Err(ApiError::Overloaded { retry_after: expected.as_secs().max(1) });
        }
        Ok(admitted)
    }

    /// How long a case among so many would take.
    fn expected(&self, among: usize) -> Duration {
        let cases = u64::try_from(among).unwrap_or(u64::MAX);
        Duration::from_micros(self.gauge.per_case.load(Ordering::Relaxed).saturating_mul(cases))
    }
}

impl Admitted {
    /// The case is recorded: its time tells what the next may expect.
    pub(super) fn done(self) {
        let among = u32::try_from(self.among).unwrap_or(u32::MAX);
        smooth(&self.gauge.per_case, self.at.elapsed() / among);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.gauge.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One part in sixteen of what is longer, one in four of what is shorter: a case that found few others tells too much, by
/// all that it did not share with them.
fn smooth(per_case: &AtomicU64, now: Duration) {
    let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let before = per_case.load(Ordering::Relaxed);
    let next = if now > before { before + (now - before) / 16 } else { before - (before - now) / 4 };
    per_case.store(next, Ordering::Relaxed);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_more_come_in_than_there_is_room_and_each_leaves_its_place() {
        let door = Admission::new(2, Duration::from_secs(3600));
        let first = door.admit().unwrap();
        let second = door.admit().unwrap();
        assert!(matches!(door.admit(), Err(ApiError::Overloaded { .. })));
        assert_eq!(door.inside(), 2, "who is refused takes no place");
        drop(first);
        let third = door.admit().unwrap();
        second.done();
        third.done();
        assert_eq!(door.inside(), 0);
    }

    #[test]
    fn who_would_wait_too_long_is_refused_and_told_when_to_return() {
        let door = Admission::new(1000, Duration::from_millis(500));
        door.gauge.per_case.store(100_000, Ordering::Relaxed);
        let inside: Vec<Admitted> = (0..5).map(|_| door.admit().unwrap()).collect();
        assert!(matches!(door.admit(), Err(ApiError::Overloaded { retry_after: 1 })));
        door.gauge.per_case.store(2_000_000, Ordering::Relaxed);
        assert!(matches!(door.admit(), Err(ApiError::Overloaded { retry_after: 12 })));
        drop(inside);
        // However slow it has been: else nobody would ever find that it is quick again.
        assert!(door.admit().is_ok());
    }

    #[test]
    fn a_case_among_many_tells_what_each_of_them_costs() {
        let door = Admission::new(1000, Duration::from_secs(1));
        let at = Instant::now().checked_sub(Duration::from_millis(400)).unwrap();
        for _ in 0..200 {
            door.gauge.inside.fetch_add(1, Ordering::Relaxed);
            Admitted { gauge: Arc::clone(&door.gauge), at, among: 4 }.done();
        }
        let learnt = door.gauge.per_case.load(Ordering::Relaxed);
        assert!((95_000..150_000).contains(&learnt), "{learnt}");
        (0..40).for_each(|_| smooth(&door.gauge.per_case, Duration::from_micros(10)));
        assert!(door.gauge.per_case.load(Ordering::Relaxed) < 20);
    }

    #[test]
    fn a_slow_start_shuts_nobody_out() {
        let door = Admission::new(1000, Duration::from_millis(500));
        smooth(&door.gauge.per_case, Duration::from_millis(200));
        let inside: Vec<Admitted> = (0..32).map(|_| door.admit().unwrap()).collect();
        assert_eq!(inside.len(), 32);
    }
}
