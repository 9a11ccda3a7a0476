//! Examples in the API's description: answers of a devnet that is the same each time. A scenario asks for them again
//! and compares.

use std::collections::BTreeMap;

use serde::Deserialize;
use utoipa::openapi::{OpenApi, RefOr};

const ANSWERS: &str = include_str!("examples.json");

/// What was asked, and what was answered.
#[derive(Deserialize)]
struct Example {
    response: serde_json::Value,
}

/// Puts each answer beside the shape of its route.
pub fn add(document: &mut OpenApi) {
    // The file is part of the program; a unit test reads it.
    let all: BTreeMap<String, Example> = serde_json::from_str(ANSWERS).unwrap_or_default();
    for (route, example) in all {
        let operation = document
            .paths
            .paths
            .get_mut(&route)
            .and_then(|item| item.get.as_mut());
        let response = operation.and_then(|operation| operation.responses.responses.get_mut("200"));
        if let Some(RefOr::T(response)) = response
            && let Some(RefOr::T(content)) = response.content.get_mut("application/json")
        {
            content.example = Some(example.response);
        }
    }
}
