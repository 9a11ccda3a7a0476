//! Which replies a stacks-node accepts.

use reqwest::StatusCode;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};

const READABLE_TYPES: [&str; 3] = ["application/json", "text/plain", "application/octet-stream"];

/// Why a reply does not count as delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyFault {
    /// Another status than 200.
    Status(u16),
    /// Headers that the node's HTTP parser refuses.
    Unreadable(&'static str),
}

/// Judges a reply as the node's own parser does (stacks-core, `stackslib/src/net/http/response.rs`).
pub(super) fn judge(status: StatusCode, headers: &HeaderMap) -> Result<(), ReplyFault> {
    let unreadable = |why| Err(ReplyFault::Unreadable(why));
    if status != StatusCode::OK {
        return Err(ReplyFault::Status(status.as_u16()));
    }
    if headers
        .keys()
        .any(|name| headers.get_all(name).iter().nth(1).is_some())
    {
        return unreadable("a header stands in it twice");
    }
    if headers.contains_key(CONTENT_LENGTH) == headers.contains_key(TRANSFER_ENCODING) {
        return unreadable("it needs either Content-Length or Transfer-Encoding");
    }
    let text = |name| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase())
    };
    if let Some(connection) = text(CONNECTION)
        && !matches!(connection.as_str(), "close" | "keep-alive")
    {
        return unreadable("its Connection is neither close nor keep-alive");
    }
    if let Some(kind) = text(CONTENT_TYPE) {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !READABLE_TYPES.contains(&kind) {
            return unreadable("its Content-Type is not JSON, plain text or octets");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, headers: &[(&'static str, &str)]) -> Result<(), ReplyFault> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &map)
    }

    #[test]
    fn only_200_with_readable_headers() {
        let length = ("content-length", "2");
        assert_eq!(judged(200, &[length]), Ok(()));
        assert_eq!(
            judged(
                200,
                &[("transfer-encoding", "chunked"), ("connection", "Close")]
            ),
            Ok(())
        );
        assert_eq!(
            judged(
                200,
                &[length, ("content-type", "application/json; charset=utf-8")]
            ),
            Ok(())
        );
        for status in [201, 202, 204, 301, 404, 500] {
            assert_eq!(judged(status, &[length]), Err(ReplyFault::Status(status)));
        }
    }

    #[test]
    fn replies_the_node_cannot_parse() {
        let refused = |headers: &[(&'static str, &str)]| {
            assert!(
                matches!(judged(200, headers), Err(ReplyFault::Unreadable(_))),
                "{headers:?}"
            );
        };
        let length = ("content-length", "2");
        refused(&[]);
        refused(&[length, ("transfer-encoding", "chunked")]);
        refused(&[length, ("x-a", "1"), ("x-a", "2")]);
        refused(&[length, ("content-type", "text/html")]);
        refused(&[length, ("connection", "upgrade")]);
    }
}
