//! Badges and users by address, and transfers by transaction: the chain's states, the platform's rows and the rows of the last run, merged.

use std::collections::{BTreeSet, VecDeque};

use sha2::{Digest as _, Sha256};
use stxworx_indexer::store::read::Snapshot;
use stxworx_indexer::store::read::market::{BadgeState, PROFILES};
use stxworx_indexer::store::reconcile::mirror::{Standing, StateRow};
use stxworx_indexer::store::reconcile::{moves, states};

use super::error::EngineError;
use super::stream::{ImageStream, Marks, RowStream};
use super::treasury;
use crate::platform::Row;

/// States, or users, of a page.
const PAGE: i64 = 1_000;
/// Groups of a page, and rows read for them.
const GROUPS: usize = 300;
const ROWS: usize = 2_000;
/// Rows that may stand under one address. More are counted, and not compared.
const ROWS_OF_ONE: usize = 100;

/// Whose states.
pub(super) enum Holder {
    /// Users of `CONTRACT/PRINCIPAL`.
    Users(String),
    /// Badges of a contract, by whoever has them.
    Badges(String),
    /// Transfers to and from some treasuries, by transaction.
    Moves(Vec<String>),
}

/// A state of the chain, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub holder: String,
    pub entity: String,
    pub state: String,
}

/// The chain's states, by address.
pub(super) struct HeldStream {
    of: Holder,
    at: Standing,
    /// Addresses still to be asked for; none for all.
    wanted: Option<VecDeque<String>>,
    after: String,
    more: bool,
    ready: VecDeque<Held>,
    /// States that cannot be read.
    unread: u64,
}

impl HeldStream {
    pub(super) fn new(of: Holder, at: Standing, wanted: Option<&[String]>) -> Self {
        let wanted = wanted.map(|groups| {
            let mut groups: Vec<_> = groups.to_vec();
            groups.retain(|group| !group.starts_with(' '));
            groups.sort_unstable();
            groups.dedup();
            groups.into()
        });
        Self {
            of,
            at,
            wanted,
            after: String::new(),
            more: true,
            ready: VecDeque::new(),
            unread: 0,
        }
    }

    async fn peek(&mut self, snapshot: &mut Snapshot) -> Result<Option<&str>, EngineError> {
        while self.ready.is_empty() && self.more {
            let held = self.fetch(snapshot).await?;
            self.ready = held.into();
        }
        Ok(self.ready.front().map(|held| held.holder.as_str()))
    }

    async fn fetch(&mut self, snapshot: &mut Snapshot) -> Result<Vec<Held>, EngineError> {
        let some = self.wanted.as_mut().map(|wanted| {
            let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
            let some = wanted.len().min(page);
            let some: Vec<_> = wanted.drain(..some).collect();
            self.more = !wanted.is_empty();
            some
        });
        let connection = snapshot.connection();
        match &self.of {
            Holder::Users(contract) => {
                let prefix = format!("{contract}/");
                let rows = match some {
                    Some(some) => {
                        let names: Vec<_> =
                            some.iter().map(|user| format!("{prefix}{user}")).collect();
                        states::states_named(connection, PROFILES.id, &names, &self.at).await?
                    }
                    None => {
                        let page = states::states(
                            connection,
                            PROFILES.id,
                            &prefix,
                            &self.at,
                            &self.after,
                            PAGE,
                        )
                        .await?;
                        self.more = page.next.is_some();
                        self.after = page.next.unwrap_or_default();
                        page.rows
                    }
                };
                let held = |row: StateRow| Held {
                    holder: row.entity[prefix.len()..].to_owned(),
                    entity: row.entity,
                    state: row.state,
                };
                Ok(rows.into_iter().map(held).collect())
            }
            Holder::Badges(contract) => {
                let some = match some {
                    Some(some) => some,
                    None => {
                        let page = states::holders(connection, &self.after, PAGE).await?;
                        self.more = i64::try_from(page.len()).is_ok_and(|n| n == PAGE);
                        self.after = page.last().cloned().unwrap_or_default();
                        page
                    }
                };
                let rows = states::badges_of(connection, contract, &some, &self.at).await?;
                let (held, unread) = badges(rows, &some.into_iter().collect());
                self.unread += unread;
                Ok(held)
            }
            Holder::Moves(treasuries) => {
                let some = match some {
                    Some(some) => some,
                    None => {
                        let page = moves::movers(connection, &self.after, PAGE).await?;
                        self.more = i64::try_from(page.len()).is_ok_and(|n| n == PAGE);
                        self.after = page.last().cloned().unwrap_or_default();
                        page
                    }
                };
                let ids = treasury::bytes(&some);
                let rows = moves::moves(connection, &ids, treasuries, &self.at).await?;
                Ok(rows.into_iter().map(treasury::held).collect())
            }
        }
    }

    fn take(&mut self, holder: &str) -> Vec<Held> {
        let mut all = Vec::new();
        while self.ready.front().is_some_and(|held| held.holder == holder) {
            all.extend(self.ready.pop_front());
        }
        all
    }
}

