//! The DAO's books: the journal, statements, and what the DAO asks of them.
//!
//! Books change after the tip does, when what was booked becomes final. So their answers say in `books` at which journal
//! they stand; tags and cursors are bound to it, and no fork moves a walk over the journal.

pub(super) mod dao;
pub(super) mod ledger;
pub(super) mod statements;

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::Early;
use crate::api::params::Params;
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::AsOf;
use crate::store::ledger::journal::{self, Head};

/// The books as an answer found them.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct BooksAt {
    /// Journals.
    journals: i64,
    /// Hash of the last one: it covers everything that was ever booked before it.
    head: String,
    /// Closed periods.
    periods: i32,
    /// Height of the block up to which all is booked; null before anything is.
    booked_height: Option<i32>,
    /// That block.
    booked_block: Option<String>,
}

impl From<&Head> for BooksAt {
    fn from(head: &Head) -> Self {
        Self {
            journals: head.count,
            head: format!("0x{}", hex::encode(head.hash)),
            periods: head.seals,
            booked_height: head.booked_height,
            booked_block: head.booked_block.map(|b| format!("0x{}", hex::encode(b))),
        }
    }
}

/// Something of the books.
#[derive(Debug, Serialize, ToSchema)]
struct BooksAnswer<T> {
    /// Where the mirror stands; null while it is empty.
    as_of: Option<AsOf>,
    /// Where the books stand, on which the answer is.
    books: BooksAt,
    /// The thing.
    data: T,
}

/// A page of the books.
#[derive(Debug, Serialize, ToSchema)]
struct BooksPage<T> {
    /// Where the mirror stands; null while it is empty.
    as_of: Option<AsOf>,
    /// Where the books stood when the walk began.
    books: BooksAt,
    /// The things, in order.
    data: Vec<T>,
    /// Continues behind the last one, in the same books; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Opens the snapshot with the books in it. Ends early when the client holds the answer already.
async fn open(state: &ApiState, params: &Params) -> Result<(Reader, Head), Early> {
    let mut reader = Reader::open_untagged(state, params).await?;
    let head = journal::head(reader.connection()).await.map_err(problem)?;
    let hash = hex::encode(&head.hash[..8]);
    let height = head.booked_height.unwrap_or(-1);
    reader.tag(
        params,
        &format!("-{}-{hash}-{}-{height}", head.count, head.seals),
    )?;
    Ok((reader, head))
}

fn problem(error: crate::store::StoreError) -> Early {
    Early::Problem(error.into())
}
