//! A second source that tells of a block that is there: does it say the same?

use super::PipelineError;
use super::decode::{Decoded, decode_row};
use super::writer::Writer;
use crate::model::differences::differences;
use crate::model::{Block, BlockRef};
use crate::store::batch::Disagreement;
use crate::store::inbox::{self, Source};
use crate::store::{StoreError, sync};

impl Writer {
    /// Compares a duplicate with the block that is mirrored, if another source told of that one. Nothing is
    /// overwritten, whatever comes out.
    pub(super) async fn compare_duplicate(
        &mut self,
        other_inbox_id: i64,
        other_source: Source,
        other: &Block,
    ) -> Result<(), PipelineError> {
        let id = other.header.id;
        let drafted = self.drafted(&id);
        let applied_inbox_id = match drafted {
            Some(inbox_id) => Some(inbox_id),
            None => sync::payload_of(self.pool(), id).await?,
        };
        let Some(applied_inbox_id) = applied_inbox_id else {
            return Ok(());
        };
        let applied_source = sync::source_of(self.pool(), applied_inbox_id).await?;
        if applied_source == other_source {
            return Ok(());
        }
        let row = inbox::fetch_one(self.pool(), applied_inbox_id).await?;
        let follow = self.follow().clone();
        let applied = tokio::task::spawn_blocking(move || decode_row(row, &follow)).await;
        let applied = applied.map_err(|e| StoreError::Corrupt {
            table: "inbox",
            detail: format!("a decoder died on row {applied_inbox_id}: {e}"),
        })??;
        let Decoded::Block(applied) = applied.decoded else {
            let detail = format!("row {applied_inbox_id} was applied and holds no block");
            return Err(StoreError::Corrupt {
                table: "inbox",
                detail,
            }
            .into());
        };
        let Some(text) = differences(&applied, other) else {
            return Ok(());
        };
        self.note_disagreement(Disagreement {
            applied_inbox_id,
            other_inbox_id,
            block: BlockRef {
                id,
                height: other.header.height,
            },
            applied_source,
            other_source,
            differences: text,
        });
        Ok(())
    }
}
