//! Answers about one thing.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use stxworx_clarity::codec::sha512_256;
use stxworx_clarity::simnet::SealedBlock;

use super::index::Index;
use super::render::{self, hex0x};
use super::{Answer, Api, Refused, bad, hash, missing, tip_tag};

pub(super) async fn status(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.answer(headers, |index| {
        let tip = index.tip().ok_or_else(|| missing("no blocks"))?;
        let h = &tip.header;
        let body = json!({
            "server_version": concat!("stacks-blockchain-api 9.0 (stxworx-devnet ", env!("CARGO_PKG_VERSION"), ")"),
            "status": "ready",
            "chain_tip": {
                "block_height": h.height,
                "block_hash": hex0x(&h.block_hash),
                "index_block_hash": hex0x(&h.id),
                "burn_block_height": h.burn.height,
            },
        });
        Ok(Answer { tag: tip_tag(index), body })
    })
    .await
}

/// A block by height, either hash, or `latest`.
pub(super) fn find<'a>(index: &'a Index, text: &str) -> Result<&'a Arc<SealedBlock>, Refused> {
    let found = if text == "latest" {
        index.tip()
    } else if let Some(hash) = hash(text) {
        index.by_hash(&hash)
    } else {
        let height = text
            .parse()
            .map_err(|_| bad("Invalid block height or hash"))?;
        index.at(height)
    };
    found.ok_or_else(|| missing("Block not found"))
}

pub(super) async fn block(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    api.answer(headers, move |index| {
        let block = find(index, &id)?;
        Ok(Answer {
            tag: format!("{}:true", hex0x(&block.header.id)),
            body: render::block(block),
        })
    })
    .await
}

/// The rows of `v2/burn-blocks`, the newest first: the Stacks blocks of each Bitcoin block that elected any.
pub(super) fn elections(index: &Index) -> Vec<Vec<&SealedBlock>> {
    let mut rows: Vec<Vec<&SealedBlock>> = Vec::new();
    for block in index.newest_first() {
        match rows.last_mut() {
            Some(row)
                if row
                    .first()
                    .is_some_and(|b| b.header.burn.hash == block.header.burn.hash) =>
            {
                row.push(block);
            }
            _ => rows.push(vec![block]),
        }
    }
    rows
}

pub(super) async fn burn_block(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    api.answer(headers, move |index| {
        let rows = elections(index);
        let wanted = hash(&id);
        let height: Option<u32> = id.parse().ok();
        if wanted.is_none() && height.is_none() && id != "latest" {
            return Err(bad("Invalid burn block height or hash"));
        }
        let row = rows.iter().find(|row| {
            let burn = row.first().map(|b| &b.header.burn);
            burn.is_some_and(|b| {
                id == "latest"
                    || Some(b.hash) == wanted
                    || (wanted.is_none() && Some(b.height) == height)
            })
        });
        let row = row.ok_or_else(|| missing("Burn block not found"))?;
        Ok(Answer {
            tag: tip_tag(index),
            body: render::burn_block(row),
        })
    })
    .await
}

#[derive(Debug, Deserialize)]
pub(super) struct Include {
    include: Option<String>,
}

/// The heavy fields of a transaction.
const FIELDS: [&str; 4] = ["function_args", "source_code", "post_conditions", "result"];

pub(super) async fn transaction(
    State(api): State<Api>,
    headers: HeaderMap,
    Path(txid): Path<String>,
    Query(query): Query<Include>,
) -> Response {
    api.answer(headers, move |index| {
        let id = hash(&txid).ok_or_else(|| bad("Invalid transaction id"))?;
        let include: Vec<String> = query
            .include
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::to_owned)
            .collect();
        if include
            .iter()
            .any(|field| !FIELDS.contains(&field.as_str()))
        {
            return Err(bad("Invalid field in include"));
        }
        let (block, at, receipt) = index
            .transaction(&id)
            .ok_or_else(|| missing("Transaction not found"))?;
        let named = [
            &receipt.txid[..],
            &block.header.id,
            receipt.status.as_str().as_bytes(),
        ];
        Ok(Answer {
            tag: hex::encode(sha512_256(&named.concat())),
            body: render::transaction(block, at, receipt, &include),
        })
    })
    .await
}
