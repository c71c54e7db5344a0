//! Figures that are kept elsewhere, as they are read at the moment somebody asks.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// One figure. Those of one name stand in a row, each with other labels.
#[derive(Debug, Clone)]
pub struct Reading {
    name: &'static str,
    help: &'static str,
    labels: Vec<(&'static str, String)>,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    Counter(f64),
    Gauge(f64),
    Times(Times),
}

/// How often something took how long.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// In seconds, rising, and how often it took that long at most and longer than the bound before.
    pub counts: Vec<(f64, u64)>,
    /// How often in all.
    pub count: u64,
    /// In seconds.
    pub sum: f64,
}

impl Reading {
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, labels: Vec::new(), value: Value::Counter(value) }
    }

    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, labels: Vec::new(), value: Value::Gauge(value) }
    }

    #[must_use]
    pub const fn times(name: &'static str, help: &'static str, times: Times) -> Self {
        Self { name, help, labels: Vec::new(), value: Value::Times(times) }
    }

    /// With one label more.
    #[must_use]
    pub fn with(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

/// In the form in which they are written.
pub(super) fn families(readings: Vec<Reading>) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = Vec::new();
    for reading in readings {
        let Reading { name, help, labels, value } = reading;
        let (kind, metric) = metric(labels, value);
        match families.iter_mut().find(|family| family.name() == name) {
            Some(family) => family.mut_metric().push(metric),
            None => {
                let mut family = MetricFamily::default();
                family.set_name(name.to_owned());
                family.set_help(help.to_owned());
                family.set_field_type(kind);
                family.set_metric(vec![metric]);
                families.push(family);
            }
        }
    }
    families
}

fn metric(labels: Vec<(&'static str, String)>, value: Value) -> (MetricType, Metric) {
    let labels = labels.into_iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name(name.to_owned());
        label.set_value(value);
        label
    });
    let mut metric = Metric::from_label(labels.collect());
    let kind = match value {
        Value::Counter(value) => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
            MetricType::COUNTER
        }
        Value::Gauge(value) => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
            MetricType::GAUGE
        }
        Value::Times(times) => {
            metric.set_histogram(histogram(&times));
            MetricType::HISTOGRAM
        }
    };
    (kind, metric)
}

/// A bucket counts all that was not longer than its bound (what the format calls cumulative).
fn histogram(times: &Times) -> Histogram {
    let mut so_far = 0;
    let buckets = times.counts.iter().map(|(bound, count)| {
        so_far += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(so_far);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(times.count);
    histogram.set_sample_sum(times.sum);
    histogram
}
