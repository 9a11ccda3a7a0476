//! A period in numbers: what each holder had at its beginning, what moved, and what it has at its end.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::seal::{self, Candidate, Ends, Flow, ProjectFees};
use crate::store::StoreError;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// The period's number.
    pub period: i32,
    /// Its first Stacks height.
    pub from_height: i32,
    /// Its last.
    pub until_height: i32,
    /// The block there, with 0x.
    pub until_block: String,
    /// Unix seconds of that block's Bitcoin block.
    pub until_time: i64,
    /// Balances at both ends, of treasuries, escrows and suspense accounts.
    pub balances: Vec<Ends>,
    /// What moved, by part.
    pub flows: Vec<Flow>,
    /// The fees, by project.
    pub fees: Vec<ProjectFees>,
}

impl Statement {
    /// Of a period that is closed, or could be.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(
        connection: &mut PgConnection,
        candidate: &Candidate,
    ) -> Result<Self, StoreError> {
        let (balances, flows, fees) =
            seal::figures(connection, candidate.number, candidate.until_height).await?;
        Ok(Self {
            period: candidate.number,
            from_height: candidate.from_height,
            until_height: candidate.until_height,
            until_block: format!("0x{}", hex::encode(candidate.until_block)),
            until_time: candidate.until_time,
            balances,
            flows,
            fees,
        })
    }

    /// Of the open period, as far as it is booked; none before anything is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(connection: &mut PgConnection) -> Result<Option<Self>, StoreError> {
        let booked = sqlx::query_scalar!("select booked_height from ledger_progress")
            .fetch_one(&mut *connection)
            .await
            .map_err(StoreError::db("read up to where the books go"))?;
        let Some(height) = booked else {
            return Ok(None);
        };
        let Some(candidate) = seal::candidate_in(connection, height).await? else {
            return Ok(None);
        };
        Self::of(connection, &candidate).await.map(Some)
    }

    /// The bytes that are sealed.
    ///
    /// # Errors
    /// Never, as far as is known: it is plain data.
    pub fn bytes(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Whether a suspense account is not empty at the end.
    pub fn has_suspense(&self) -> bool {
        let mut suspense = self
            .balances
            .iter()
            .filter(|b| b.holder.starts_with("suspense:"));
        suspense.any(|b| b.closing != "0")
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "period {}: heights {} to {}, up to block {}\namounts in base units\n",
            self.period, self.from_height, self.until_height, self.until_block
        );
        for ends in &self.balances {
            // Writing to a String cannot fail.
            let _ = self.section(&mut text, ends);
        }
        text
    }

    fn section(&self, text: &mut String, ends: &Ends) -> std::fmt::Result {
        writeln!(text, "\n{}, {}", ends.holder, ends.asset)?;
        writeln!(text, "  {:<24}{:>40}", "opening", ends.opening)?;
        let of_it = |holder: &str, asset: &str| holder == ends.holder && asset == ends.asset;
        for flow in self.flows.iter().filter(|f| of_it(&f.holder, &f.asset)) {
            for (sign, amount) in [('+', &flow.came), ('-', &flow.went)] {
                if amount != "0" {
                    writeln!(
                        text,
                        "  {:<24}{:>40}",
                        flow.part.replace('_', " "),
                        format!("{sign}{amount}")
                    )?;
                }
            }
        }
        for fees in self.fees.iter().filter(|f| of_it(&f.treasury, &f.asset)) {
            write!(
                text,
                "    project {} of {}: {} in {} settlements of {}",
                fees.project, fees.contract, fees.fees, fees.settlements, fees.gross
            )?;
            match &fees.floor_of_sum {
                Some(floor) if *floor != fees.fees => {
                    writeln!(text, "; {floor} if rounded once and not for each milestone")?
                }
                _ => writeln!(text)?,
            }
        }
        writeln!(text, "  {:<24}{:>40}", "closing", ends.closing)
    }
}
