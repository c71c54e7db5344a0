//! Rows that are not imported, and why: on a page, and as a list that can be put right and uploaded again.

use axum::response::{IntoResponse, Response};
use fluent_bundle::{FluentArgs, FluentValue};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Serialize;

use crate::authn::user::Role;
use crate::config::Language;
use crate::i18n;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::person;
use crate::service::Services;
use crate::service::import::{FORMULA, Fault, Forbidden, Judged, Outcome, Progress, ReportRow, Verdict};
use axum::extract::State;

/// A row that is not imported.
#[derive(Debug, Serialize)]
pub struct RefusedRow {
    pub line: u64,
    pub login: String,
    pub faults: Vec<Fault>,
    #[serde(skip)]
    cells: Vec<String>,
}

impl RefusedRow {
    /// Of a preview.
    pub fn of_judged(judged: Judged) -> Option<Self> {
        let Judged { line, login, cells, verdict, .. } = judged;
        match verdict {
            Verdict::Refused(faults) => Some(Self { line, login, faults, cells }),
            _ => None,
        }
    }

    /// Of a report.
    pub fn of_report(row: ReportRow) -> Option<Self> {
        let ReportRow { line, login, outcome, cells } = row;
        match outcome {
            Outcome::Refused(faults) => Some(Self { line, login, faults, cells }),
            _ => None,
        }
    }

    #[cfg(test)]
    pub fn sample(line: u64, login: &str, faults: Vec<Fault>) -> Self {
        Self { line, login: login.to_owned(), faults, cells: vec![login.to_owned()] }
    }
}

/// `GET /admin/users/import/refused.csv`
pub async fn download(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, person) = match person::at_least(Role::Manager, &services, exchange).await {
        Ok(manager) => manager,
        Err(answer) => return Ok(*answer),
    };
    let now = exchange.visit.now;
    let found = match services.imports.report(&person.actor, now).await? {
        Some(Progress::Done(report)) => {
            Some((report.header, report.rows.into_iter().filter_map(RefusedRow::of_report).collect::<Vec<_>>()))
        }
        Some(Progress::Running) => None,
        None => match services.imports.preview(&person.actor, now).await? {
            Ok(Some(preview)) => {
                let rows = preview.rows.into_iter().filter_map(RefusedRow::of_judged).collect();
                Some((preview.header, rows))
            }
            Ok(None) | Err(Forbidden) => None,
        },
    };
    let Some((header, rows)) = found else {
        let path = exchange.page_path(super::PATH);
        return Ok(exchange.redirect(&format!("{path}?done=gone")));
    };
    let file = list(exchange.language, &header, &rows);
    let headers =
        [(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, "attachment; filename=\"not-imported.csv\"")];
    Ok(exchange.finish((StatusCode::OK, headers, file).into_response()))
}

/// The rows as they came, with the line and the reasons behind them. With a byte order mark, by which a spreadsheet knows UTF-8.
pub fn list(language: Language, header: &[String], rows: &[RefusedRow]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    let word = |key| i18n::text(language, key, None).unwrap_or_default();
    let (line, reason) = (word("import-line"), word("import-reason"));
    let width = header.len();
    let padded = |cells: &[String]| -> Vec<String> {
        (0..width).map(|place| harmless(cells.get(place).map_or("", String::as_str))).collect()
    };
    let mut write = |cells: Vec<String>, last: [String; 2]| {
        // Into memory, which does not fail.
        let _ = writer.write_record(cells.into_iter().chain(last));
    };
    write(padded(header), [line, reason]);
    for row in rows {
        let reasons: Vec<String> = row.faults.iter().map(|fault| sentence(language, fault)).collect();
        write(padded(&row.cells), [row.line.to_string(), reasons.join(" ")]);
    }
    writer.into_inner().unwrap_or_default()
}

/// A cell that no spreadsheet takes for a formula; the import takes the apostrophe away again.
fn harmless(cell: &str) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell.to_owned() }
}

/// A fault in words, as the page has it.
fn sentence(language: Language, fault: &Fault) -> String {
    let name = |value: serde_json::Value| value.as_str().map(str::to_owned).unwrap_or_default();
    let key = format!("import-fault-{}", name(serde_json::to_value(fault.reason).unwrap_or_default()));
    let mut args = FluentArgs::new();
    args.set("value", FluentValue::from(fault.value.as_str()));
    args.set("other", FluentValue::from(fault.other));
    i18n::text(language, &key, Some(&args)).unwrap_or_default()
}
