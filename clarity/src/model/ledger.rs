//! Who holds how much of what, and what moved in the transaction at hand.

use imbl::OrdMap;

use crate::codec::Principal;

use super::{Asset, Failure};

/// Codes of Clarity's own transfers (`stx-transfer?`, `ft-transfer?`, `ft-mint?`).
const INSUFFICIENT: u128 = 1;
const TO_ITSELF: u128 = 2;
const NOT_POSITIVE: u128 = 3;
/// `ft-mint?` of nothing.
const MINT_NOTHING: u128 = 1;

/// Something that left a principal in the transaction at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movement {
    /// An amount of STX (`none`, in micro-STX) or of the token (base units).
    Fungible {
        /// What moved.
        asset: Asset,
        /// Whom it left.
        from: Principal,
        /// How much.
        amount: u128,
    },
    /// A badge that left its owner, for another or for nobody.
    Badge {
        /// The badge.
        id: u128,
        /// Whom it left.
        from: Principal,
    },
}

/// Balances of STX and of the test token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    stx: OrdMap<Principal, u128>,
    token: OrdMap<Principal, u128>,
    supply: u128,
    /// What left whom since the transaction began, in order; minting is no movement.
    pub(super) movements: Vec<Movement>,
}

impl Ledger {
    /// Balance of an asset: `None` is STX in micro-STX, anything else the test token.
    pub fn balance(&self, asset: &Asset, who: &Principal) -> u128 {
        self.of(asset).get(who).copied().unwrap_or_default()
    }

    /// Test tokens in existence.
    pub fn supply(&self) -> u128 {
        self.supply
    }

    /// Everyone who ever held the asset and what is left, in the order of principals.
    pub fn holders(&self, asset: &Asset) -> impl Iterator<Item = (&Principal, u128)> {
        self.of(asset).iter().map(|(who, amount)| (who, *amount))
    }

    fn of(&self, asset: &Asset) -> &OrdMap<Principal, u128> {
        match asset {
            None => &self.stx,
            Some(_) => &self.token,
        }
    }

    fn put(&mut self, asset: &Asset, who: &Principal, amount: u128) {
        let balances = match asset {
            None => &mut self.stx,
            Some(_) => &mut self.token,
        };
        balances.insert(who.clone(), amount);
    }

    /// Adds STX that come from nowhere: genesis and block rewards.
    pub fn credit_stx(&mut self, who: &Principal, amount: u128) {
        let balance = self.balance(&None, who).saturating_add(amount);
        self.put(&None, who, balance);
    }

    /// Takes STX that go to the miner, as far as they are there.
    pub fn debit_stx(&mut self, who: &Principal, amount: u128) {
        let balance = self.balance(&None, who).saturating_sub(amount);
        self.put(&None, who, balance);
    }

    /// Moves an amount, with the errors of Clarity's own transfers.
    pub(super) fn transfer(
        &mut self,
        asset: &Asset,
        amount: u128,
        from: &Principal,
        to: &Principal,
    ) -> Result<(), Failure> {
        if amount == 0 {
            return Err(Failure::Code(NOT_POSITIVE));
        }
        if from == to {
            return Err(Failure::Code(TO_ITSELF));
        }
        let held = self.balance(asset, from);
        let left = held
            .checked_sub(amount)
            .ok_or(Failure::Code(INSUFFICIENT))?;
        let received = self.balance(asset, to).checked_add(amount);
        self.put(asset, from, left);
        self.put(asset, to, received.ok_or(Failure::Aborted)?);
        self.movements.push(Movement::Fungible {
            asset: asset.clone(),
            from: from.clone(),
            amount,
        });
        Ok(())
    }

    /// Mints test tokens.
    pub(super) fn mint(
        &mut self,
        token: &Principal,
        amount: u128,
        to: &Principal,
    ) -> Result<(), Failure> {
        if amount == 0 {
            return Err(Failure::Code(MINT_NOTHING));
        }
        self.supply = self.supply.checked_add(amount).ok_or(Failure::Aborted)?;
        let asset = Some(token.clone());
        let balance = self.balance(&asset, to).checked_add(amount);
        self.put(&asset, to, balance.ok_or(Failure::Aborted)?);
        Ok(())
    }
}
