//! Repeatable chance: one generator for each row, from the seed, the table and the row's number.

/// What a row's dice are for: rows of different tables must not be alike.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Category = 1,
    Customer,
    Supplier,
    Product,
    Employee,
    EmployeeTerritories,
    Order,
    OrderSizes,
    OrderDetails,
}

/// SplitMix64 (Steele, Lea, Flood 2014), written out rather than taken from a crate: the sample
/// must not change with a dependency's version.
#[derive(Debug)]
pub(super) struct Dice(u64);

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    pub(super) fn new(seed: u64, stream: Stream, row: u64) -> Self {
        let stream = GAMMA.wrapping_mul(stream as u64);
        Self(mix(mix(seed.wrapping_add(stream)) ^ row))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number from 0 to `end - 1`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        // The high half of the product: as even as a remainder, and cheaper.
        ((u128::from(self.roll()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `first` to `last`.
    pub(super) fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// `pattern` with a digit for each `#` and a letter for each `@`. A number never begins
    /// with 0.
    pub(super) fn fill(&mut self, pattern: &str) -> String {
        let mut after_digit = false;
        pattern
            .chars()
            .map(|sign| {
                let filled = match sign {
                    '#' if after_digit => char::from(b'0' + self.below(10) as u8),
                    '#' => char::from(b'1' + self.below(9) as u8),
                    '@' => char::from(b'A' + self.below(26) as u8),
                    other => other,
                };
                after_digit = filled.is_ascii_digit();
                filled
            })
            .collect()
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_never_change() {
        // The generator's published first outputs for the state 1234567.
        let mut dice = Dice(1_234_567);
        assert_eq!(dice.roll(), 6_457_827_717_110_365_317);
        assert_eq!(dice.roll(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_keep_their_bounds() {
        let mut dice = Dice::new(42, Stream::Order, 0);
        let rolled: Vec<u64> = (0..1000).map(|_| dice.between(3, 5)).collect();
        assert!(rolled.iter().all(|number| (3..=5).contains(number)));
        assert!((3..=5).all(|number| rolled.contains(&number)));
        assert!(!dice.chance(0) && dice.chance(100));
    }

    #[test]
    fn a_pattern_keeps_its_other_signs() {
        let filled = Dice::new(42, Stream::Customer, 7).fill("(#) 555-01## @@");
        assert_eq!(filled.len(), 15);
        assert!(filled.starts_with('(') && filled.contains(") 555-01"), "{filled}");
    }
}
