//! The marketplace's routes, on a marketplace of one deployment and of two.

mod lists;
mod mirror;
mod one;
mod orders;
mod plans;
mod resources;
pub(super) mod seed;

use super::{Bed, Reply};

/// A bed with a marketplace.
async fn fair(test: &str) -> Option<Bed> {
    let bed = Bed::new(test).await?;
    seed::marketplace(&bed).await;
    Some(bed)
}

/// The numbers on a page.
fn ids(reply: &Reply) -> Vec<u64> {
    reply
        .column("id")
        .iter()
        .map(|id| id.as_u64().expect("a number"))
        .collect()
}
