//! The way into the mempool: the node's checks, in the node's order.

use super::Simnet;
use super::apply;
use super::block::TxId;
use super::convert;
use super::machine::{CallCheck, Machine};
use super::mempool::{MAX_CHAINING, Rejection};
use crate::codec::Principal;
use crate::codec::transaction::{HighS, Payload, TESTNET_CHAIN_ID, Transaction};

impl Simnet {
    /// Admits a transaction to the mempool, by the node's rules and in their order.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn submit(&mut self, raw: &[u8]) -> Result<TxId, Rejection> {
        let transaction =
            Transaction::decode(raw).map_err(|e| Rejection::Deserialization(e.to_string()))?;
        let txid = transaction.txid();
        let origin = transaction.origin_address();
        if self
            .mempool
            .get(&origin, transaction.nonce())
            .is_some_and(|w| w.txid == txid)
        {
            return Ok(txid);
        }
        match &transaction.payload {
            Payload::NakamotoCoinbase { .. }
            | Payload::Coinbase { .. }
            | Payload::CoinbaseToAltRecipient { .. } => {
                return Err(Rejection::NoCoinbaseViaMempool);
            }
            Payload::TenureChange(_) => return Err(Rejection::NoTenureChangeViaMempool),
            Payload::PoisonMicroblock { .. } | Payload::Unknown(_) => {
                return Err(Rejection::ServerFailureOther(
                    "Transaction is not supported in this epoch".into(),
                ));
            }
            _ => {}
        }
        transaction
            .verify(HighS::Refuse)
            .map_err(|e| Rejection::SignatureValidation(e.to_string()))?;
        self.check_money(&transaction, &origin)?;
        self.check_payload(&transaction, &origin)?;
        if let Some(waiting) = self.mempool.get(&origin, transaction.nonce())
            && waiting.transaction.fee() >= transaction.fee()
        {
            return Err(Rejection::ConflictingNonceInMempool);
        }
        self.mempool.insert(&origin, txid, transaction);
        Ok(txid)
    }

    fn check_money(&self, transaction: &Transaction, origin: &Principal) -> Result<(), Rejection> {
        if transaction.fee() < self.config.minimum_fee {
            return Err(Rejection::FeeTooLow {
                expected: self.config.minimum_fee,
                actual: transaction.fee(),
            });
        }
        let state = self
            .state_at(&self.tip)
            .map_err(|e| Rejection::ServerFailureOther(e.to_string()))?;
        let account = apply::account(state, origin);
        check_nonce(transaction.nonce(), account.nonce, origin, true)?;
        let sponsor = transaction.sponsor_address();
        if let (Some(sponsor), Some(condition)) = (&sponsor, transaction.auth.sponsor()) {
            check_nonce(
                condition.nonce,
                apply::account(state, sponsor).nonce,
                sponsor,
                false,
            )?;
        }
        if transaction.is_mainnet() || transaction.chain_id != TESTNET_CHAIN_ID {
            return Err(Rejection::BadTransactionVersion);
        }
        let payer = sponsor.as_ref().unwrap_or(origin);
        let sends = match &transaction.payload {
            Payload::TokenTransfer { amount, .. } if sponsor.is_none() => *amount,
            _ => 0,
        };
        let expected = u128::from(transaction.fee()) + u128::from(sends);
        let actual = apply::account(state, payer).balance;
        if actual < expected {
            return Err(Rejection::NotEnoughFunds { expected, actual });
        }
        Ok(())
    }

    fn check_payload(
        &mut self,
        transaction: &Transaction,
        origin: &Principal,
    ) -> Result<(), Rejection> {
        let other = |e: &dyn std::fmt::Display| Rejection::ServerFailureOther(e.to_string());
        let parent = self.tip();
        let open = self.open(&parent, &self.burn_tip(), 0);
        let state = self.state_at(&self.tip).map_err(|e| other(&e))?;
        let machine = Machine {
            metas: &self.metas,
            open,
        };
        match &transaction.payload {
            Payload::TokenTransfer {
                recipient, amount, ..
            } => {
                if !recipient.address().is_testnet() {
                    return Err(Rejection::BadAddressVersionByte);
                }
                if recipient == origin {
                    return Err(Rejection::TransferRecipientCannotEqualSender(
                        recipient.to_string(),
                    ));
                }
                if *amount == 0 {
                    return Err(Rejection::TransferAmountMustBePositive);
                }
                Ok(())
            }
            Payload::ContractCall {
                contract,
                function,
                arguments,
            } => {
                if !contract.issuer.is_testnet() {
                    return Err(Rejection::BadAddressVersionByte);
                }
                let values = apply::arguments(arguments)
                    .map_err(|e| Rejection::BadFunctionArgument(e.to_string()))?;
                let checked = machine.check_call(
                    state,
                    &convert::contract(contract),
                    function.as_str(),
                    &values,
                );
                match checked.map_err(|e| other(&e.vm_error()))? {
                    CallCheck::Fits => Ok(()),
                    CallCheck::NoContract => Err(Rejection::NoSuchContract),
                    CallCheck::NoFunction => Err(Rejection::NoSuchPublicFunction),
                    CallCheck::BadArguments(message) => {
                        Err(Rejection::BadFunctionArgument(message))
                    }
                }
            }
            Payload::SmartContract { .. } => match transaction.contract_id() {
                Some(id) if apply::has_contract(state, &id) => {
                    Err(Rejection::ContractAlreadyExists(id.to_string()))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

fn check_nonce(actual: u64, next: u64, who: &Principal, is_origin: bool) -> Result<(), Rejection> {
    let principal = who.to_string();
    if actual < next {
        return Err(Rejection::BadNonce {
            expected: next,
            actual,
            principal,
            is_origin,
        });
    }
    if actual - next > MAX_CHAINING {
        let expected = next + MAX_CHAINING;
        return Err(Rejection::TooMuchChaining {
            expected,
            actual,
            principal,
            is_origin,
        });
    }
    Ok(())
}
