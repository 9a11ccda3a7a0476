//! The operators' console: a page, and the modules and the style that it is made of. All of it is in the program.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::api::error::{ApiError, Problem};

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

const PAGE: &str = include_str!("../console/page.html");

macro_rules! files {
    ($($name:literal: $kind:expr),* $(,)?) => {
        /// Name, media type and text of everything that the page loads.
        const FILES: &[(&str, &str, &str)] = &[
            $(($name, $kind, include_str!(concat!("../console/", $name)))),*
        ];
    };
}

files! {
    "style.css": CSS,
    "icon.svg": SVG,
    "main.js": JS,
    "api.js": JS,
    "dom.js": JS,
    "forms.js": JS,
    "keys.js": JS,
    "list.js": JS,
    "live.js": JS,
    "session.js": JS,
    "text.js": JS,
    "access.js": JS,
    "breaks.js": JS,
    "completeness.js": JS,
    "forks.js": JS,
    "governance.js": JS,
    "mints.js": JS,
    "overview.js": JS,
    "projects.js": JS,
    "treasury.js": JS,
    "webhooks.js": JS,
}

/// Scripts, style, pictures and requests of this origin alone; no text can become markup or script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// The page names the version, so that a person sees which program answers.
static HTML: LazyLock<String> =
    LazyLock::new(|| PAGE.replace("{VERSION}", env!("CARGO_PKG_VERSION")));

/// A browser asks again each time, so that no page runs with the modules of another version.
fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
    ];
    (headers, text).into_response()
}

/// The console for those who run the service. The page itself holds no data: it asks the other routes with the key or
/// token that it is given.
#[utoipa::path(
    get, path = "/console", tag = "documentation", operation_id = "console",
    responses((status = 200, description = "A page", body = String, content_type = "text/html"))
)]
pub(super) async fn page() -> Response {
    file("text/html; charset=utf-8", HTML.as_str())
}

/// What the console's page loads: its modules, style and icon.
#[utoipa::path(
    get, path = "/console/{file}", tag = "documentation", operation_id = "consoleFile",
    params(("file" = String, Path, description = "The file's name")),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/javascript"),
        (status = 400, description = "`bad_request`", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn part(Path(name): Path<String>) -> Result<Response, ApiError> {
    FILES
        .iter()
        .find(|(known, _, _)| *known == name)
        .map(|(_, kind, text)| file(kind, text))
        .ok_or_else(|| ApiError::not_found("the console has no such file"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Most that a browser loads, in bytes before compression.
    const MOST: usize = 200 * 1024;

    fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        let files = FILES.iter().map(|(name, _, text)| (*name, *text));
        files.chain([("page.html", PAGE)])
    }

    #[test]
    fn it_needs_no_other_host_and_makes_no_markup_of_text() {
        for (name, text) in all() {
            // The name of the vocabulary of SVG is no address that anything is loaded from.
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http://",
                "https://",
                "\"//",
                "'//",
                "innerHTML",
                "outerHTML",
                "insertAdjacent",
                "document.write",
                "eval(",
                "new Function",
                "localStorage.setItem(\"stxworx.key",
                "style=\"",
                "onclick=",
            ] {
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
    }

    #[test]
    fn it_stays_small() {
        let bytes: usize = all().map(|(_, text)| text.len()).sum();
        assert!(bytes <= MOST, "{bytes} bytes");
        for (name, text) in all() {
            let lines = text.lines().count();
            assert!(lines <= 500, "{name} has {lines} lines");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_every_import_is_there() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/console");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "page.html")
            .collect();
        let served: BTreeSet<String> = FILES
            .iter()
            .map(|(name, _, _)| (*name).to_owned())
            .collect();
        assert_eq!(there, served);
        for (name, text) in all() {
            for import in text.split("from \"./").skip(1) {
                let wanted = import.split('"').next().unwrap();
                assert!(served.contains(wanted), "{name} imports {wanted}");
            }
        }
    }
}
