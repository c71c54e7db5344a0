//! Plots, from numbers to geometry: where each bar stands and what is written on the axes. Pure; a template draws it as SVG, with
//! classes and presentation attributes alone, which the content policy lets through, and the figures as a table beside it.

use serde::Serialize;

/// The size of the drawing in its own units. Narrow, so that its text can be read on a phone, where it is made smaller.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 132.0;
/// Room above the highest bar, for half a line of text.
const TOP: f64 = 8.0;
/// Room below the bars, for the line of dates.
const BELOW: f64 = 20.0;
/// What a digit of the value axis needs, and what stands between the axis and its text.
const DIGIT: f64 = 7.0;
const GAP: f64 = 6.0;
/// How much of its place a bar takes.
const FILLED: f64 = 0.72;
/// What is not nothing can be seen, whatever stands beside it.
const LEAST: f64 = 1.5;
/// How many parts the value axis has at most.
const PARTS: u128 = 4;
/// Every how many bars one is labelled, from the last one backwards.
const LABELLED: usize = 7;

/// A plot of one bar for each value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bars {
    width: f64,
    height: f64,
    /// Where the axes meet, and where the category axis ends.
    left: f64,
    right: f64,
    base: f64,
    /// From the bottom up.
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
    labels: Vec<Label>,
}

/// A value on the axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Tick {
    y: f64,
    text: String,
}

/// A bar, with what it stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    name: String,
    value: String,
}

/// A name under the category axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Label {
    x: f64,
    text: String,
}

/// A part of a whole, as one bar that is filled so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    width: f64,
    filled: f64,
    percent: u64,
}

impl Bars {
    /// A bar for each of `values`: its name, the short name that may stand under it, and how high it is.
    #[must_use]
    pub fn of(values: &[(String, String, u64)]) -> Self {
        let highest = values.iter().map(|(.., value)| *value).max().unwrap_or(0);
        let step = step(highest);
        let top = u128::from(highest).div_ceil(step).max(1) * step;
        let base = HEIGHT - BELOW;
        let height = |value: u128| (base - TOP) * ratio(value, top);
        let marks: Vec<u128> = (0..=top / step).map(|mark| mark * step).collect();
        let widest = marks.iter().map(|mark| grouped(*mark).chars().count()).max().unwrap_or(1);
        let left = (DIGIT * widest as f64 + GAP).min(WIDTH / 2.0);
        let place = (WIDTH - left) / values.len().max(1) as f64;
        let bars = values.iter().enumerate().filter(|(_, (.., value))| *value > 0).map(|(number, (name, _, value))| {
            let high = height(u128::from(*value)).max(LEAST);
            Bar {
                x: rounded(left + place * (number as f64 + (1.0 - FILLED) / 2.0)),
                y: rounded(base - high),
                width: rounded(place * FILLED),
                height: rounded(high),
                name: name.clone(),
                value: grouped(u128::from(*value)),
            }
        });
        let last = values.len().saturating_sub(1);
        let labels = values.iter().enumerate().filter(|(number, _)| (last - number).is_multiple_of(LABELLED)).map(
            |(number, (_, short, _))| Label {
                // Not over the edge at the right.
                x: rounded(
                    (left + place * (number as f64 + 0.5)).min(WIDTH - DIGIT * short.chars().count() as f64 / 2.0),
                ),
                text: short.clone(),
            },
        );
        let tick = |mark: u128| Tick { y: rounded(base - height(mark)), text: grouped(mark) };
        Self {
            width: WIDTH,
            height: HEIGHT,
            left: rounded(left),
            right: WIDTH,
            base,
            bars: bars.collect(),
            labels: labels.collect(),
            ticks: marks.into_iter().map(tick).collect(),
        }
    }
}

impl Share {
    /// `part` of `whole`. Neither nothing nor everything is shown where that is not so.
    #[must_use]
    pub fn of(part: usize, whole: usize) -> Self {
        let (part, whole) = (part.min(whole) as u64, whole as u64);
        let percent = match part {
            0 => 0,
            part if part == whole => 100,
            part => u64::try_from(u128::from(part) * 100 / u128::from(whole)).unwrap_or(100).clamp(1, 99),
        };
        let filled = match percent {
            0 => 0.0,
            100 => WIDTH,
            _ => (WIDTH * ratio(u128::from(part), u128::from(whole))).clamp(LEAST, WIDTH - LEAST),
        };
        Self { width: WIDTH, filled: rounded(filled), percent }
    }
}

