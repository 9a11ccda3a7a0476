//! Calls into the virtual machine, each on a stack that is deep enough and with its panics caught.

use std::collections::HashMap;

use clarity::types::chainstate::StacksBlockId;
use clarity::vm::analysis::contract_interface_builder::build_contract_interface;
use clarity::vm::analysis::{AnalysisDatabase, CheckErrors, run_analysis};
use clarity::vm::ast::{ASTRules, build_ast_with_diagnostics, build_ast_with_rules};
use clarity::vm::contexts::{AssetMap, OwnedEnvironment};
use clarity::vm::costs::LimitedCostTracker;
use clarity::vm::database::{ClarityDatabase, StoreType};
use clarity::vm::diagnostic::{Diagnostic, Level};
use clarity::vm::errors::Error as VmError;
use clarity::vm::events::StacksTransactionEvent;
use clarity::vm::types::{BuffData, PrincipalData, QualifiedContractIdentifier};
use clarity::vm::{ClarityVersion, SymbolicExpression, Value as VmValue};

use super::store::{CHAIN_ID, EPOCH, Headers, Meta, State, Store};

/// The machine recurses deeply and this build of it does not grow its stack. Only touched pages cost.
const STACK_BYTES: usize = 128 << 20;

/// Why the machine did not come to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// An error at run time; the text is the machine's.
    Runtime(String),
    /// A source that does not parse or check; `line` and `column` are 0 where they are not known.
    Source {
        message: String,
        line: u32,
        column: u32,
    },
    /// A function that is not there.
    NoFunction(String),
    /// A function that writes, in a read.
    NotReadOnly,
    /// The machine panicked. Nothing was written.
    Panic(String),
}

impl Failure {
    /// As a node reports it in `vm_error`.
    pub(super) fn vm_error(&self) -> String {
        match self {
            Self::Runtime(text) => text.clone(),
            Self::Source {
                message,
                line,
                column,
            } => format!(":{line}:{column}: {message}"),
            Self::NoFunction(name) => format!("UndefinedFunction({name:?})"),
            Self::NotReadOnly => "NotReadOnly".to_owned(),
            Self::Panic(text) => format!("the machine panicked: {text}"),
        }
    }
}

/// What an execution did.
pub(super) struct Executed {
    pub value: VmValue,
    pub assets: AssetMap,
    pub events: Vec<StacksTransactionEvent>,
}

/// A state in the making, on top of a block.
pub(super) struct Machine<'a> {
    pub metas: &'a HashMap<StacksBlockId, Meta>,
    pub open: Meta,
}

/// Runs something on a deep stack; a panic is an answer.
fn isolated<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, Failure> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("clarity".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|e| Failure::Panic(format!("no thread for the machine: {e}")))?;
        thread.join().map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Failure::Panic(text.unwrap_or_else(|| "without a message".to_owned()))
        })
    })
}

fn failure(error: &VmError) -> Failure {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    match error {
        VmError::Unchecked(
            CheckErrors::UndefinedFunction(name) | CheckErrors::NoSuchPublicFunction(_, name),
        ) => Failure::NoFunction(name.clone()),
        VmError::Unchecked(
            CheckErrors::WriteAttemptedInReadOnly | CheckErrors::PublicFunctionNotReadOnly(..),
        ) => Failure::NotReadOnly,
        _ => Failure::Runtime(first.to_owned()),
    }
}

/// The parser's error, from its list of diagnostics: what it returns as its error names no place.
fn located(
    contract: &QualifiedContractIdentifier,
    source: &str,
    version: ClarityVersion,
    error: &Diagnostic,
) -> Failure {
    let (_, found, _) = build_ast_with_diagnostics(contract, source, &mut (), version, EPOCH);
    let first = found
        .iter()
        .find(|d| d.level == Level::Error && !d.spans.is_empty());
    at(first.unwrap_or(error))
}

fn at(diagnostic: &Diagnostic) -> Failure {
    let span = diagnostic.spans.first();
    Failure::Source {
        message: diagnostic.message.clone(),
        line: span.map_or(0, |s| s.start_line),
        column: span.map_or(0, |s| s.start_column),
    }
}

