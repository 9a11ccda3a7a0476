//! Leaderboards, their roots, and proofs of entries.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_clarity::events::data::DataEvent;
use utoipa::ToSchema;

use super::{
    Changed, ContractParams, asset, contract_of, deployment, principal, state_of, typed, unreadable,
};
use crate::api::boards::{Board, BoardKey, Entry, Kind, LONGEST, WEIGHTS, merkle};
use crate::api::clock::DAY;
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::{self, AtBlockParams, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::{Answer, AsOf};
use crate::store::read::boards::{self, Measure, Span};
use crate::store::read::market::{SETTINGS, SettingState};

/// Days of the window `30d`.
const WINDOW_DAYS: i64 = 30;

/// What a board scores.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "names the words in the documentation")]
enum BoardName {
    /// Base units earned in an asset, fee included.
    Earnings,
    /// Projects completed.
    Completions,
    /// Average of the stars received, times 100, cut.
    Ratings,
    /// Weight of the badges held.
    Badges,
}

/// Which time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    All,
    Days,
    Epoch(u128),
    Burn(u32, u32),
}

impl Window {
    fn read(params: &Params) -> Result<Self, ApiError> {
        let given = params.get("window").unwrap_or("all");
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
        let found = match given.split_once(':') {
            None if given == "all" => Some(Self::All),
            None if given == "30d" => Some(Self::Days),
            Some(("epoch", epoch)) if digits(epoch) => epoch.parse().ok().map(Self::Epoch),
            Some(("burn", span)) => span.split_once('-').and_then(|(from, to)| {
                let both = digits(from) && digits(to);
                let (from, to) = (from.parse().ok()?, to.parse().ok()?);
                (both && from <= to).then_some(Self::Burn(from, to))
            }),
            _ => None,
        };
        found.ok_or_else(|| {
            let expected = "`all`, `30d`, `epoch:N`, or `burn:FROM-TO` with Bitcoin heights";
            ApiError::parameter("window", given, expected)
        })
    }
}

/// What was anchored on chain.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct AnchorView {
    /// The epoch.
    epoch: String,
    /// Merkle root.
    root: String,
    /// Number of entries, decimal.
    count: String,
    /// How the root was made, in the attestor's word; only `sha256-v1` can be compared.
    algo: String,
    /// First Bitcoin height that counts, decimal.
    from_burn_height: String,
    /// Last one.
    to_burn_height: String,
    /// What anchored it.
    changed: Changed,
}

/// The event's fields that an anchor is.
#[derive(Deserialize)]
struct Anchored {
    epoch: String,
    root: String,
    count: String,
    algo: String,
    from_bh: String,
    to_bh: String,
}

/// A board as a whole.
#[derive(Debug, Serialize, ToSchema)]
struct BoardView {
    /// The contract whose users are ranked.
    contract: String,
    /// What is scored.
    board: String,
    /// Its name on chain.
    anchored_name: String,
    /// In which asset; null where the board has none.
    asset: Option<String>,
    /// What was asked for.
    window: String,
    /// What was there at this Stacks height does not count; null where everything does.
    after_height: Option<u32>,
    /// Last Stacks height that counts.
    to_height: u32,
    /// Entries.
    count: u64,
    /// There are more users with a score than a board has entries (100000).
    cut: bool,
    /// Merkle root over all entries by this mirror; null while there are none.
    root: Option<String>,
    /// What was anchored on chain for this epoch; null for a window that is none.
    anchor: Option<AnchorView>,
    /// Are both roots and both counts the same? Null where nothing was anchored.
    agrees: Option<bool>,
}

/// A user's place on a board.
#[derive(Debug, Serialize, ToSchema)]
struct EntryView {
    /// 1 and the number of users with a higher score. Who is equal has the same rank.
    rank: u64,
    /// The user.
    user: String,
    /// The score, decimal: base units, projects, hundredths of a star, or weight.
    score: String,
}

impl EntryView {
    fn new(entry: &Entry) -> Self {
        Self {
            rank: entry.rank,
            user: entry.user.clone(),
            score: entry.score.to_string(),
        }
    }
}

