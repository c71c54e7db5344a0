//! The text as Prometheus reads it, and what counting a request costs.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn what_is_counted_is_served_as_text() {
    let metrics = Metrics::new();
    metrics.configuration.reload_successful.set(1);
    metrics.requests.route("shop").ended(Outcome::Forwarded2xx, Duration::from_millis(3));
    metrics.also(|| vec![Reading::gauge("sekisho_elsewhere", "Kept \\ elsewhere.", 7.0).with("file", "a\"b")]);
    let text = metrics.text();
    for line in [
        "sekisho_config_last_reload_successful 1",
        "sekisho_requests_total{outcome=\"forwarded_2xx\",route=\"shop\"} 1",
        "sekisho_requests_total{outcome=\"not_found\",route=\"(none)\"} 0",
        "sekisho_request_duration_seconds_bucket{route=\"shop\",le=\"0.0025\"} 0",
        "sekisho_request_duration_seconds_bucket{route=\"shop\",le=\"0.005\"} 1",
        "sekisho_request_duration_seconds_count{route=\"shop\"} 1",
        "sekisho_elsewhere{file=\"a\\\"b\"} 7",
        "# TYPE process_cpu_seconds_total counter",
        concat!("sekisho_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
    }
}

#[test]
fn every_family_has_its_name_once_and_is_described() {
    let metrics = Metrics::new();
    let text = metrics.text();
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let described = text.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(names.len(), described);
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
    for name in names {
        assert!(name.starts_with("sekisho_") || name.starts_with("process_"), "{name}");
    }
}

#[test]
fn buckets_count_what_was_not_longer() {
    let metrics = Metrics::new();
    metrics.also(|| {
        let times = Times { counts: vec![(0.1, 2), (1.0, 3)], count: 6, sum: 9.5 };
        vec![Reading::times("sekisho_waits_seconds", "Waits.", times)]
    });
    let text = metrics.text();
    for line in [
        "sekisho_waits_seconds_bucket{le=\"0.1\"} 2",
        "sekisho_waits_seconds_bucket{le=\"1\"} 5",
        "sekisho_waits_seconds_bucket{le=\"+Inf\"} 6",
        "sekisho_waits_seconds_sum 9.5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
    }
}

#[test]
fn what_lasts_is_counted_while_it_lasts() {
    let metrics = Metrics::new();
    let open = |metrics: &Metrics, protocol: &str, count: u32| {
        let line = format!("sekisho_connections{{protocol=\"{protocol}\"}} {count}");
        assert!(metrics.text().contains(&line), "{line}");
    };
    let connection = metrics.connections.open(Protocol::Http1);
    open(&metrics, "http1", 1);
    let tunnel = metrics.connections.tunnel();
    open(&metrics, "http1", 0);
    open(&metrics, "websocket", 1);
    drop(tunnel);
    open(&metrics, "http1", 1);
    drop(connection);
    open(&metrics, "http1", 0);
}

/// Not a test but a measurement: `cargo test --release --lib -- --ignored --nocapture what_counting_a_request_costs`.
#[test]
#[ignore = "a measurement"]
fn what_counting_a_request_costs() {
    const ROUNDS: u32 = 2_000_000;
    let metrics = Metrics::new();
    let route = metrics.requests.route("shop");
    for threads in [1, 2] {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let _under_way = metrics.requests.begin();
                        let asked = Instant::now();
                        route.answered(asked.elapsed());
                        route.ended(Outcome::Forwarded2xx, asked.elapsed());
                    }
                });
            }
        });
        println!("{threads} threads: {:?} for each request, clock included", began.elapsed() / ROUNDS);
    }
}
