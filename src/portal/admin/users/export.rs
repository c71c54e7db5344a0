//! `GET /admin/users.csv`: the list as it is narrowed and sorted, for a spreadsheet, and to be imported again.
//!
//! UTF-8 with a byte order mark, which Excel asks for; CR LF and quotes by RFC 4180. A cell that a spreadsheet would take for a
//! formula begins with an apostrophe, which an import takes away again. Sent piece by piece: a hundred thousand accounts are
//! never all in memory as text.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use super::listing::Listing;
use super::row;
use crate::authn::lockout::INDEFINITELY;
use crate::authn::user::Role;
use crate::clock::Timestamp;
use crate::id::UserId;
use crate::portal::error::PortalError;
use crate::portal::exchange::Exchange;
use crate::portal::person;
use crate::service::Services;
use crate::service::directory::Row;
use crate::service::import::FORMULA;

/// How many accounts go in one piece.
const PIECE: usize = 500;

/// The byte order mark.
const MARK: &str = "\u{feff}";

/// The first line. The names of what an import reads are those that it knows.
const HEAD: [&str; 13] = [
    "id",
    "login",
    "name",
    "email",
    "role",
    "groups",
    "second_factor",
    "method",
    "enrolled",
    "last_login",
    "registered_at",
    "state",
    "locked_until",
];

/// `GET /admin/users.csv`
pub async fn download(State(services): State<Services>, exchange: Exchange) -> Result<Response, PortalError> {
    let (exchange, _) = match person::at_least(Role::Viewer, &services, exchange).await {
        Ok(signed_in) => signed_in,
        Err(answer) => return Ok(*answer),
    };
    let now = exchange.visit.now;
    let ids = services.directory.ids(&Listing::of(&exchange.query).query(), now).await?;
    let date: String = now.to_string().chars().take_while(|character| *character != 'T').collect();
    let name = HeaderValue::from_str(&format!("attachment; filename=\"accounts-{date}.csv\""));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (CONTENT_DISPOSITION, name.unwrap_or(HeaderValue::from_static("attachment"))),
    ];
    Ok(exchange.finish((headers, body(services, ids, now)).into_response()))
}

/// The whole text, made while it is sent. What cannot be read any more breaks it off: half a list must not look whole.
fn body(services: Services, ids: Vec<UserId>, now: Timestamp) -> Body {
    // From which account on; first of all comes the head.
    let pieces = stream::unfold((services, ids, None), move |(services, ids, at)| async move {
        let Some(at) = at else {
            let head = [MARK.as_bytes(), &lines([HEAD.map(str::to_owned)])].concat();
            return Some((Ok(Bytes::from(head)), (services, ids, Some(0))));
        };
        let piece = ids.get(at..ids.len().min(at + PIECE)).filter(|piece| !piece.is_empty())?;
        let rows = services.directory.rows(piece, now).await;
        let text = rows.map(|rows| Bytes::from(lines(rows.iter().map(cells))));
        Some((text.map_err(PortalError::from), (services, ids, Some(at + PIECE))))
    });
    Body::from_stream(pieces)
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let groups: Vec<_> = row.groups.iter().map(ToString::to_string).collect();
    [
        row.id.to_string(),
        safe(&row.login),
        safe(&row.name),
        safe(row.email.as_deref().unwrap_or_default()),
        row.role.to_string(),
        safe(&groups.join(", ")),
        if row.switched_on { "on" } else { "off" }.to_owned(),
        row.method.to_string(),
        if row.is_enrolled() { "yes" } else { "no" }.to_owned(),
        moment(row.last_login),
        moment(Some(row.registered_at)),
        row::state(row).to_owned(),
        match row.locked_until {
            Some(INDEFINITELY) => "unlocked by a manager".to_owned(),
            until => moment(until),
        },
    ]
}

/// What a spreadsheet shows and does not calculate.
fn safe(text: &str) -> String {
    if text.starts_with(FORMULA) { format!("'{text}") } else { text.to_owned() }
}

fn lines(rows: impl IntoIterator<Item = [String; HEAD.len()]>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        // Into memory, and every row is of one length: it cannot fail.
        if let Err(error) = writer.write_record(&row) {
            tracing::error!(%error, "a row of the list of accounts could not be written");
        }
    }
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_looks_like_a_formula_is_text() {
        for formula in ["=1+1", "+81", "-1", "@SUM(A1)", "＝1+1", "＋81", "－1", "＠SUM(A1)", "\tx", "\rx", "\nx"] {
            assert_eq!(safe(formula), format!("'{formula}"));
        }
        for text in ["", "山田", "'quoted", "a=b", "1-2"] {
            assert_eq!(safe(text), text);
        }
    }

    #[test]
    fn a_row_is_quoted_by_rfc_4180() {
        let mut rows = samples::rows();
        rows[0].name = "Ya\"ma, da".to_owned();
        rows[1].name = "=HYPERLINK(\"http://evil.test\")".to_owned();
        let text = String::from_utf8(lines(rows.iter().take(2).map(cells))).unwrap();
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            format!(
                "{},hanako.yamada,\"Ya\"\"ma, da\",hanako.yamada@example.com,admin,\"ops, 受注担当\",on,totp,yes,\
                 2026-11-22T09:30:05Z,2025-10-09T08:53:20Z,active,",
                rows[0].id
            )
        );
        assert!(lines[1].contains(",\"'=HYPERLINK(\"\"http://evil.test\"\")\","), "{}", lines[1]);
    }
}
