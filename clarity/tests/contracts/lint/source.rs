//! A source as a tree that rules can walk.

use std::collections::BTreeMap;

use clarity::vm::ClarityVersion;
use clarity::vm::SymbolicExpression;
use clarity::vm::ast::{ASTRules, build_ast_with_rules};
use clarity::vm::types::QualifiedContractIdentifier;
use stacks_common::types::StacksEpochId;

/// A node of the source.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Atom(String),
    List(Vec<Node>),
    /// A literal, as text.
    Literal(String),
}

impl Node {
    fn of(expression: &SymbolicExpression) -> Self {
        if let Some(items) = expression.match_list() {
            Self::List(items.iter().map(Self::of).collect())
        } else if let Some(atom) = expression.match_atom() {
            Self::Atom(atom.to_string())
        } else if let Some(value) = expression
            .match_literal_value()
            .or(expression.match_atom_value())
        {
            Self::Literal(value.to_string())
        } else {
            Self::Literal(format!("{:?}", expression.expr))
        }
    }

    pub fn atom(&self) -> Option<&str> {
        match self {
            Self::Atom(name) => Some(name),
            _ => None,
        }
    }

    pub fn list(&self) -> &[Node] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The word that a list begins with, and what follows it.
    pub fn form(&self) -> Option<(&str, &[Node])> {
        let (head, rest) = self.list().split_first()?;
        Some((head.atom()?, rest))
    }

    /// Everything in it, itself first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        visit(self);
        for item in self.list() {
            item.walk(visit);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Public,
    ReadOnly,
    Private,
}

#[derive(Debug)]
pub struct Function {
    pub access: Access,
    /// Name and type.
    pub parameters: BTreeMap<String, Node>,
    pub body: Vec<Node>,
}

/// A contract.
pub struct Source {
    pub name: String,
    pub text: String,
    pub functions: BTreeMap<String, Function>,
    /// Constants by name.
    pub constants: BTreeMap<String, Node>,
    /// What is executed at deployment.
    pub deployment: Vec<Node>,
}

impl Source {
    pub fn read(name: &str, text: &str) -> Self {
        let id = QualifiedContractIdentifier::local(name).expect("a name");
        let ast = build_ast_with_rules(
            &id,
            text,
            &mut (),
            ClarityVersion::Clarity2,
            StacksEpochId::Epoch24,
            ASTRules::PrecheckSize,
        )
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut source = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            functions: BTreeMap::new(),
            constants: BTreeMap::new(),
            deployment: Vec::new(),
        };
        for expression in &ast.expressions {
            source.add(Node::of(expression));
        }
        source
    }

    fn add(&mut self, node: Node) {
        let Some((head, rest)) = node.form() else {
            self.deployment.push(node);
            return;
        };
        let access = match head {
            "define-public" => Access::Public,
            "define-read-only" => Access::ReadOnly,
            "define-private" => Access::Private,
            "define-constant" => {
                let name = rest[0].atom().expect("a name").to_owned();
                self.constants.insert(name, rest[1].clone());
                return;
            }
            _ if head.starts_with("define-") || head.ends_with("-trait") => return,
            _ => {
                self.deployment.push(node);
                return;
            }
        };
        let (name, parameters) = rest[0].form().expect("a signature");
        let parameters = parameters.iter().map(|p| {
            (
                p.list()[0].atom().expect("a name").to_owned(),
                p.list()[1].clone(),
            )
        });
        let function = Function {
            access,
            parameters: parameters.collect(),
            body: rest[1..].to_vec(),
        };
        self.functions.insert(name.to_owned(), function);
    }

    /// Every place where something stands: name of the function (or constant), its parts.
    pub fn places(&self) -> impl Iterator<Item = (&str, &Node)> {
        let functions = self
            .functions
            .iter()
            .flat_map(|(name, f)| f.body.iter().map(move |n| (name.as_str(), n)));
        let constants = self.constants.iter().map(|(name, n)| (name.as_str(), n));
        let deployment = self.deployment.iter().map(|n| ("the deployment", n));
        functions.chain(constants).chain(deployment)
    }
}
