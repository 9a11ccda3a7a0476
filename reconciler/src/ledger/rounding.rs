//! Why the fees of a project are not its fee rate times its payments: the contract rounds down for each milestone.

/// `floor(gross * bps / 10000)` without passing 128 bits, for up to 10000 basis points.
pub fn fee(gross: u128, bps: u16) -> u128 {
    let bps = u128::from(bps);
    // gross = 10000 * whole + rest, and both products fit.
    gross / 10_000 * bps + gross % 10_000 * bps / 10_000
}

/// The sum of the floors, and the floor of the sum; none past 128 bits.
pub fn explain(gross: &[u128], bps: u16) -> Option<(u128, u128)> {
    let sum = |mut amounts: Box<dyn Iterator<Item = u128> + '_>| {
        amounts.try_fold(0u128, |total, amount| total.checked_add(amount))
    };
    let floors = sum(Box::new(gross.iter().map(|g| fee(*g, bps))))?;
    Some((floors, fee(sum(Box::new(gross.iter().copied()))?, bps)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_milestone_loses_less_than_a_unit() {
        // 5 % of 19, 19 and 19: 0 each, and 2 of the sum.
        assert_eq!(explain(&[19, 19, 19], 500), Some((0, 2)));
        assert_eq!(fee(u128::MAX, 10_000), u128::MAX);
        assert_eq!(fee(u128::MAX, 1_000), u128::MAX / 10);
        assert_eq!(explain(&[u128::MAX, 1], 1), None);
    }

    proptest! {
        #[test]
        fn the_difference_is_less_than_one_unit_a_milestone(
            gross in proptest::collection::vec(0u128..1 << 100, 1..10), bps in 0u16..=10_000
        ) {
            let (floors, floor) = explain(&gross, bps).unwrap();
            prop_assert!(floors <= floor);
            prop_assert!(floor - floors < gross.len() as u128);
        }
    }
}
