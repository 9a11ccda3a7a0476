//! Every change of state prints one event: followed along every path through every function.
//!
//! A path counts what it changes, the numbers that it takes (`hdr`), the events that it prints and the hashes that it
//! keeps (`var-set head`). A path that fails undoes itself and is not followed. A private function that tells of its
//! own changes is complete, and adds nothing to its caller; one that does not is the caller's to tell of.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Access, Node, Source};

/// What happened along a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Path {
    changed: bool,
    numbers: u8,
    prints: u8,
    hashes: u8,
}

impl Path {
    fn then(self, next: Self) -> Self {
        Self {
            changed: self.changed || next.changed,
            // More than a few is wrong, however many.
            numbers: (self.numbers + next.numbers).min(3),
            prints: (self.prints + next.prints).min(3),
            hashes: (self.hashes + next.hashes).min(3),
        }
    }

    /// What a function that is complete does: nothing, or one change that is told of.
    fn is_sound(self) -> bool {
        self.told() == u8::from(self.changed) && self.agrees()
    }

    fn agrees(self) -> bool {
        self.numbers == self.prints && self.prints == self.hashes
    }

    fn told(self) -> u8 {
        self.prints
    }
}

type Paths = BTreeSet<Path>;

const CHANGE: Path = Path {
    changed: true,
    numbers: 0,
    prints: 0,
    hashes: 0,
};

fn nothing() -> Paths {
    Paths::from([Path::default()])
}

fn joined(first: &Paths, second: &Paths) -> Paths {
    let pairs = first.iter().flat_map(|a| second.iter().map(|b| a.then(*b)));
    pairs.collect()
}

fn either(mut first: Paths, second: Paths) -> Paths {
    first.extend(second);
    first
}

struct Walk<'a> {
    source: &'a Source,
    /// Functions that were walked before.
    known: BTreeMap<String, Paths>,
    found: Vec<String>,
}

impl Walk<'_> {
    fn all(&mut self, nodes: &[Node]) -> Paths {
        let mut paths = nothing();
        for node in nodes {
            let next = self.node(node);
            paths = joined(&paths, &next);
        }
        paths
    }

    fn plus(&mut self, nodes: &[Node], what: Path) -> Paths {
        joined(&self.all(nodes), &Paths::from([what]))
    }

    fn node(&mut self, node: &Node) -> Paths {
        let Some((head, rest)) = node.form() else {
            return self.all(node.list());
        };
        match head {
            "if" => {
                let condition = self.node(&rest[0]);
                let (yes, no) = (self.node(&rest[1]), self.node(&rest[2]));
                joined(&condition, &either(yes, no))
            }
            "match" => self.matched(rest),
            "and" | "or" => {
                let first = self.node(&rest[0]);
                let others = self.all(&rest[1..]);
                joined(&first, &either(others, nothing()))
            }
            "let" => {
                let values: Vec<Node> =
                    rest[0].list().iter().map(|b| b.list()[1].clone()).collect();
                let bound = self.all(&values);
                let body = self.all(&rest[1..]);
                joined(&bound, &body)
            }
            "tuple" => {
                let values: Vec<Node> = rest.iter().map(|f| f.list()[1].clone()).collect();
                self.all(&values)
            }
            // What is thrown is a constant, and its path ends in failure.
            "asserts!" | "unwrap!" => self.node(&rest[0]),
            "map" | "filter" | "fold" => self.repeated(rest),
            "print" => self.plus(
                rest,
                Path {
                    prints: 1,
                    ..Path::default()
                },
            ),
            "var-set" => match rest[0].atom() {
                Some("head") => self.plus(
                    &rest[1..],
                    Path {
                        hashes: 1,
                        ..Path::default()
                    },
                ),
                _ => self.plus(&rest[1..], CHANGE),
            },
            "hdr" => Paths::from([Path {
                numbers: 1,
                ..Path::default()
            }]),
            "contract-call?" => self.all(&rest[2..]),
            _ if changes(head) => self.plus(rest, CHANGE),
            _ if self.source.functions.contains_key(head) => {
                let arguments = self.all(rest);
                joined(&arguments, &self.called(head))
            }
            _ => self.all(rest),
        }
    }

    fn matched(&mut self, rest: &[Node]) -> Paths {
        let input = self.node(&rest[0]);
        let (some, other) = match rest {
            [_, _, some, other] => (some, other),
            [_, _, some, _, other] => (some, other),
            _ => panic!("a match of {} parts", rest.len()),
        };
        let (some, other) = (self.node(some), self.node(other));
        joined(&input, &either(some, other))
    }

    fn repeated(&mut self, rest: &[Node]) -> Paths {
        let name = rest[0].atom().unwrap_or_default().to_owned();
        let lists = self.all(&rest[1..]);
        let once = self.called(&name);
        if once.iter().any(|p| p.prints + p.numbers > 0) {
            self.found.push(format!("{name} prints, and is repeated"));
        }
        joined(&lists, &either(once, nothing()))
    }

    /// What a call of a function of this contract leaves to its caller.
    fn called(&mut self, name: &str) -> Paths {
        if let Some(paths) = self.known.get(name) {
            return paths.clone();
        }
        let source = self.source;
        let Some(function) = source.functions.get(name) else {
            return nothing();
        };
        let mut paths = self.all(&function.body);
        let tells = paths.iter().any(|p| p.told() > 0);
        if tells && paths.iter().all(|p| p.is_sound()) {
            paths = nothing();
        }
        self.known.insert(name.to_owned(), paths.clone());
        paths
    }
}

fn changes(word: &str) -> bool {
    word.starts_with("map-set")
        || word.starts_with("map-insert")
        || word.starts_with("map-delete")
        || ((word.starts_with("stx-") || word.starts_with("ft-") || word.starts_with("nft-"))
            && ["transfer?", "transfer-memo?", "mint?", "burn?"]
                .iter()
                .any(|end| word.ends_with(end)))
}

/// The rule.
pub fn one_print_per_change(source: &Source) -> Vec<String> {
    let mut walk = Walk {
        source,
        known: BTreeMap::new(),
        found: Vec::new(),
    };
    for (name, function) in &source.functions {
        let paths = walk.all(&function.body);
        let wrong = match function.access {
            Access::Public => paths.iter().find(|p| !p.is_sound()),
            Access::ReadOnly => paths.iter().find(|p| **p != Path::default()),
            // A private function may leave the telling to its caller, but not half of it.
            Access::Private if name == "hdr" => None,
            Access::Private => paths.iter().find(|p| !p.agrees() || p.told() > 1),
        };
        if let Some(path) = wrong {
            walk.found.push(format!("{name} has a path with {path:?}"));
        }
    }
    let deployment = walk.all(&source.deployment);
    if let Some(path) = deployment.iter().find(|p| !p.agrees() || p.told() != 1) {
        walk.found
            .push(format!("at deployment there is a path with {path:?}"));
    }
    walk.found
}
