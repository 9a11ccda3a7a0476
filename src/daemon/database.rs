//! Which database: the one that is named, or the embedded one.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::embedded::{EmbeddedError, EmbeddedPostgres, Options};

/// A database that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The embedded Postgres does not start.
    #[error("the embedded Postgres in {} cannot be used (name another database with DATABASE_URL)", data_dir.display())]
    Embedded {
        /// Its folder.
        data_dir: PathBuf,
        /// Why.
        source: Box<EmbeddedError>,
    },
}

/// A database to connect to; the embedded one runs as long as this lives.
#[derive(Debug)]
#[must_use = "dropping it stops an embedded server"]
pub struct Database {
    url: String,
    embedded: Option<EmbeddedPostgres>,
}

const EMBEDDED_DATABASE: &str = "stxworx";

impl Database {
    /// Uses the configured database, or starts the embedded one.
    ///
    /// # Errors
    /// When the embedded one does not start, for instance because another process runs it.
    pub async fn open(config: &Config) -> Result<Self, DatabaseError> {
        if let Some(url) = &config.database_url {
            return Ok(Self {
                url: url.clone(),
                embedded: None,
            });
        }
        Self::start_in(&config.data_dir).await
    }

    /// Uses the configured database, or the embedded one: as another process runs it, or started for
    /// the moment. For commands that look at a daemon's database while it may be running.
    ///
    /// # Errors
    /// When the embedded one does neither run nor start.
    pub async fn attach(config: &Config) -> Result<Self, DatabaseError> {
        if let Some(url) = &config.database_url {
            return Ok(Self {
                url: url.clone(),
                embedded: None,
            });
        }
        match Self::start_in(&config.data_dir).await {
            Err(DatabaseError::Embedded { source, .. })
                if matches!(*source, EmbeddedError::Locked { .. })
                    && url_file(&config.data_dir).exists() =>
            {
                let url = std::fs::read_to_string(url_file(&config.data_dir)).unwrap_or_default();
                Ok(Self {
                    url: url.trim().to_owned(),
                    embedded: None,
                })
            }
            other => other,
        }
    }

    /// Another database of the embedded server; none where the database is not embedded.
    pub fn beside(&self, name: &str) -> Option<String> {
        self.embedded.as_ref().map(|server| server.url_of(name))
    }

    async fn start_in(data_dir: &Path) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError::Embedded {
            data_dir: data_dir.to_owned(),
            source: Box::new(source),
        };
        let options = Options::new(data_dir, EMBEDDED_DATABASE);
        let embedded = EmbeddedPostgres::start(options).await.map_err(failed)?;
        let url = embedded.url();
        // Only a convenience for `attach`: failing to write it costs nothing but that.
        if let Err(error) = std::fs::write(url_file(data_dir), &url) {
            tracing::warn!(%error, "the embedded database's address could not be noted");
        }
        Ok(Self {
            url,
            embedded: Some(embedded),
        })
    }

    /// Where to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Resolves when the embedded server dies; never for a database of somebody else.
    pub async fn died(&mut self) -> EmbeddedError {
        match &mut self.embedded {
            Some(embedded) => embedded.died().await,
            None => std::future::pending().await,
        }
    }

    /// Stops an embedded server in order.
    pub async fn close(self) {
        if let Some(embedded) = self.embedded
            && let Err(error) = embedded.stop().await
        {
            tracing::warn!(error = %stxworx_indexer::error_chain(&error), "the embedded Postgres did not stop in order");
        }
    }
}

fn url_file(data_dir: &Path) -> PathBuf {
    data_dir.join("database.url")
}
