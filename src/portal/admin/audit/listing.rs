//! What the address of the page says: which events, and where among them.

use serde::Serialize;

use super::text_key;
use crate::clock::Timestamp;
use crate::portal::form::Fields;
use crate::portal::return_to;
use crate::service::history::{Cursor, Filter, Kind, Outcome, Seek, Span};

/// The longest text that counts, in characters.
const LONGEST: usize = 200;

/// The fields of the address; each is also the name of its field in the form.
const PERSON: &str = "person";
const EVENT: &str = "event";
const RESULT: &str = "result";
const FROM: &str = "from";
const TO: &str = "to";
const ADDRESS: &str = "address";
const TEXT: &str = "q";
const OLDER: &str = "older";
const NEWER: &str = "newer";

/// Which events are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    person: String,
    event: Option<Kind>,
    result: Option<Outcome>,
    from: String,
    to: String,
    address: String,
    text: String,
    seek: Seek,
}

/// A choice of a `select`. The value is what the address says, the name the end of its text's key.
#[derive(Debug, Serialize)]
pub struct Choice {
    value: &'static str,
    name: String,
    chosen: bool,
}

/// The form, filled in.
#[derive(Debug, Serialize)]
pub struct FilterView {
    person: String,
    events: Vec<Choice>,
    results: Vec<Choice>,
    from: String,
    to: String,
    address: String,
    text: String,
    /// Something is asked for beside the person, the event and the result.
    more: bool,
    /// Something is asked for at all.
    narrowed: bool,
}

impl Listing {
    /// What an address says. An event or a place that there is not, it does not say.
    pub fn of(query: &Fields) -> Self {
        let text = |name| {
            let text = query.get(name).unwrap_or_default().trim();
            text.chars().filter(|character| !character.is_control()).take(LONGEST).collect::<String>()
        };
        let older = Cursor::parse(&text(OLDER)).map(Seek::OlderThan);
        let newer = Cursor::parse(&text(NEWER)).map(Seek::NewerThan);
        Self {
            person: text(PERSON),
            event: text(EVENT).parse().ok(),
            result: text(RESULT).parse().ok(),
            from: text(FROM),
            to: text(TO),
            address: text(ADDRESS),
            text: text(TEXT),
            seek: older.or(newer).unwrap_or_default(),
        }
    }

    /// What is searched for; or the key of what is wrong with it, because to pass over it would show events that nobody asked
    /// for.
    pub fn filter(&self, now: Timestamp) -> Result<Filter, &'static str> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let span =
            |text: &str| given(text).map(|text| Span::parse(&text, now).map_err(|_| "problem-audit-time")).transpose();
        let address = given(&self.address).map(|text| text.parse().map_err(|_| "problem-audit-address")).transpose()?;
        Ok(Filter {
            person: given(&self.person),
            kind: self.event,
            result: self.result,
            since: span(&self.from)?.map(|span| span.first),
            until: span(&self.to)?.map(|span| span.last),
            address,
            text: given(&self.text),
        })
    }

    pub fn seek(&self) -> Seek {
        self.seek.clone()
    }

    pub fn goes_forwards(&self) -> bool {
        matches!(self.seek, Seek::NewerThan(_))
    }

    /// Whether it is another page than the one with the newest events.
    pub fn is_elsewhere(&self) -> bool {
        self.seek != Seek::Newest
    }

    pub fn newest(&self) -> Self {
        Self { seek: Seek::Newest, ..self.clone() }
    }

    pub fn older_than(&self, cursor: Cursor) -> Self {
        Self { seek: Seek::OlderThan(cursor), ..self.clone() }
    }

    pub fn newer_than(&self, cursor: Cursor) -> Self {
        Self { seek: Seek::NewerThan(cursor), ..self.clone() }
    }

    /// As an address has it, without the question mark; empty where it says nothing.
    pub fn search(&self) -> String {
        let (older, newer) = match &self.seek {
            Seek::OlderThan(cursor) => (cursor.as_str(), ""),
            Seek::NewerThan(cursor) => ("", cursor.as_str()),
            Seek::Newest | Seek::Oldest => ("", ""),
        };
        let fields = [
            (PERSON, self.person.as_str()),
            (EVENT, self.event.map_or("", Kind::name)),
            (RESULT, self.result.map_or("", Outcome::name)),
            (FROM, &self.from),
            (TO, &self.to),
            (ADDRESS, &self.address),
            (TEXT, &self.text),
            (OLDER, older),
            (NEWER, newer),
        ];
        let given = fields.iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("{name}={}", return_to::encoded(value))).collect::<Vec<_>>().join("&")
    }

    /// The form that asks for this.
    pub fn form(&self) -> FilterView {
        let events = Kind::ALL.iter().map(|kind| Choice {
            value: kind.name(),
            name: text_key(kind.name()),
            chosen: self.event == Some(*kind),
        });
        let results = Outcome::ALL.iter().map(|result| Choice {
            value: result.name(),
            name: result.name().to_owned(),
            chosen: self.result == Some(*result),
        });
        let more = [&self.from, &self.to, &self.address, &self.text].iter().any(|text| !text.is_empty());
        FilterView {
            person: self.person.clone(),
            events: events.collect(),
            results: results.collect(),
            from: self.from.clone(),
            to: self.to.clone(),
            address: self.address.clone(),
            text: self.text.clone(),
            more,
            narrowed: !self.newest().search().is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_339_805);

    fn listing(query: &str) -> Listing {
        Listing::of(&Fields::of_query(Some(query)))
    }

    #[test]
    fn an_address_comes_back_as_it_was() {
        for address in [
            "",
            "person=%E8%8A%B1%E5%AD%90&event=second%5Ffactor&result=failure",
            "from=2026%2D11%2D22T09%3A30&to=2026%2D11%2D22&address=192%2E0%2E2%2E0%2F24&q=a%26b",
            "older=0001795339805000%2D0123456789abcdef",
            "person=a&newer=0001795339805000%2D0123456789abcdef",
        ] {
            let listing = listing(address);
            assert_eq!(Listing::of(&Fields::of_query(Some(&listing.search()))), listing, "{address}");
            assert_eq!(listing.newest().search().is_empty(), !address.contains('=') || address.starts_with("older"));
        }
    }

    #[test]
    fn what_cannot_be_searched_for_is_said_and_what_no_page_links_to_is_passed_over() {
        assert_eq!(listing("address=host").filter(NOW), Err("problem-audit-address"));
        assert_eq!(listing("from=soon").filter(NOW), Err("problem-audit-time"));
        assert_eq!(listing("to=2026-02-30").filter(NOW), Err("problem-audit-time"));
        assert_eq!(listing("event=logn&result=maybe&older=../user&newer=1&x=y"), Listing::default());
        assert_eq!(listing("person=a&person=b"), Listing::default());
        let filter = listing("from=2026-11-22&to=2026-11-22").filter(NOW).unwrap();
        let length = filter.until.unwrap().millis() - filter.since.unwrap().millis();
        assert_eq!(length, 24 * 3600 * 1000 - 1);
    }
}
