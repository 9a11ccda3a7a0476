//! A sum of debits and credits, of any size.

use super::types::Side;

/// Debits less credits: `high * 2^128 + low`. Amounts fill 128 bits, so their sums need more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Net {
    high: i64,
    low: u128,
}

impl Net {
    /// Adds a line.
    pub fn add(&mut self, side: Side, amount: u128) {
        let (low, over) = match side {
            Side::Debit => self.low.overflowing_add(amount),
            Side::Credit => self.low.overflowing_sub(amount),
        };
        self.low = low;
        if over {
            // Nobody has 2^63 lines.
            self.high += match side {
                Side::Debit => 1,
                Side::Credit => -1,
            };
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Self) {
        let (low, over) = self.low.overflowing_add(other.low);
        self.low = low;
        self.high += other.high + i64::from(over);
    }

    /// Neither more debits nor more credits.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// The sum as a side and an amount, if it fits one.
    pub fn amount(self) -> Option<(Side, u128)> {
        match self {
            Self { high: 0, low } => Some((Side::Debit, low)),
            Self { high: -1, low } if low > 0 => Some((Side::Credit, low.wrapping_neg())),
            _ => None,
        }
    }
}

impl std::fmt::Display for Net {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.amount() {
            Some((Side::Debit, amount)) => write!(out, "{amount}"),
            Some((Side::Credit, amount)) => write!(out, "-{amount}"),
            None => write!(out, "{} * 2^128 + {}", self.high, self.low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_pass_128_bits_and_come_back() {
        let mut net = Net::default();
        for _ in 0..3 {
            net.add(Side::Debit, u128::MAX);
        }
        assert_eq!(net.amount(), None);
        for _ in 0..4 {
            net.add(Side::Credit, u128::MAX);
        }
        assert_eq!(net.amount(), Some((Side::Credit, u128::MAX)));
        assert_eq!(net.to_string(), format!("-{}", u128::MAX));
        let before = net;
        net.add(Side::Debit, u128::MAX);
        assert!(net.is_zero());
        let mut both = before;
        both.merge(before);
        let mut twice = Net::default();
        twice.add(Side::Credit, u128::MAX);
        twice.add(Side::Credit, u128::MAX);
        assert_eq!(both, twice);
    }
}