/// How far apart the values on the axis stand: 1, 2 or 5 with noughts, so that there are no more than [`PARTS`].
fn step(highest: u64) -> u128 {
    let mut power = 1_u128;
    loop {
        for step in [power, 2 * power, 5 * power] {
            if u128::from(highest) <= step * PARTS {
                return step;
            }
        }
        power *= 10;
    }
}

fn ratio(part: u128, whole: u128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// To what can be told apart on a screen.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// `1,234,567`, which is read in Japanese and English alike.
#[must_use]
pub fn grouped(value: u128) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plot(values: &[u64]) -> Bars {
        let named = |(day, value): (usize, &u64)| (format!("2026-11-{day:02}"), format!("11-{day:02}"), *value);
        Bars::of(&values.iter().enumerate().map(named).collect::<Vec<_>>())
    }

    fn texts(plot: &Bars) -> Vec<&str> {
        plot.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn the_axis_has_few_round_values_and_reaches_over_the_highest() {
        for (highest, marks) in [
            (0, vec!["0", "1"]),
            (1, vec!["0", "1"]),
            (3, vec!["0", "1", "2", "3"]),
            (7, vec!["0", "2", "4", "6", "8"]),
            (20, vec!["0", "5", "10", "15", "20"]),
            (21, vec!["0", "10", "20", "30"]),
            (999, vec!["0", "500", "1,000"]),
            (1_234_567, vec!["0", "500,000", "1,000,000", "1,500,000"]),
        ] {
            assert_eq!(texts(&plot(&[0, highest])), marks, "{highest}");
        }
    }

    #[test]
    fn nothing_at_all_is_a_plot_with_axes_and_no_bars() {
        for values in [&[][..], &[0; 30][..]] {
            let plot = plot(values);
            assert_eq!((plot.bars.len(), texts(&plot)), (0, vec!["0", "1"]));
        }
        assert_eq!(plot(&[]).labels, []);
    }

    #[test]
    fn one_huge_value_hides_none_of_the_others() {
        let plot = plot(&[1, u64::MAX, 0, 3]);
        let heights: Vec<f64> = plot.bars.iter().map(|bar| bar.height).collect();
        assert_eq!(plot.bars.len(), 3);
        assert!(heights[0] >= LEAST && heights[2] >= LEAST && heights[1] > 50.0, "{heights:?}");
        assert!(plot.left <= WIDTH / 2.0);
    }

    #[test]
    fn days_are_labelled_once_a_week_and_the_last_one_always() {
        let plot = plot(&[1; 30]);
        let labels: Vec<&str> = plot.labels.iter().map(|label| label.text.as_str()).collect();
        assert_eq!(labels, ["11-01", "11-08", "11-15", "11-22", "11-29"]);
        assert_eq!(plot.bars.len(), 30);
    }

    #[test]
    fn a_share_is_whole_only_where_everything_is_there() {
        for (part, whole, percent, filled) in
            [(0, 0, 0, 0.0), (0, 9, 0, 0.0), (9, 9, 100, 300.0), (1, 2, 50, 150.0), (12, 9, 100, 300.0)]
        {
            let share = Share::of(part, whole);
            assert_eq!((share.percent, share.filled), (percent, filled), "{part} of {whole}");
        }
        assert_eq!((Share::of(1, 100_000).percent, Share::of(99_999, 100_000).percent), (1, 99));
        assert!(Share::of(99_999, 100_000).filled < 300.0 && Share::of(1, 100_000).filled > 0.0);
    }

    proptest! {
        #[test]
        fn whatever_the_values_nothing_lies_outside(values in proptest::collection::vec(any::<u64>(), 0..100)) {
            let plot = plot(&values);
            for bar in &plot.bars {
                prop_assert!(bar.x >= plot.left && bar.x + bar.width <= WIDTH + 0.2, "{bar:?}");
                prop_assert!(bar.y >= 0.0 && bar.y + bar.height <= plot.base + 0.2, "{bar:?}");
            }
            prop_assert!(plot.ticks.len() >= 2 && plot.ticks.len() <= 5);
            for tick in &plot.ticks {
                prop_assert!((TOP..=plot.base).contains(&tick.y), "{tick:?}");
            }
            let highest = values.iter().max().copied().unwrap_or(0);
            prop_assert_eq!(plot.bars.iter().filter(|bar| bar.y < TOP - 0.1).count(), 0, "{}", highest);
        }
    }
}
