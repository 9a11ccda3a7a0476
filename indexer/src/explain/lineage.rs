//! Which version of an entity set which field. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// The leaves of a JSON value by path, such as `milestones[0].status`; an empty list or object is a leaf.
pub fn leaves(value: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    collect(String::new(), value, &mut found);
    found
}

fn collect<'a>(path: String, value: &'a Value, found: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, inner) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                collect(path, inner, found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, inner) in items.iter().enumerate() {
                collect(format!("{path}[{place}]"), inner, found);
            }
        }
        leaf => {
            found.insert(path, leaf);
        }
    }
}

/// A field that a version changed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldChange {
    /// Path of the leaf.
    pub path: String,
    /// What it was; none if there was no such leaf.
    pub before: Option<Value>,
    /// What it became; none if it went.
    pub after: Option<Value>,
}

/// What one state changed of the one before it; none for the first.
pub fn changes(before: Option<&Value>, after: &Value) -> Vec<FieldChange> {
    let (old, new) = (before.map(leaves).unwrap_or_default(), leaves(after));
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| FieldChange {
            path: path.clone(),
            before: old.get(path).map(|v| (*v).clone()),
            after: new.get(path).map(|v| (*v).clone()),
        })
        .collect()
}

/// A walk from the newest state of an entity down its versions, until every field's setter is found.
#[derive(Debug)]
pub struct Lineage {
    open: BTreeMap<String, Value>,
    set_by: BTreeMap<String, usize>,
    walked: usize,
}

impl Lineage {
    /// Begins at the newest state.
    pub fn of(newest: &Value) -> Self {
        let open = leaves(newest).into_iter().map(|(p, v)| (p, v.clone()));
        Self {
            open: open.collect(),
            set_by: BTreeMap::new(),
            walked: 0,
        }
    }

    /// Goes one version down; `older` is none below the first. Versions are counted from the newest, which is 0. The
    /// fields that differ below were set by the version above.
    pub fn step(&mut self, older: Option<&Value>) {
        let below = older.map(leaves).unwrap_or_default();
        let version = self.walked;
        let set_by = &mut self.set_by;
        self.open.retain(|path, value| {
            let same = below.get(path).is_some_and(|older| *older == value);
            if !same {
                set_by.insert(path.clone(), version);
            }
            same
        });
        self.walked += 1;
    }

    /// Is there a field left whose setter is not found?
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The version that set each field, counted from the newest.
    pub fn set_by(&self) -> &BTreeMap<String, usize> {
        &self.set_by
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn walk(newest_first: &[Value]) -> Lineage {
        let mut lineage = Lineage::of(&newest_first[0]);
        for older in &newest_first[1..] {
            lineage.step(Some(older));
        }
        lineage.step(None);
        lineage
    }

    #[test]
    fn a_field_belongs_to_the_last_version_that_changed_it() {
        let versions = [
            json!({"status": "active", "paid": "7", "ms": [{"s": "released"}, {"s": "funded"}], "offer": null}),
            json!({"status": "active", "paid": "0", "ms": [{"s": "submitted"}, {"s": "funded"}], "offer": null}),
            json!({"status": "open", "paid": "0", "ms": [{"s": "funded"}, {"s": "funded"}], "offer": {"by": "x"}}),
        ];
        let lineage = walk(&versions);
        let expected = [
            ("ms[0].s", 0),
            ("ms[1].s", 2),
            ("offer", 1),
            ("paid", 0),
            ("status", 1),
        ];
        let found: Vec<_> = lineage
            .set_by()
            .iter()
            .map(|(p, v)| (p.as_str(), *v))
            .collect();
        assert_eq!(found, expected);
        assert!(!lineage.is_open());
    }

    #[test]
    fn a_value_that_came_back_was_set_when_it_came_back() {
        let versions = [json!({"a": 1}), json!({"a": 2}), json!({"a": 1})];
        assert_eq!(walk(&versions).set_by()["a"], 0);
    }

    #[test]
    fn changes_name_what_came_and_what_went() {
        let found = changes(Some(&json!({"a": 1, "b": []})), &json!({"a": 2, "b": [3]}));
        let said: Vec<_> = found.iter().map(|c| c.path.as_str()).collect();
        assert_eq!(said, ["a", "b", "b[0]"]);
        assert_eq!(
            (&found[1].before, &found[1].after),
            (&Some(json!([])), &None)
        );
    }

    fn state() -> impl Strategy<Value = Value> {
        proptest::collection::btree_map("[a-d]", 0u8..3, 1..4).prop_map(|m| json!(m))
    }

    proptest! {
        /// What a setter set was so from then on, and was not so before.
        #[test]
        fn a_setter_changed_the_field_and_nothing_did_since(states in proptest::collection::vec(state(), 1..8)) {
            let lineage = walk(&states);
            let newest = leaves(&states[0]);
            prop_assert_eq!(lineage.set_by().len(), newest.len());
            for (path, version) in lineage.set_by() {
                for since in &states[..=*version] {
                    let then = leaves(since);
                    prop_assert_eq!(then.get(path), newest.get(path));
                }
                if let Some(before) = states.get(version + 1) {
                    let then = leaves(before);
                    prop_assert_ne!(then.get(path), newest.get(path));
                }
            }
        }
    }
}
