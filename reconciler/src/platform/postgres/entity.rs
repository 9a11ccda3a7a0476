//! What the platform keeps, and the queries of its own schema.

use std::collections::BTreeMap;

/// What rows are about. Projects stand in the order of their numbers; badges and users in that of their addresses;
/// transfers in that of their transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// Projects.
    Projects,
    /// Badges that the platform believes in.
    Badges,
    /// Its users.
    Users,
    /// What it records of treasuries.
    Transfers,
}

/// Types by column, of a table that is there.
pub(super) type Table = BTreeMap<String, String>;

impl Entity {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Projects, Self::Badges, Self::Users, Self::Transfers];

    /// As rules, images and runs name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Badges => "badges",
            Self::Users => "users",
            Self::Transfers => "transfers",
        }
    }

    /// The setting with its query.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Projects => "platform.projects_query",
            Self::Badges => "platform.badges_query",
            Self::Users => "platform.users_query",
            Self::Transfers => "platform.transfers_query",
        }
    }

    /// The platform's own table, without which nothing is kept.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Badges => "nft_achievements",
            Self::Users => "users",
            Self::Transfers => "dao_transactions",
        }
    }

    /// Whatever a rule reads of a row, it must know which row it is, and what it points to.
    pub(super) fn needs(self) -> [&'static str; 2] {
        match self {
            Self::Projects => ["key", "on_chain_id"],
            Self::Badges => ["key", "user"],
            Self::Users => ["key", "principal"],
            Self::Transfers => ["key", "tx_id"],
        }
    }

    /// Other tables that its default query looks into.
    pub(super) fn beside(self) -> &'static [&'static str] {
        match self {
            Self::Projects | Self::Transfers => &[],
            Self::Badges => &["users"],
            Self::Users => &["x_integrations", "leaderboard_scores"],
        }
    }

    /// The query of the platform's own schema, from the tables that are there; none where it has no column that is
    /// compared. `handles` asks for the names of X accounts as well.
    pub(super) fn default_query(
        self,
        tables: &BTreeMap<&'static str, Table>,
        handles: bool,
    ) -> Option<String> {
        let columns = Columns {
            tables,
            parts: Vec::new(),
        };
        match self {
            Self::Projects => columns.projects(),
            Self::Badges => columns.badges(),
            Self::Users => columns.users(handles),
            Self::Transfers => columns.transfers(),
        }
    }
}

/// Milestones that the platform's own schema has.
const SEED_MILESTONES: u32 = 4;

/// Collects what is there.
struct Columns<'a> {
    tables: &'a BTreeMap<&'static str, Table>,
    parts: Vec<String>,
}

