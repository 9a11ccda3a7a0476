//! The one way in which the platform's database is written: a repair that was allowed, by a role of its own.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use super::PlatformError;

/// Connections that may write.
#[derive(Debug)]
pub struct Writer(PgPool);

impl Writer {
    /// By this address. Nothing is connected yet.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(url: &str, statement_timeout: Duration) -> Result<Self, PlatformError> {
        let options: PgConnectOptions = url.parse().map_err(PlatformError::Url)?;
        let timeout = statement_timeout.as_millis().to_string();
        let options = options.application_name("stxworx repairs").options([
            ("statement_timeout", timeout.as_str()),
            ("lock_timeout", "5000"),
            ("timezone", "UTC"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_lazy_with(options);
        Ok(Self(pool))
    }

    /// Did a statement change exactly one row? If not, it changed none.
    ///
    /// # Errors
    /// When the database refuses it, or cannot be reached.
    pub async fn change_one(&self, sql: &str) -> Result<bool, PlatformError> {
        let failed = || PlatformError::database("carry a repair out");
        let mut tx = self.0.begin().await.map_err(failed())?;
        let rows = execute(&mut tx, sql).await.map_err(failed())?;
        if rows != 1 {
            tx.rollback().await.map_err(failed())?;
            return Ok(false);
        }
        tx.commit().await.map_err(failed())?;
        Ok(true)
    }

    /// Lets go of the platform.
    pub async fn close(self) {
        self.0.close().await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a statement for a foreign schema; it was made by a rule, with its values as literals"
)]
async fn execute(tx: &mut sqlx::PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .persistent(false)
        .execute(tx)
        .await?;
    Ok(done.rows_affected())
}
