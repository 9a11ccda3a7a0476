//! The constants and settings that matter, as the chain has them at one block.

use serde::Serialize;
use stxworx_clarity::codec::{ContractId, Principal, Value};
use stxworx_indexer::audit::{NodeError, NodeReader};
use stxworx_indexer::model::IndexBlockHash;

/// Greatest fee that the contract can be set to, in hundredths of a percent.
const MAX_FEE_BPS: u128 = 1_000;
/// Approvals and Bitcoin blocks by class: critical, routine, emergency.
const CLASSES: [(&str, u128, u128, u128); 3] = [
    ("critical", 1, 3, 144),
    ("routine", 2, 2, 24),
    ("emergency", 3, 2, 0),
];

/// A constant or a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Constant {
    /// What it is.
    pub name: String,
    /// Its value, as Clarity writes it.
    pub value: String,
    /// Why it cannot be so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}

/// Who is asked for by name: a contract does not list them.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Those that the contract was deployed with.
    pub signers: Vec<Principal>,
    /// Those that the mirror ever saw being named.
    pub minters: Vec<Principal>,
}

/// Asks one contract at one block.
struct Asked<'a> {
    reader: &'a NodeReader,
    tip: &'a IndexBlockHash,
    contract: String,
    found: Vec<Constant>,
}

impl Asked<'_> {
    async fn call(&self, function: &str, arguments: &[Value]) -> Result<Value, NodeError> {
        let (contract, tip) = (&self.contract, self.tip);
        self.reader
            .call_read(contract, function, arguments, tip)
            .await
    }

    fn note(&mut self, name: impl Into<String>, value: &Value, wrong: Option<String>) {
        self.found.push(Constant {
            name: name.into(),
            value: value.to_string(),
            wrong,
        });
    }

    /// A number that has to be this one.
    async fn exact(
        &mut self,
        name: String,
        function: &str,
        argument: u128,
        wanted: u128,
    ) -> Result<(), NodeError> {
        let value = self.call(function, &[Value::UInt(argument)]).await?;
        let wrong = (value.as_u128() != Some(wanted)).then(|| format!("it must be u{wanted}"));
        self.note(name, &value, wrong);
        Ok(())
    }
}

/// Reads them. A function that the contract does not have is a finding.
///
/// # Errors
/// When the server does not answer.
pub(super) async fn read(
    reader: &NodeReader,
    tip: &IndexBlockHash,
    id: &ContractId,
    known: &Known,
) -> Result<Vec<Constant>, NodeError> {
    let mut asked = Asked {
        reader,
        tip,
        contract: id.to_string(),
        found: Vec::new(),
    };
    let done = match id.name.as_str() {
        "freelance-security" => security(&mut asked, &known.signers).await,
        "freelance-logic" => logic(&mut asked).await,
        "freelance-data" => data(&mut asked, id).await,
        "freelance-badges" => badges(&mut asked, &known.minters).await,
        _ => Ok(()),
    };
    match done {
        Err(NodeError::Refused { what, cause }) => asked.found.push(Constant {
            name: what,
            value: "none".to_owned(),
            wrong: Some(format!("it cannot be read: {cause}")),
        }),
        other => other?,
    }
    Ok(asked.found)
}

/// Each contract counts its events, and has one from its first block on.
async fn cursor(asked: &mut Asked<'_>) -> Result<(), NodeError> {
    let value = asked.call("get-cursor", &[]).await?;
    let seq = value.get("seq").cloned().unwrap_or(Value::None);
    let begun = seq.as_u128().is_some_and(|seq| seq > 0);
    let wrong = (!begun).then(|| "it has no event, not even its genesis".to_owned());
    asked.note("events", &seq, wrong);
    Ok(())
}

async fn security(asked: &mut Asked<'_>, signers: &[Principal]) -> Result<(), NodeError> {
    cursor(asked).await?;
    for (name, class, approvals, delay) in CLASSES {
        let of = |what: &str| format!("{what}, {name}");
        asked
            .exact(of("approvals"), "threshold", class, approvals)
            .await?;
        asked.exact(of("timelock"), "delay", class, delay).await?;
    }
    let epoch = asked.call("get-epoch", &[]).await?;
    asked.note("changes of signers", &epoch, None);
    for signer in signers {
        let signs = asked
            .call("signer?", &[Value::Principal(signer.clone())])
            .await?;
        // Signers may be replaced, by the signers; who signs now is in /v1/governance/signers.
        asked.note(format!("signs: {signer}"), &signs, None);
    }
    Ok(())
}

async fn logic(asked: &mut Asked<'_>) -> Result<(), NodeError> {
    cursor(asked).await?;
    let config = asked.call("get-config", &[]).await?;
    for field in [
        "fee-bps",
        "treasury",
        "arbiter",
        "accept",
        "review",
        "resolve",
        "grace",
        "paused-until",
    ] {
        let value = config.get(field).cloned().unwrap_or(Value::None);
        let wrong = match field {
            "fee-bps" if value.as_u128().is_none_or(|fee| fee > MAX_FEE_BPS) => {
                Some(format!("it is at most u{MAX_FEE_BPS}"))
            }
            _ if value == Value::None => Some("the configuration has no such field".to_owned()),
            _ => None,
        };
        asked.note(field, &value, wrong);
    }
    let stx = asked.call("get-asset", &[Value::None]).await?;
    asked.note("asset STX", &stx, None);
    Ok(())
}

async fn data(asked: &mut Asked<'_>, id: &ContractId) -> Result<(), NodeError> {
    cursor(asked).await?;
    let logic = format!("{}.freelance-logic", id.issuer);
    if let Ok(principal) = logic.parse::<Principal>() {
        let writes = asked
            .call("writer?", &[Value::Principal(principal)])
            .await?;
        let wrong = (writes.as_bool() != Some(true))
            .then(|| "freelance-logic cannot note what was earned and rated".to_owned());
        asked.note("freelance-logic writes", &writes, wrong);
    }
    Ok(())
}

async fn badges(asked: &mut Asked<'_>, minters: &[Principal]) -> Result<(), NodeError> {
    cursor(asked).await?;
    let last = asked.call("get-last-token-id", &[]).await?;
    asked.note("last badge", &last, None);
    for minter in minters {
        let mints = asked
            .call("minter?", &[Value::Principal(minter.clone())])
            .await?;
        asked.note(format!("mints: {minter}"), &mints, None);
    }
    Ok(())
}
