//! The places for connections, and who makes room.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::ServeMetrics;

/// All places.
pub(super) struct Room {
    places: usize,
    began: Instant,
    next: AtomicU64,
    taken: Mutex<BTreeMap<u64, Weak<Seat>>>,
    metrics: ServeMetrics,
}

/// A place, held for as long as the connection's stream is there.
pub(super) struct Seat {
    number: u64,
    room: Arc<Room>,
    /// When something moved last, in ms since the room was opened.
    moved_ms: AtomicU64,
    /// Requests that are being answered.
    busy: AtomicUsize,
    upgraded: AtomicBool,
    evicted: CancellationToken,
}

impl Room {
    pub(super) fn new(places: usize, metrics: ServeMetrics) -> Arc<Self> {
        Arc::new(Self {
            places: places.max(1),
            began: Instant::now(),
            next: AtomicU64::new(0),
            taken: Mutex::new(BTreeMap::new()),
            metrics,
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A place for a newcomer. When there is none, the connection that has been idle for longest is asked to go, and
    /// the newcomer takes its place; none when all are at work.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Arc<Seat>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= self.places {
            let idle = taken
                .iter()
                .filter_map(|(number, seat)| Some((*number, seat.upgrade()?)))
                .filter(|(_, seat)| seat.may_go())
                .min_by_key(|(number, seat)| (seat.moved_ms.load(Ordering::Relaxed), *number));
            let Some((number, seat)) = idle else {
                self.count("full");
                return None;
            };
            // Its stream is closed a moment later; until then there is one more than there are places.
            taken.remove(&number);
            drop(taken);
            seat.evicted.cancel();
            self.count("evicted");
            // The last hold of a seat takes this lock when it is let go of.
            drop(seat);
            taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let seat = Arc::new(Seat {
            number,
            room: Arc::clone(self),
            moved_ms: AtomicU64::new(self.now_ms()),
            busy: AtomicUsize::new(0),
            upgraded: AtomicBool::new(false),
            evicted: CancellationToken::new(),
        });
        taken.insert(number, Arc::downgrade(&seat));
        self.metrics.open.inc();
        Some(seat)
    }

    fn count(&self, reason: &str) {
        self.metrics.ended.with_label_values(&[reason]).inc();
    }
}

impl Seat {
    /// Something moved.
    pub(super) fn moved(&self) {
        self.moved_ms.store(self.room.now_ms(), Ordering::Relaxed);
    }

    pub(super) fn begin(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
        self.moved();
    }

    fn may_go(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && !self.upgraded.load(Ordering::Relaxed)
    }

    /// The connection became something else, and whoever has it now looks after it.
    pub(super) fn leave_to_upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// Waits until the place is wanted by another.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Waits until nothing has moved for so long.
    pub(super) async fn idle_for(&self, longest: Duration) {
        loop {
            let moved = Duration::from_millis(self.moved_ms.load(Ordering::Relaxed));
            let rest = longest.saturating_sub(self.room.began.elapsed().saturating_sub(moved));
            if rest.is_zero() {
                return;
            }
            tokio::time::sleep(rest).await;
        }
    }

    pub(super) fn count(&self, reason: &str) {
        self.room.count(reason);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self
            .room
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.number);
        self.room.metrics.open.dec();
    }
}
