//! What the API is given: a pool, settings, and a view of the running daemon.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::access::{Access, AccessRules};
use super::boards::Boards;
use super::desk::BreakDesk;
use super::error::{ApiError, ErrorCode};
use super::metrics::ApiMetrics;
use super::stream::metrics::StreamMetrics;
use super::stream::{StreamSettings, Streams};
use crate::store::ledger::statement::Statement;
use crate::store::read::{ReadError, Snapshot, Tip};

/// Writes a serialised Clarity value as JSON, once and for good: a page may hold hundreds. None when the bytes are not one.
pub type RenderClarity = fn(&[u8]) -> Option<Box<serde_json::value::RawValue>>;

/// Makes a page to print of a statement, with the seal of its period in hexadecimal, if that is closed.
pub type StatementPage = fn(&Statement, Option<&str>) -> String;

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
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Longest path with its query, in bytes.
    pub uri_bytes: usize,
    /// Largest headers in bytes, names and values together.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_requests: 256,
            request_timeout: Duration::from_secs(15),
            body_bytes: 16 * 1024,
            uri_bytes: 8 * 1024,
            header_bytes: 16 * 1024,
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
    /// Every origin: keys and tokens are in headers that no browser sends by itself.
    #[default]
    Any,
    /// These origins only.
    List(Vec<axum::http::HeaderValue>),
}

/// What operators may ask of webhooks.
#[derive(Debug, Clone)]
pub struct WebhookRules {
    /// May an address lie inside this network, and be plain http?
    pub allow_private: bool,
    /// For how long a secret that was replaced goes on signing, unless something else is asked for.
    pub grace: Duration,
}

impl Default for WebhookRules {
    fn default() -> Self {
        Self {
            allow_private: false,
            grace: Duration::from_secs(86_400),
        }
    }
}

/// Not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no origin like https://app.example.org, without a path")]
pub struct NoOrigin(pub String);

impl CorsOrigins {
    /// Reads a list of origins; `*` among them stands for every one.
    ///
    /// # Errors
    /// Names the first one that is none.
    pub fn parse(origins: &[String]) -> Result<Self, NoOrigin> {
        if origins.iter().any(|origin| origin == "*") {
            return Ok(Self::Any);
        }
        let read = |origin: &String| {
            let rest = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            rest.filter(|host| !host.is_empty() && !host.contains('/'))
                .and_then(|_| axum::http::HeaderValue::from_str(origin).ok())
                .ok_or_else(|| NoOrigin(origin.clone()))
        };
        origins
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self::List)
    }
}

/// Everything the API needs. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// Connections with [`crate::store::read::connect_options`].
    pub pool: PgPool,
    /// Connections that may write, for administrative routes; none where this process serves none.
    pub admin: Option<PgPool>,
    /// Carries out what operators decide about breaks; none where nobody does.
    pub desk: Option<Arc<dyn BreakDesk>>,
    /// Who may ask, and how often.
    pub access: Arc<Access>,
    /// The network that this process is configured for.
    pub network: String,
    /// Renders Clarity values.
    pub render: RenderClarity,
    /// Makes pages of statements; none where this process makes none.
    pub statement_page: Option<StatementPage>,
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
    /// What operators may ask of webhooks.
    pub webhooks: WebhookRules,
    /// Where requests are counted; none where nobody looks.
    pub metrics: Option<ApiMetrics>,
    /// The streams. Those that a state begins with hear no notices and are not counted.
    pub streams: Arc<Streams>,
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
        let streams = Streams::new(
            pool.clone(),
            render,
            finality_burn_blocks,
            StreamSettings::default(),
            StreamMetrics::unregistered(),
            CancellationToken::new(),
        );
        Self {
            streams,
            webhooks: WebhookRules::default(),
            metrics: None,
            statement_page: None,
            pool,
            admin: None,
            desk: None,
            access: Arc::new(Access::new(AccessRules::default(), None)),
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

    /// The connections that may write.
    ///
    /// # Errors
    /// Where this process serves no administrative routes.
    pub fn writing(&self) -> Result<&PgPool, ApiError> {
        self.admin.as_ref().ok_or_else(|| {
            ApiError::new(
                ErrorCode::Unavailable,
                "this process serves no administrative routes; ask one with `api.admin = true`",
            )
        })
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
