//! Values of the last interval, and what statistics tell of them.

use serde_json::{Value, json};

/// Most values kept of an interval; those beyond count, but not in percentiles.
const VALUES_MAX: usize = 10_000;

/// Values of the last interval.
#[derive(Debug, Default)]
pub(crate) struct Window {
    values: Vec<i64>,
    beyond: u64,
    sum: i64,
}

impl Window {
    #[inline]
    pub(crate) fn add(&mut self, value: i64) {
        self.sum = self.sum.saturating_add(value);
        if self.values.len() < VALUES_MAX { self.values.push(value) } else { self.beyond += 1 }
    }

    /// Tells of the interval, and begins the next.
    pub(crate) fn roll_over(&mut self) -> Value {
        let mut window = std::mem::take(self);
        window.values.sort_unstable();
        let kept = &window.values;
        let count = kept.len() as u64 + window.beyond;
        let average = i64::try_from(count).ok().and_then(|count| window.sum.checked_div(count)).unwrap_or(0);
        let squares = kept.iter().map(|value| ((value - average) as f64).powi(2)).sum::<f64>();
        // The value below which so many of ten thousand are.
        let percentile = |part: usize| {
            let place = (kept.len() * part).div_ceil(10_000).saturating_sub(1);
            kept.get(place).copied().unwrap_or(0)
        };
        json!({
            "min": kept.first().unwrap_or(&0),
            "max": kept.last().unwrap_or(&0),
            "avg": average,
            "sum": window.sum,
            "cnt": count,
            "stddev": (squares / kept.len().max(1) as f64).sqrt() as i64,
            "hdrsize": std::mem::size_of_val(kept.as_slice()),
            "p50": percentile(5_000),
            "p75": percentile(7_500),
            "p90": percentile(9_000),
            "p95": percentile(9_500),
            "p99": percentile(9_900),
            "p99_99": percentile(9_999),
            "outofrange": window.beyond,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_told_and_gone() {
        let mut window = Window::default();
        (1..=100).for_each(|value| window.add(value));
        let told = window.roll_over();
        for (key, value) in
            [("min", 1), ("max", 100), ("avg", 50), ("sum", 5050), ("p50", 50), ("p99", 99), ("cnt", 100)]
        {
            assert_eq!(told[key], value, "{key} in {told}");
        }
        let told = window.roll_over();
        assert_eq!((&told["cnt"], &told["avg"]), (&json!(0), &json!(0)));
    }
}
