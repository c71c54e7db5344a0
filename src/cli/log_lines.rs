//! The gateway's own log lines: what is said while a request is served carries the request's name and its trace's.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::gateway::under_way;

/// A format of lines, with those names added to each.
pub struct Named<F> {
    pub inner: F,
    pub format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for Named<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some((request, trace)) = under_way() else { return self.inner.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.inner.format_event(ctx, Writer::new(&mut line), event)?;
        writer.write_str(&named(&line, self.format, &request.to_string(), trace.as_deref()))
    }
}

/// The names are letters and digits: nothing in them needs to be escaped.
fn named(line: &str, format: LogFormat, request: &str, trace: Option<&str>) -> String {
    let line = line.trim_end_matches('\n');
    match (format, line.strip_suffix('}'), trace) {
        (LogFormat::Json, Some(open), Some(trace)) => {
            format!("{open},\"request\":\"{request}\",\"trace\":\"{trace}\"}}\n")
        }
        (LogFormat::Json, Some(open), None) => format!("{open},\"request\":\"{request}\"}}\n"),
        (_, _, Some(trace)) => format!("{line} request={request} trace={trace}\n"),
        (_, _, None) => format!("{line} request={request}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_the_end_of_a_line() {
        let json = named("{\"level\":\"WARN\",\"fields\":{}}\n", LogFormat::Json, "r1", Some("t1"));
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((&read["request"], &read["trace"], &read["level"]), (&"r1".into(), &"t1".into(), &"WARN".into()));
        assert!(json.ends_with("}\n"));
        let json = named("{\"level\":\"WARN\"}\n", LogFormat::Json, "r1", None);
        assert_eq!(json, "{\"level\":\"WARN\",\"request\":\"r1\"}\n");
        assert_eq!(
            named("WARN a thing {}\n", LogFormat::Text, "r1", Some("t1")),
            "WARN a thing {} request=r1 trace=t1\n"
        );
    }
}
