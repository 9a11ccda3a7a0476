//! Arguments of routes that only some callers may have.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::Modify;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

use super::{Caller, Role};
use crate::api::error::{ApiError, ErrorCode, Problem};

/// Finds the caller, or says why there is none with this role.
fn at_least(role: Role, parts: &Parts) -> Result<Caller, ApiError> {
    let caller = parts.extensions.get::<Caller>().ok_or_else(|| {
        let detail = format!("this route wants a key or a token with the role {role}");
        ApiError::new(ErrorCode::Unauthorized, detail)
    })?;
    if caller.role >= role {
        return Ok(caller.clone());
    }
    let detail = format!(
        "this route is for the role {role}; yours is {}",
        caller.role
    );
    Err(ApiError::new(ErrorCode::Forbidden, detail))
}

macro_rules! guard {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Caller);

        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
                at_least(Role::$name, parts).map(Self)
            }
        }
    };
}

guard! {
    /// Any caller who is known.
    Reader
}
guard! {
    /// A caller who runs the service.
    Operator
}
guard! {
    /// A caller who decides who may do what.
    Admin
}

/// The problems that a guarded route may answer with besides the common ones, for the documentation.
#[derive(utoipa::IntoResponses)]
#[allow(
    dead_code,
    reason = "describes answers; problems are made as `ApiError`"
)]
pub enum Refusals {
    /// `forbidden`: the role is too low.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
}

/// Adds the ways to say who one is to the document: `bearer` (a key or a token) and `api_key`.
#[derive(Debug)]
pub struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A key of the API, or a signed token (JWT)".to_owned());
        let key = ApiKeyValue::with_description("x-api-key", "A key of the API");
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(key)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::access::CallerKind;

    async fn ask(role: Option<Role>) -> [Option<ErrorCode>; 3] {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        if let Some(role) = role {
            parts.extensions.insert(Caller {
                role,
                name: "somebody".to_owned(),
                kind: CallerKind::Key,
            });
        }
        let code = |error: ApiError| error.problem().code;
        [
            Reader::from_request_parts(&mut parts, &())
                .await
                .err()
                .map(code),
            Operator::from_request_parts(&mut parts, &())
                .await
                .err()
                .map(code),
            Admin::from_request_parts(&mut parts, &())
                .await
                .err()
                .map(code),
        ]
    }

    #[tokio::test]
    async fn a_role_opens_what_lower_ones_open() {
        let (no, low) = (Some(ErrorCode::Unauthorized), Some(ErrorCode::Forbidden));
        assert_eq!(ask(None).await, [no, no, no]);
        assert_eq!(ask(Some(Role::Reader)).await, [None, low, low]);
        assert_eq!(ask(Some(Role::Operator)).await, [None, None, low]);
        assert_eq!(ask(Some(Role::Admin)).await, [None, None, None]);
    }
}