#[expect(
    clippy::result_large_err,
    reason = "the errors are clarity-vm's own, and the rare case"
)]
impl Machine<'_> {
    /// Work on the database of a state; what it committed is in the state that is returned.
    pub(super) fn database<R: Send>(
        &self,
        state: &State,
        work: impl FnOnce(&mut ClarityDatabase<'_>) -> R + Send,
    ) -> Result<(R, State), Failure> {
        let state = state.clone();
        isolated(move || {
            let mut store = Store::new(state, self.open, self.metas);
            let headers = Headers {
                open: self.open,
                metas: self.metas,
            };
            let result = {
                let mut database = ClarityDatabase::new(&mut store, &headers, &headers);
                database.begin();
                let result = work(&mut database);
                database.commit();
                result
            };
            (result, store.state)
        })
    }

    /// An execution; the new state is kept only if `keep` says so of what it did.
    fn execute(
        &self,
        state: &State,
        work: impl FnOnce(&mut OwnedEnvironment<'_, '_>) -> Result<Executed, VmError> + Send,
    ) -> Result<(Executed, State), Failure> {
        let state = state.clone();
        isolated(move || {
            let mut store = Store::new(state, self.open, self.metas);
            let headers = Headers {
                open: self.open,
                metas: self.metas,
            };
            let result = {
                let database = ClarityDatabase::new(&mut store, &headers, &headers);
                let tracker = LimitedCostTracker::new_free();
                let mut environment =
                    OwnedEnvironment::new_cost_limited(false, CHAIN_ID, database, tracker, EPOCH);
                work(&mut environment)
            };
            match result {
                Ok(done) => Ok((done, store.state)),
                Err(error) => Err(failure(&error)),
            }
        })?
    }

    /// Calls a public function.
    pub(super) fn call(
        &self,
        state: &State,
        sender: &PrincipalData,
        sponsor: Option<&PrincipalData>,
        contract: &QualifiedContractIdentifier,
        function: &str,
        arguments: Vec<VmValue>,
    ) -> Result<(Executed, State), Failure> {
        self.execute(state, move |environment| {
            let arguments: Vec<_> = arguments
                .into_iter()
                .map(SymbolicExpression::atom_value)
                .collect();
            let (value, assets, events) = environment.execute_transaction(
                sender.clone(),
                sponsor.cloned(),
                contract.clone(),
                function,
                &arguments,
            )?;
            Ok(Executed {
                value,
                assets,
                events,
            })
        })
    }

    /// Evaluates a function that does not write.
    pub(super) fn read(
        &self,
        state: &State,
        sender: &PrincipalData,
        contract: &QualifiedContractIdentifier,
        function: &str,
        arguments: Vec<VmValue>,
    ) -> Result<VmValue, Failure> {
        let done = self.execute(state, move |environment| {
            let arguments: Vec<_> = arguments
                .into_iter()
                .map(SymbolicExpression::atom_value)
                .collect();
            let (value, assets, events) =
                environment.execute_in_env(sender.clone(), None, None, |e| {
                    e.execute_contract(contract, function, &arguments, true)
                })?;
            Ok(Executed {
                value,
                assets,
                events,
            })
        })?;
        Ok(done.0.value)
    }

    /// Moves STX between accounts, as a token transfer does.
    pub(super) fn transfer(
        &self,
        state: &State,
        from: &PrincipalData,
        to: &PrincipalData,
        amount: u128,
        memo: &[u8; 34],
    ) -> Result<(Executed, State), Failure> {
        self.execute(state, move |environment| {
            let memo = BuffData {
                data: memo.to_vec(),
            };
            let (value, assets, events) = environment.stx_transfer(from, to, amount, &memo)?;
            Ok(Executed {
                value,
                assets,
                events,
            })
        })
    }

    /// Checks and initialises a contract; returns its interface, as a node reports it, with what it did.
    pub(super) fn deploy(
        &self,
        state: &State,
        contract: &QualifiedContractIdentifier,
        version: ClarityVersion,
        source: &str,
    ) -> Result<(Executed, serde_json::Value, State), Failure> {
        let start = state.clone();
        let (mut ast, analysis) = isolated(|| {
            let mut ast = build_ast_with_rules(
                contract,
                source,
                &mut (),
                version,
                EPOCH,
                ASTRules::PrecheckSize,
            )
            .map_err(|e| located(contract, source, version, &e.diagnostic))?;
            let mut store = Store::new(start, self.open, self.metas);
            let mut database = AnalysisDatabase::new(&mut store);
            let tracker = LimitedCostTracker::new_free();
            let analysis = run_analysis(
                contract,
                &mut ast.expressions,
                &mut database,
                false,
                tracker,
                EPOCH,
                version,
            )
            .map_err(|(e, _)| at(&e.diagnostic))?;
            Ok((ast, analysis))
        })??;
        let (done, state) = self.execute(state, |environment| {
            let (_, assets, events) = environment.initialize_contract_from_ast(
                contract.clone(),
                version,
                &ast,
                source,
                None,
            )?;
            let value = VmValue::okay_true();
            Ok(Executed {
                value,
                assets,
                events,
            })
        })?;
        ast.expressions.clear();
        let interface = serde_json::to_value(build_contract_interface(&analysis))
            .map_err(|e| Failure::Runtime(format!("the interface is not JSON: {e}")))?;
        let state = isolated(|| {
            let mut store = Store::new(state, self.open, self.metas);
            let mut database = AnalysisDatabase::new(&mut store);
            database.begin();
            database
                .insert_contract(contract, &analysis)
                .map_err(|e| Failure::Runtime(e.to_string()))?;
            database.commit();
            Ok(store.state)
        })??;
        Ok((done, interface, state))
    }

    /// The interface of a contract, if it is there.
    pub(super) fn interface(
        &self,
        state: &State,
        contract: &QualifiedContractIdentifier,
    ) -> Option<serde_json::Value> {
        let state = state.clone();
        let interface = isolated(move || {
            let mut store = Store::new(state, self.open, self.metas);
            let mut database = AnalysisDatabase::new(&mut store);
            database.begin();
            let analysis = database.load_contract(contract, &EPOCH)?;
            serde_json::to_value(build_contract_interface(&analysis)).ok()
        });
        interface.ok().flatten()
    }

    /// Whether a public function is there and takes these arguments.
    pub(super) fn check_call(
        &self,
        state: &State,
        contract: &QualifiedContractIdentifier,
        function: &str,
        arguments: &[VmValue],
    ) -> Result<CallCheck, Failure> {
        let state = state.clone();
        isolated(move || {
            let mut store = Store::new(state, self.open, self.metas);
            let mut database = AnalysisDatabase::new(&mut store);
            database.begin();
            let Some(analysis) = database.load_contract(contract, &EPOCH) else {
                return CallCheck::NoContract;
            };
            let Some(signature) = analysis.get_public_function_type(function) else {
                return CallCheck::NoFunction;
            };
            match signature.check_args_by_allowing_trait_cast(
                &mut database,
                arguments,
                EPOCH,
                analysis.clarity_version,
            ) {
                Ok(_) => CallCheck::Fits,
                Err(error) => CallCheck::BadArguments(error.diagnostic.message),
            }
        })
    }
}

/// What is to be said about a call before it is made.
pub(super) enum CallCheck {
    Fits,
    NoContract,
    NoFunction,
    BadArguments(String),
}

/// Key of a variable in the store.
pub(super) fn variable_key(contract: &QualifiedContractIdentifier, variable: &str) -> String {
    ClarityDatabase::make_key_for_trip(contract, StoreType::Variable, variable)
}

/// Key of a map's entry in the store.
pub(super) fn entry_key(
    contract: &QualifiedContractIdentifier,
    map: &str,
    key: &VmValue,
) -> String {
    ClarityDatabase::make_key_for_data_map_entry(contract, map, key)
}
