//! What the role may do at the platform, which ought to be: read.

use super::{Platform, PlatformError, dynamic};

impl Platform {
    /// Tables of the platform that this role may change, at most twenty; none for a role that only reads.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn writable(&mut self) -> Result<Vec<String>, PlatformError> {
        let failed = || PlatformError::database("say what this role may do");
        let sql = "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
               and n.nspname not like 'pg\\_%' and has_schema_privilege(n.oid, 'usage')
               and has_table_privilege(c.oid, 'insert, update, delete, truncate')
             order by 1 limit 20";
        let rows = dynamic::plain(sql.to_owned())
            .fetch_all(&mut *self.tx)
            .await
            .map_err(failed())?;
        let mut tables = Vec::with_capacity(rows.len());
        for row in rows {
            tables.extend(dynamic::text(&row, 0).map_err(failed())?);
        }
        Ok(tables)
    }
}