/// Those that some users have now, by address and number, and how many cannot be read.
fn badges(rows: Vec<StateRow>, holders: &BTreeSet<String>) -> (Vec<Held>, u64) {
    let mut held = Vec::with_capacity(rows.len());
    let mut unread = 0;
    for row in rows {
        let state = match serde_json::from_str::<BadgeState>(&row.state) {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(entity = row.entity, %error, "a state of the mirror cannot be read, and is not compared");
                unread += 1;
                continue;
            }
        };
        let Some(holder) = state.owner.or(state.native_owner) else {
            continue;
        };
        if holders.contains(&holder) {
            let (id, entity, state) = (state.id, row.entity, row.state);
            held.push((
                id,
                Held {
                    holder,
                    entity,
                    state,
                },
            ));
        }
    }
    held.sort_by(|(a, x), (b, y)| (&x.holder, a).cmp(&(&y.holder, b)));
    (held.into_iter().map(|(_, held)| held).collect(), unread)
}

/// What stands under one address, or a row that names none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group {
    /// The address; empty of a row that names none.
    pub holder: String,
    pub held: Vec<Held>,
    pub rows: Vec<Row>,
    /// There are more rows than were taken.
    pub cut: bool,
}

impl Group {
    /// What the chain's side hashes to; zeros where it has nothing.
    pub(super) fn chain_hash(held: &[&Held]) -> [u8; 32] {
        if held.is_empty() {
            return [0; 32];
        }
        let mut hash = Sha256::new();
        for one in held {
            hash.update(&one.entity);
            hash.update([0]);
            hash.update(&one.state);
            hash.update([0]);
        }
        hash.finalize().into()
    }
}

/// Some groups.
#[derive(Default)]
pub(super) struct GroupPage {
    pub groups: Vec<Group>,
    pub marks: Marks,
    rows: usize,
}

/// All streams of one kind.
pub(super) struct GroupWalk<'a> {
    pub snapshot: &'a mut Snapshot,
    pub held: HeldStream,
    pub rows: RowStream<'a>,
    /// Where rows are compared with those of the last run.
    pub images: Option<ImageStream>,
    /// Addresses that are looked at even where neither side has them.
    pub extra: BTreeSet<String>,
    pub surplus: Option<String>,
    pub ended: bool,
}

impl GroupWalk<'_> {
    /// The next groups; none when all streams have ended.
    pub(super) async fn page(&mut self) -> Result<Option<GroupPage>, EngineError> {
        if self.ended {
            return Ok(None);
        }
        let mut page = GroupPage::default();
        while page.groups.len() < GROUPS && page.rows < ROWS {
            let held = self.held.peek(self.snapshot).await?.map(str::to_owned);
            let row = self.holder().await?;
            // Rows that name nobody stand before all others.
            if row.as_deref() == Some("") {
                self.lone_row(String::new(), &mut page).await?;
                continue;
            }
            let extra = self.extra.first().cloned();
            let next = [held, row.clone(), extra].into_iter().flatten().min();
            let Some(next) = next else {
                self.finish(&mut page).await?;
                return Ok(Some(page));
            };
            self.extra.remove(&next);
            if self.surplus.as_ref() == Some(&next) {
                self.row(&mut page).await?;
                page.marks.left_out += 1;
                continue;
            }
            let mut group = Group {
                held: self.held.take(&next),
                holder: next.clone(),
                ..Group::default()
            };
            let most = ROWS + ROWS_OF_ONE;
            while group.rows.len() < ROWS_OF_ONE
                && page.rows < most
                && self.holder().await?.as_ref() == Some(&next)
            {
                group.rows.extend(self.row(&mut page).await?);
            }
            if self.holder().await?.as_ref() == Some(&next) {
                group.cut = true;
                self.surplus = Some(next);
            }
            page.groups.push(group);
        }
        Ok(Some(page))
    }

    /// The address of the next row.
    async fn holder(&mut self) -> Result<Option<String>, EngineError> {
        let row = self.rows.peek(self.snapshot).await?;
        Ok(row.map(|row| {
            let key = row.spot.key.as_str();
            key.split_once(' ')
                .map_or("", |(holder, _)| holder)
                .to_owned()
        }))
    }

    async fn lone_row(&mut self, holder: String, page: &mut GroupPage) -> Result<(), EngineError> {
        if let Some(row) = self.row(page).await? {
            page.groups.push(Group {
                holder,
                rows: vec![row],
                ..Group::default()
            });
        }
        Ok(())
    }

    /// Takes a row, and compares it with its image. None without a key.
    async fn row(&mut self, page: &mut GroupPage) -> Result<Option<Row>, EngineError> {
        let Some(at) = self.rows.take() else {
            return Ok(None);
        };
        page.rows += 1;
        if let Some(images) = &mut self.images {
            images.note(self.snapshot, &at, &mut page.marks).await?;
        }
        if at.row.text("key").is_none() {
            page.marks.nameless += 1;
            return Ok(None);
        }
        Ok(Some(at.row))
    }

    async fn finish(&mut self, page: &mut GroupPage) -> Result<(), EngineError> {
        if let Some(images) = &mut self.images {
            let rest = images.rest(self.snapshot).await?;
            if !rest.is_empty() {
                // Perhaps there are more: the next page asks again.
                page.marks.gone.extend(rest.iter().map(|image| image.id));
                return Ok(());
            }
        }
        page.marks.nameless += std::mem::take(&mut self.held.unread);
        self.ended = true;
        Ok(())
    }
}