impl Columns<'_> {
    fn has(&self, table: &str, column: &str) -> bool {
        self.tables
            .get(table)
            .is_some_and(|columns| columns.contains_key(column))
    }

    /// The first of these columns of a table that is there, under our name.
    fn take(&mut self, alias: &str, table: &str, theirs: &[&str], ours: &str) {
        if let Some(name) = theirs.iter().find(|name| self.has(table, name)) {
            self.parts.push(format!("{alias}.\"{name}\" as \"{ours}\""));
        }
    }

    fn finish(self, from: &str) -> Option<String> {
        (!self.parts.is_empty()).then(|| format!("select {} from {from}", self.parts.join(", ")))
    }

    fn projects(mut self) -> Option<String> {
        for (ours, theirs) in [
            ("key", "id"),
            ("on_chain_id", "on_chain_id"),
            ("tx_id", "tx_id"),
            ("client", "client_address"),
            ("freelancer", "freelancer_address"),
            ("asset", "token_type"),
            ("total", "total_amount"),
            ("status", "status"),
            ("updated_at", "updated_at"),
        ] {
            self.take("p", "projects", &[theirs], ours);
        }
        for m in 1..=SEED_MILESTONES {
            for part in ["amount", "funded", "complete", "released"] {
                let name = format!("milestone_{m}_{part}");
                self.take("p", "projects", &[&name], &name);
            }
        }
        self.finish("projects p")
    }

    fn badges(mut self) -> Option<String> {
        let table = "nft_achievements";
        self.take("a", table, &["id"], "key");
        self.take("a", table, &["achievement_type"], "kind");
        self.take("a", table, &["token_id"], "token_id");
        self.take("a", table, &["mint_tx_id", "tx_id"], "tx_id");
        self.take("a", table, &["updated_at"], "updated_at");
        let linked = self.has(table, "user_id") && self.has("users", "id");
        if !linked {
            self.take("a", table, &["stx_address", "user_address"], "user");
            return self.finish("nft_achievements a");
        }
        self.take("u", "users", &["stx_address", "address"], "user");
        self.finish("nft_achievements a left join users u on u.id = a.user_id")
    }

    fn transfers(mut self) -> Option<String> {
        let table = Entity::Transfers.table();
        for (ours, theirs) in [
            ("key", "id"),
            ("from", "from_address"),
            ("to", "to_address"),
            ("amount", "amount"),
            ("asset", "token_type"),
            ("tx_id", "tx_id"),
            ("updated_at", "updated_at"),
        ] {
            self.take("t", table, &[theirs], ours);
        }
        self.finish("dao_transactions t")
    }

    fn users(mut self, handles: bool) -> Option<String> {
        self.take("u", "users", &["id"], "key");
        self.take("u", "users", &["stx_address", "address"], "principal");
        self.take("u", "users", &["updated_at"], "updated_at");
        let mut from = "users u".to_owned();
        let linked = |table: &str| self.has("users", "id") && self.has(table, "user_id");
        let (x, scores) = (linked("x_integrations"), linked("leaderboard_scores"));
        for (ours, theirs, score) in [
            ("earned", "total_earned", "total-earnings"),
            ("completed", "completed_projects", "project-completion"),
        ] {
            if self.has("users", theirs) {
                self.take("u", "users", &[theirs], ours);
            } else if scores && self.has("leaderboard_scores", "score_value") {
                // One row for each kind of score: its primary key says so.
                self.parts.push(format!(
                    "(select s.score_value from leaderboard_scores s where s.user_id = u.id
                      and s.score_type = '{score}') as {ours}"
                ));
            }
        }
        if x {
            self.take("x", "x_integrations", &["verified"], "x_verified");
            if handles {
                self.take("x", "x_integrations", &["handle"], "x_handle");
            }
            from.push_str(" left join x_integrations x on x.user_id = u.id");
        } else {
            self.take("u", "users", &["x_verified"], "x_verified");
            if handles {
                self.take("u", "users", &["x_handle"], "x_handle");
            }
        }
        self.finish(&from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str]) -> Table {
        let column = |name: &&str| ((*name).to_owned(), "TEXT".to_owned());
        columns.iter().map(column).collect()
    }

    #[test]
    fn what_is_there_is_asked_for_and_what_is_not_is_left_out() {
        let tables = BTreeMap::from([
            ("users", table(&["id", "stx_address"])),
            ("nft_achievements", table(&["id", "user_id", "token_id"])),
            ("leaderboard_scores", table(&["user_id", "score_value"])),
        ]);
        let users = Entity::Users.default_query(&tables, false).unwrap();
        assert!(users.contains("'total-earnings') as earned"), "{users}");
        assert!(!users.contains("x_verified"), "{users}");
        let with_x = BTreeMap::from([
            ("users", table(&["id", "stx_address"])),
            ("x_integrations", table(&["user_id", "verified", "handle"])),
        ]);
        let names = |handles| {
            let query = Entity::Users.default_query(&with_x, handles).unwrap();
            query.contains("x.\"handle\" as \"x_handle\"")
        };
        assert!(names(true) && !names(false), "no comparison needs a name");
        let badges = Entity::Badges.default_query(&tables, false).unwrap();
        assert_eq!(
            badges,
            "select a.\"id\" as \"key\", a.\"token_id\" as \"token_id\", u.\"stx_address\" as \"user\" \
             from nft_achievements a left join users u on u.id = a.user_id"
        );
        assert_eq!(Entity::Projects.default_query(&tables, false), None);
    }
}
