//! What the API is given: a pool, settings, and a view of the running daemon.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::boards::Boards;
use crate::store::read::{ReadError, Snapshot, Tip};

/// Renders a serialised Clarity value as JSON; none when the bytes are not one.
pub type RenderClarity = fn(&[u8]) -> Option<serde_json::Value>;

/// What the process knows about itself without asking the database.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// Payloads received since the process began.
    pub received: u64,
    /// When the last payload arrived; none since the process began.
    pub last_received_at: Option<SystemTime>,
    /// The stage that stands still; none while all move.
    pub blocked: Option<Blocked>,
    /// Did the last attempt to reach the database succeed?
    pub database_reachable: bool,
    /// Has every migration that this program knows been applied?
    pub schema_current: bool,
    /// Violations of invariants since the process began, by invariant.
    pub invariant_violations: BTreeMap<String, u64>,
}

/// A stage that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Its name, for instance `decode` or `store`.
    pub stage: String,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// The running daemon, as far as health and status need it. Called on every health check: must not block.
pub trait LiveStatus: Send + Sync {
    /// The present values.
    fn live(&self) -> Live;
}

/// Bounds on the work that clients can cause.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests under way at once; one more is refused with 503.
    pub concurrent_requests: usize,
    /// Time a request may take.
    pub request_timeout: Duration,
    /// Largest request body in bytes. No route reads a body.
    pub body_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: 256,
            request_timeout: Duration::from_secs(15),
            body_bytes: 16 * 1024,
        }
    }
}

/// When `/health/lag` answers 503.
#[derive(Debug, Clone)]
pub struct LagLimits {
    /// More unprocessed payloads than this.
    pub backlog: u64,
    /// More blocks without their parent than this. A few come and go when deliveries cross.
    pub detached: u64,
    /// No payload for longer than this. Counted from the first payload on.
    pub silence: Duration,
}

impl Default for LagLimits {
    fn default() -> Self {
        Self {
            backlog: 1_000,
            detached: 10,
            silence: Duration::from_secs(15 * 60),
        }
    }
}

/// Who may read from a browser.
#[derive(Debug, Clone, Default)]
pub enum CorsOrigins {
    /// Every origin: the data is public and no credentials are accepted.
    #[default]
    Any,
    /// These origins only.
    List(Vec<axum::http::HeaderValue>),
}

/// Everything the API needs. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// Connections with [`crate::store::read::connect_options`].
    pub pool: PgPool,
    /// The network that this process is configured for.
    pub network: String,
    /// Renders Clarity values.
    pub render: RenderClarity,
    /// How many Bitcoin blocks make a block final.
    pub finality_burn_blocks: u32,
    /// The running daemon.
    pub live: Arc<dyn LiveStatus>,
    /// Bounds on the work that clients can cause.
    pub limits: Limits,
    /// When lag is a fault.
    pub lag: LagLimits,
    /// Who may read from a browser.
    pub cors: CorsOrigins,
    /// Filled when the router is made, from the limits of that moment.
    pub(super) slots: Arc<Semaphore>,
    border: Arc<Mutex<Option<Border>>>,
    pub(super) boards: Boards,
}

/// Where finality stood when it was last looked up. It can move only when the tip or Bitcoin's height
/// does, so that it need not be looked up for each request.
#[derive(Clone)]
struct Border {
    tip: Tip,
    generation: u64,
    height: Option<u32>,
}

impl ApiState {
    /// A state with default limits. Change the public fields before the router is made.
    pub fn new(
        pool: PgPool,
        network: String,
        render: RenderClarity,
        finality_burn_blocks: u32,
        live: Arc<dyn LiveStatus>,
    ) -> Self {
        Self {
            pool,
            network,
            render,
            finality_burn_blocks,
            live,
            slots: Arc::new(Semaphore::new(0)),
            limits: Limits::default(),
            lag: LagLimits::default(),
            cors: CorsOrigins::default(),
            border: Arc::default(),
            boards: Boards::default(),
        }
    }

    /// Height of the highest final block in a snapshot.
    pub(super) async fn finality_height(
        &self,
        snapshot: &mut Snapshot,
    ) -> Result<Option<u32>, ReadError> {
        let Some(tip) = snapshot.tip.clone() else {
            return Ok(None);
        };
        let generation = snapshot.generation;
        let known = self
            .border
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(border) = known
            && border.tip == tip
            && border.generation == generation
        {
            return Ok(border.height);
        }
        let height = snapshot
            .height_at_burn_depth(tip.burn_height, self.finality_burn_blocks)
            .await?;
        *self.border.lock().unwrap_or_else(PoisonError::into_inner) = Some(Border {
            tip,
            generation,
            height,
        });
        Ok(height)
    }
}
