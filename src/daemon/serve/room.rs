//! The places for connections, and who makes room.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::ServeMetrics;

/// All places.
pub(super) struct Room {
    places: usize,
    began: Instant,
    next: AtomicU64,
    taken: Mutex<BTreeMap<u64, Arc<Place>>>,
    metrics: ServeMetrics,
}

/// A place, held for as long as the connection's stream is there.
pub(super) struct Seat {
    number: u64,
    room: Arc<Room>,
    place: Arc<Place>,
}

/// What is known of the connection at a place. The table holds this and no seat: a seat that is let go of takes the
/// table's lock.
struct Place {
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
                .filter(|(_, place)| place.may_go())
                .min_by_key(|(number, place)| (place.moved_ms.load(Ordering::Relaxed), **number))
                .map(|(number, _)| *number);
            // Its stream is closed a moment later; until then there is one more than there are places.
            let Some(place) = idle.and_then(|number| taken.remove(&number)) else {
                self.count("full");
                return None;
            };
            place.evicted.cancel();
            self.count("evicted");
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = Arc::new(Place {
            moved_ms: AtomicU64::new(self.now_ms()),
            busy: AtomicUsize::new(0),
            upgraded: AtomicBool::new(false),
            evicted: CancellationToken::new(),
        });
        taken.insert(number, Arc::clone(&place));
        self.metrics.open.inc();
        Some(Arc::new(Seat {
            number,
            room: Arc::clone(self),
            place,
        }))
    }

    fn count(&self, reason: &str) {
        self.metrics.ended.with_label_values(&[reason]).inc();
    }
}

impl Place {
    fn may_go(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && !self.upgraded.load(Ordering::Relaxed)
    }
}

impl Seat {
    /// Something moved.
    pub(super) fn moved(&self) {
        self.place
            .moved_ms
            .store(self.room.now_ms(), Ordering::Relaxed);
    }

    pub(super) fn begin(&self) {
        self.place.busy.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.place.busy.fetch_sub(1, Ordering::Relaxed);
        self.moved();
    }

    /// The connection became something else, and whoever has it now looks after it.
    pub(super) fn leave_to_upgrade(&self) {
        self.place.upgraded.store(true, Ordering::Relaxed);
    }

    /// Waits until the place is wanted by another.
    pub(super) async fn evicted(&self) {
        self.place.evicted.cancelled().await;
    }

    /// Waits until nothing has moved for so long.
    pub(super) async fn idle_for(&self, longest: Duration) {
        loop {
            let moved = Duration::from_millis(self.place.moved_ms.load(Ordering::Relaxed));
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
