//! A sum of debits and credits, of any size.

use super::types::Side;

/// Debits less credits: `high * 2^128 + low`. Amounts fill 128 bits, so their sums need more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Net {
    // In this order: then the order of the fields is that of the sums.
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

    /// Parts of a million of `whole` that this is, rounded down; none of nothing, of what is below zero, and where they
    /// have more than 64 bits.
    pub fn millionths_of(self, whole: Self) -> Option<u64> {
        let ((false, part), (false, whole)) = (self.magnitude(), whole.magnitude()) else {
            return None;
        };
        let part = times(part, 1_000_000);
        let fits = |parts: u64| times(whole, parts) <= part;
        if whole == (0, 0) || fits(u64::MAX) {
            return None;
        }
        let (mut least, mut beyond) = (0, u64::MAX);
        while beyond - least > 1 {
            let middle = least + (beyond - least) / 2;
            if fits(middle) {
                least = middle;
            } else {
                beyond = middle;
            }
        }
        Some(least)
    }

    /// The other way round.
    pub fn negated(self) -> Self {
        let carry = i64::from(self.low == 0);
        Self {
            high: !self.high + carry,
            low: self.low.wrapping_neg(),
        }
    }

    /// From decimal digits, with a minus if it is below zero.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || digits.len() > 57 {
            return None;
        }
        let mut words = [0u128; 3];
        for digit in digits.chars() {
            let mut carry = u128::from(digit.to_digit(10)?);
            for word in words.iter_mut().rev() {
                let value = *word * 10 + carry;
                (*word, carry) = (value & u128::from(u64::MAX), value >> 64);
            }
        }
        let high = i64::try_from(words[0]).ok()?;
        let low = words[1] << 64 | words[2];
        if digits.len() == text.len() {
            return Some(Self { high, low });
        }
        Some(Self { high, low }.negated())
    }

    /// Is it below zero, and how far is it from there: `high * 2^128 + low`.
    fn magnitude(self) -> (bool, (u64, u128)) {
        if self.high >= 0 {
            return (false, (self.high.unsigned_abs(), self.low));
        }
        let carry = u64::from(self.low == 0);
        let high = (!self.high).unsigned_abs() + carry;
        (true, (high, self.low.wrapping_neg()))
    }

    /// In decimal.
    fn digits(self) -> String {
        /// Digits of one step; a remainder and a word of 64 bits beside it fit 128.
        const STEP: u128 = 1_000_000_000_000_000_000;
        let (is_below, (high, low)) = self.magnitude();
        let mut words = [u128::from(high), low >> 64, low & u128::from(u64::MAX)];
        let mut parts = Vec::new();
        while words != [0; 3] {
            let mut rest = 0;
            for word in &mut words {
                let value = rest << 64 | *word;
                (*word, rest) = (value / STEP, value % STEP);
            }
            parts.push(rest);
        }
        let first = parts.pop().unwrap_or(0);
        let sign = if is_below { "-" } else { "" };
        let rest: String = parts.iter().rev().map(|p| format!("{p:018}")).collect();
        format!("{sign}{first}{rest}")
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

/// `high * 2^128 + low`, so many times: words of 64 bits, the highest first.
fn times((high, low): (u64, u128), by: u64) -> [u128; 4] {
    let word = u128::from(u64::MAX);
    let mut words = [0, u128::from(high), low >> 64, low & word];
    let mut carry = 0;
    for of in words.iter_mut().rev() {
        let value = *of * u128::from(by) + carry;
        (*of, carry) = (value & word, value >> 64);
    }
    words
}

impl std::fmt::Display for Net {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.digits())
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
        // 2 * (2^128 - 1)
        assert_eq!(both.to_string(), "-680564733841876926926749214863536422910");
        assert_eq!(Net::default().to_string(), "0");
        for net in [both, Net::default(), before, Net { high: -1, low: 0 }] {
            assert_eq!(Net::from_decimal(&net.to_string()), Some(net), "{net}");
            let mut sum = net.negated();
            sum.merge(net);
            assert!(sum.is_zero(), "{net}");
        }
        let too_long = "1".repeat(58);
        for text in ["", "-", "1x", "+1", too_long.as_str()] {
            assert_eq!(Net::from_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_millionths_rounded_down_at_any_size() {
        let of = |amounts: &[u128]| {
            let mut net = Net::default();
            amounts.iter().for_each(|a| net.add(Side::Debit, *a));
            net
        };
        assert_eq!(of(&[19]).millionths_of(of(&[380])), Some(50_000));
        assert_eq!(of(&[1]).millionths_of(of(&[3])), Some(333_333));
        assert_eq!(of(&[0]).millionths_of(of(&[0])), None);
        let most = [u128::MAX; 4];
        assert_eq!(of(&most[..2]).millionths_of(of(&most)), Some(500_000));
        let nearly = of(&[u128::MAX - 1]);
        assert_eq!(nearly.millionths_of(of(&[u128::MAX])), Some(999_999));
        assert_eq!(of(&most).millionths_of(of(&[1])), None);
        let mut below = Net::default();
        below.add(Side::Credit, 1);
        assert_eq!(below.millionths_of(of(&[1])), None);
    }
}
