//! Medians, and ratios taken round by round.

/// The middle value, or the mean of the middle two; none of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of `ours / theirs` over the rounds that both have.
///
/// What slows the machine down for a round slows both, so that their ratio keeps still where the
/// times do not.
pub fn median_ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_middle_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_ratio_is_taken_within_rounds() {
        // The second round was twice as slow for both.
        assert_eq!(median_ratio(&[2.0, 4.0, 2.0], &[4.0, 8.0, 4.0]), Some(0.5));
        // The other ran in one round only.
        assert_eq!(median_ratio(&[2.0, 4.0, 2.0], &[8.0]), Some(0.25));
        assert_eq!(median_ratio(&[2.0], &[]), None);
    }
}