/// A page of a board.
#[derive(Debug, Serialize, ToSchema)]
struct BoardPage {
    /// What the page is true for; null while the mirror is empty.
    as_of: Option<AsOf>,
    /// The board; null while there is no such contract.
    board: Option<BoardView>,
    /// Best first; equal ones by name.
    data: Vec<EntryView>,
    /// Continues behind the last one; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A neighbour on the way to the root.
#[derive(Debug, Serialize, ToSchema)]
struct StepView {
    /// On which side it stands: `left` or `right`.
    side: &'static str,
    /// Its hash.
    hash: String,
}

/// An entry, and what leads from it to the root.
#[derive(Debug, Serialize, ToSchema)]
struct BoardProof {
    /// The board.
    board: BoardView,
    /// The entry.
    entry: EntryView,
    /// Its place on the board, from 0.
    place: u64,
    /// SHA-256 over 0x00 and the consensus serialisation of `{board, domain, rank, score, user}`, the domain being
    /// `stxworx-board-1`.
    leaf: String,
    /// From the leaf up: the next hash is SHA-256 over 0x01, the left one, and the right one.
    path: Vec<StepView>,
}

fn hash_text(hash: &merkle::Hash) -> String {
    format!("0x{}", hex::encode(hash))
}

/// A board that a request asks about.
struct Asked {
    kind: Kind,
    word: String,
    asset: String,
    window: Window,
}

impl Asked {
    fn read(word: &str, params: &Params) -> Result<Self, ApiError> {
        let kind = Kind::parse(word).ok_or_else(|| {
            let expected = format!("one of {}", Kind::WORDS.join(", "));
            ApiError::parameter("board", word, expected)
        })?;
        let asset = asset(params)?;
        let earns = kind == Kind::Profile(Measure::Earnings);
        let asset = match (earns, asset) {
            (true, None) => {
                let expected = "given: `stx`, or the id of a token's contract; amounts of different assets have no sum";
                return Err(ApiError::parameter("asset", "", expected));
            }
            (false, Some(given)) => {
                let expected = "left out: only `earnings` is told by asset";
                return Err(ApiError::parameter("asset", &given, expected));
            }
            (_, asset) => asset.unwrap_or_default(),
        };
        Ok(Self {
            kind,
            word: word.to_owned(),
            asset,
            window: Window::read(params)?,
        })
    }
}

/// What was anchored for an epoch, as of the block where the reader stands.
async fn anchor(
    reader: &mut Reader,
    contract: &str,
    epoch: u128,
    board: &str,
) -> Result<Option<(AnchorView, u32, u32)>, Early> {
    let entity = format!("{contract}/leaderboard-anchored/{epoch}/{board}");
    let Some(row) = state_of(reader, SETTINGS, entity).await? else {
        return Ok(None);
    };
    let setting: SettingState = typed(&row.state)?;
    let anchored = Anchored::deserialize(&setting.value).map_err(|e| unreadable(&e))?;
    let height = |text: &str| text.parse().unwrap_or(u32::MAX);
    let span = (height(&anchored.from_bh), height(&anchored.to_bh));
    let view = AnchorView {
        epoch: anchored.epoch,
        root: anchored.root,
        count: anchored.count,
        algo: anchored.algo,
        from_burn_height: anchored.from_bh,
        to_burn_height: anchored.to_bh,
        changed: Changed::new(&row, reader),
    };
    Ok(Some((view, span.0, span.1)))
}

/// The board, and how it is told.
async fn found(
    state: &ApiState,
    reader: &mut Reader,
    contract: &str,
    asked: &Asked,
    given: &str,
) -> Result<(Arc<Board>, BoardView), Early> {
    let name = asked.kind.anchored_name(&asked.asset);
    let mut anchored = None;
    let whole = Span {
        after: -1,
        at: reader.bound(),
    };
    let burn = match asked.window {
        Window::Epoch(epoch) => {
            let (view, from, to) = anchor(reader, contract, epoch, &name).await?.ok_or_else(|| {
                let detail = format!("epoch {epoch} of board {name} is not anchored at this block; `window=burn:FROM-TO` needs no anchor");
                ApiError::not_found(detail)
            })?;
            anchored = Some(view);
            Some((from, to))
        }
        Window::Burn(from, to) => Some((from, to)),
        Window::All | Window::Days => None,
    };
    let span = match burn {
        Some((from, to)) => Span {
            after: match from.checked_sub(1) {
                Some(before) => reader.height_by_burn(before).await?,
                None => -1,
            },
            at: reader.height_by_burn(to).await?,
        },
        None if asked.window == Window::Days => {
            let now = reader
                .as_of()
                .and_then(|as_of| i64::try_from(as_of.time).ok());
            let since = now.unwrap_or_default() - WINDOW_DAYS * DAY;
            Span {
                after: reader.height_by_time(since).await?,
                ..whole
            }
        }
        None => whole,
    };
    let board = kept(state, reader, contract, (asked.kind, &asked.asset), span).await?;
    let root = board.root.as_ref().map(hash_text);
    let agrees = anchored.as_ref().map(|anchor: &AnchorView| {
        anchor.algo == merkle::ALGORITHM
            && Some(&anchor.root) == root.as_ref()
            && anchor.count == board.entries.len().to_string()
    });
    let view = BoardView {
        contract: contract.to_owned(),
        board: asked.word.clone(),
        anchored_name: name,
        asset: (!asked.asset.is_empty()).then(|| asked.asset.clone()),
        window: given.to_owned(),
        after_height: u32::try_from(span.after).ok(),
        to_height: u32::try_from(span.at).unwrap_or_default(),
        count: board.entries.len().try_into().unwrap_or(u64::MAX),
        cut: board.cut,
        root,
        anchor: anchored,
        agrees,
    };
    Ok((board, view))
}

/// The board of a span, kept or read.
pub(super) async fn kept(
    state: &ApiState,
    reader: &mut Reader,
    contract: &str,
    (kind, asset): (Kind, &str),
    span: Span,
) -> Result<Arc<Board>, Early> {
    let (mut span, mut newest) = (span, false);
    let mut digest = reader.as_of().map(|as_of| as_of.digest.clone());
    if let Kind::Profile(_) = kind {
        // Blocks that change no user leave the board as it is: it is known by the last one that does.
        let last = boards::last_change(reader.connection(), span.at).await?;
        newest = span.at == reader.tip_height();
        (span.at, digest) = match last {
            Some((height, digest)) => (height, Some(digest.to_string())),
            None => (-1, None),
        };
        if span.after >= 0 {
            let before = boards::last_change(reader.connection(), span.after).await?;
            span.after = before.map_or(-1, |(height, _)| height);
        }
    }
    let key = BoardKey {
        digest: digest.unwrap_or_default(),
        contract: contract.to_owned(),
        kind,
        asset: asset.to_owned(),
        span,
    };
    let limit = i64::try_from(LONGEST).unwrap_or(i64::MAX).saturating_add(1);
    let make = async || {
        let rows = match kind {
            Kind::Profile(measure) => {
                let connection = reader.connection();
                boards::scores(connection, contract, measure, asset, (span, newest), limit).await?
            }
            Kind::Badges => {
                let (address, _) = contract.split_once('.').unwrap_or_default();
                let badges = format!("{address}.{}", BadgesEvent::CONTRACT);
                let names = WEIGHTS.map(|(name, _)| name.to_owned());
                let weights = WEIGHTS.map(|(_, weight)| weight);
                let weighed = (names.as_slice(), weights.as_slice());
                boards::badge_scores(reader.connection(), &badges, weighed, span, limit).await?
            }
        };
        Ok::<_, Early>(Board::new(&kind.anchored_name(asset), rows)?)
    };
    state.boards.get(&key, make).await
}

/// Users by a score. Ranks are competition ranks: 1, 2, 2, 4. The order of equals is that of their names, so that a
/// board is the same everywhere.
#[utoipa::path(
    get, path = "/v1/leaderboards/{board}", tag = "marketplace", operation_id = "leaderboard",
    params(
        ("board" = inline(BoardName), Path, description = "What is scored"),
        ("asset" = Option<String>, Query, description = "For `earnings`, and required there: `stx`, or the id of a token's contract"),
        ("window" = Option<String>, Query, description = "`all` (default); `30d`: what changed since the block of 30 days before `as_of.time`; `epoch:N`: the Bitcoin heights that were anchored on chain for it; `burn:FROM-TO`: these Bitcoin heights, both included, by the block that elected the tenure"),
        ContractParams, AtBlockParams, PageParams,
    ),
    responses(
        (status = 200, description = "A page of the board", body = BoardPage),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`: the epoch is not anchored", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn board(
    State(state): State<ApiState>,
    Path(board): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["asset", "window", "contract"];
    params.allow(&[own, params::AT_BLOCK, params::PAGE])?;
    let (asked, page) = (Asked::read(&board, &params)?, params.page()?);
    let contract = contract_of(&params, DataEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let start = reader.walk(page.cursor.as_deref(), 0i64).await?;
    let Some(contract) = deployment(&mut reader, contract, DataEvent::CONTRACT).await? else {
        return Ok(reader.respond(|as_of| BoardPage {
            as_of,
            board: None,
            data: Vec::new(),
            next_cursor: None,
        }));
    };
    let given = params.get("window").unwrap_or("all");
    let (board, view) = found(&state, &mut reader, &contract, &asked, given).await?;
    let start = usize::try_from(start).unwrap_or_default();
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let entries = board.entries.iter().skip(start).take(limit);
    let data: Vec<_> = entries.map(EntryView::new).collect();
    let end = start.saturating_add(data.len());
    let next = (end < board.entries.len())
        .then(|| reader.cursor_behind(i64::try_from(end).ok()?))
        .flatten();
    Ok(reader.respond(|as_of| BoardPage {
        as_of,
        board: Some(view),
        data,
        next_cursor: next,
    }))
}

/// A user's entry, with the hashes that lead from it to the board's root.
#[utoipa::path(
    get, path = "/v1/leaderboards/{board}/proof", tag = "marketplace", operation_id = "leaderboard_proof",
    params(
        ("board" = inline(BoardName), Path, description = "What is scored"),
        ("principal" = String, Query, description = "The user"),
        ("asset" = Option<String>, Query, description = "As for the board"),
        ("window" = Option<String>, Query, description = "As for the board"),
        ContractParams, AtBlockParams,
    ),
    responses(
        (status = 200, description = "The entry and its proof", body = Answer<BoardProof>),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`: the user has no score, or the epoch is not anchored", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`fork_changed`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn proof(
    State(state): State<ApiState>,
    Path(board): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    let own: &[&str] = &["principal", "asset", "window", "contract"];
    params.allow(&[own, params::AT_BLOCK])?;
    let asked = Asked::read(&board, &params)?;
    let user = principal("principal", params.get("principal").unwrap_or_default())?;
    let contract = contract_of(&params, DataEvent::CONTRACT)?;
    let mut reader = Reader::open(&state, &params).await?;
    reader.stand_at(&params).await?;
    let missing =
        || ApiError::not_found(format!("{user} has no score on this board at this block"));
    let contract = deployment(&mut reader, contract, DataEvent::CONTRACT)
        .await?
        .ok_or_else(missing)?;
    let given = params.get("window").unwrap_or("all");
    let (board, view) = found(&state, &mut reader, &contract, &asked, given).await?;
    let (place, leaf, steps) = board.proof(&user).ok_or_else(missing)?;
    let entry = board.entries.get(place).ok_or_else(missing)?;
    let view = BoardProof {
        board: view,
        entry: EntryView::new(entry),
        place: place.try_into().unwrap_or(u64::MAX),
        leaf: hash_text(&leaf),
        path: steps
            .iter()
            .map(|step| StepView {
                side: if step.left { "left" } else { "right" },
                hash: hash_text(&step.hash),
            })
            .collect(),
    };
    Ok(reader.answer(view))
}
