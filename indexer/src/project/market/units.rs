//! Amounts in states.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Base units of an asset. Text in JSON, where numbers do not hold 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Units(pub u128);

impl Units {
    /// Adds.
    ///
    /// # Errors
    /// Past 2^128.
    pub fn add(&mut self, amount: u128) -> Result<(), String> {
        self.0 = self.0.checked_add(amount).ok_or("a total exceeds 2^128")?;
        Ok(())
    }

    /// The sum of amounts, if it is one.
    pub fn sum(amounts: &[Units]) -> Option<u128> {
        amounts
            .iter()
            .try_fold(0u128, |total, a| total.checked_add(a.0))
    }
}

impl std::fmt::Display for Units {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl utoipa::PartialSchema for Units {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("Base units of an asset, in decimal digits."))
            .pattern(Some("^[0-9]+$"))
            .into()
    }
}

impl utoipa::ToSchema for Units {}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| D::Error::custom(format_args!("{text:?} is not an amount")))
    }
}
