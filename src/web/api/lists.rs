//! What a list may be asked: paging, order and filters, declared once per resource, read from the query and documented
//! from the same declaration.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::time::Time;
use crate::store::query::{COUNTED, Cell, Field, FieldKind, Listing, Order, Test, Wanted};
use crate::web::Error;

use super::asked::{Asked, Version, instant, integer};

/// How often `order_by` may be said.
const MOST_ORDERS: usize = 10;

/// What one resource's list may be asked.
pub struct Lists {
    /// What it may be ordered by.
    pub order: &'static [&'static Field],
    /// How it is ordered when nobody says.
    pub usual: &'static str,
    pub filters: &'static [Filter],
}

/// One or a few parameters that filter by one field.
pub struct Filter {
    pub name: &'static str,
    pub field: &'static Field,
    pub by: By,
}

/// How a parameter filters.
#[derive(Clone, Copy)]
pub enum By {
    /// Repeated: any of these values.
    Value,
    /// Repeated: any of these words and no other.
    Word(fn() -> Vec<&'static str>),
    /// `_gte`, `_gt`, `_lte`, `_lt`.
    Range,
    /// `x_pattern`: anywhere, however it is capitalised.
    Pattern,
    /// `x_prefix_pattern`: at the beginning.
    Prefix,
}

pub const fn value(name: &'static str, field: &'static Field) -> Filter {
    Filter { name, field, by: By::Value }
}

pub const fn word(name: &'static str, field: &'static Field, words: fn() -> Vec<&'static str>) -> Filter {
    Filter { name, field, by: By::Word(words) }
}

pub const fn range(name: &'static str, field: &'static Field) -> Filter {
    Filter { name, field, by: By::Range }
}

pub const fn pattern(name: &'static str, field: &'static Field) -> Filter {
    Filter { name, field, by: By::Pattern }
}

pub const fn prefix(name: &'static str, field: &'static Field) -> Filter {
    Filter { name, field, by: By::Prefix }
}

/// What a parameter's values are, for the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Integer,
    Number,
    Flag,
    Time,
}

/// One parameter of the query.
#[derive(Clone, Debug)]
pub struct Param {
    pub name: String,
    pub kind: Kind,
    pub is_repeated: bool,
    pub words: Vec<&'static str>,
    pub about: &'static str,
}

impl Param {
    pub fn new(name: impl Into<String>, kind: Kind, about: &'static str) -> Self {
        Self { name: name.into(), kind, is_repeated: false, words: Vec::new(), about }
    }

    #[must_use]
    pub fn repeated(self) -> Self {
        Self { is_repeated: true, ..self }
    }
}

const RANGE: [(&str, fn(Cell) -> Test, &str); 4] = [
    ("_gte", Test::AtLeast, "From here on, inclusive."),
    ("_gt", Test::Above, "After this."),
    ("_lte", Test::AtMost, "Until here, inclusive."),
    ("_lt", Test::Below, "Before this."),
];

fn kind(field: &Field) -> Kind {
    match field.kind {
        FieldKind::Text => Kind::Text,
        FieldKind::Integer => Kind::Integer,
        FieldKind::Flag => Kind::Flag,
        FieldKind::Time => Kind::Time,
        FieldKind::Duration => Kind::Number,
    }
}

impl Lists {
    /// The parameters, for the documentation.
    pub fn params(&self) -> Vec<Param> {
        let mut params = vec![
            Param::new("limit", Kind::Integer, "At most so many, 50 unless said; never more than 100."),
            Param::new("offset", Kind::Integer, "Leaves out so many."),
            Param::new("order_by", Kind::Text, "A field; with `-` in front of it, descending.").repeated(),
        ];
        params.extend(self.filters.iter().flat_map(Filter::params));
        params
    }

    /// Reads paging, order and filters.
    pub fn read(&self, asked: &Asked) -> Result<Listing, Error> {
        let (limit, offset) = paging(asked)?;
        let mut order = Vec::new();
        let mut words: Vec<&str> = asked.all("order_by").flat_map(|word| word.split(',')).collect();
        words.retain(|word| !word.is_empty());
        if words.len() > MOST_ORDERS {
            return Err(Error::Bad(format!(
                "expected at most {MOST_ORDERS} order_by parameters, got: {}",
                words.len()
            )));
        }
        if words.is_empty() && !self.usual.is_empty() {
            words.push(self.usual);
        }
        for word in words {
            order.push(self.order(word)?);
        }
        let mut wanted = Vec::new();
        for filter in self.filters {
            filter.read(asked, &mut wanted)?;
        }
        Ok(Listing { wanted, order, limit, offset })
    }

    pub fn order(&self, word: &str) -> Result<Order, Error> {
        let (name, descending) = word.strip_prefix('-').map_or((word, false), |name| (name, true));
        // Airflow 2's word.
        let name = if name == "execution_date" { "logical_date" } else { name };
        let field = self.order.iter().find(|field| field.name == name).ok_or_else(|| {
            Error::Bad(format!("Ordering with '{name}' is disallowed or the attribute does not exist on the model"))
        })?;
        Ok(Order { field, descending })
    }
}

/// How many, and after how many.
pub fn paging(asked: &Asked) -> Result<(u64, u64), Error> {
    let settings = &asked.web.settings;
    let most = u64::from(settings.largest_page);
    let usual = match asked.version {
        Version::V1 => most,
        Version::V2 => u64::from(settings.page_size),
    };
    let limit = asked.integer("limit", 0..=i64::MAX)?.map_or(usual, i64::unsigned_abs).min(most);
    let offset = asked.integer("offset", 0..=i64::MAX)?.map_or(0, i64::unsigned_abs);
    Ok((limit, offset))
}

/// The way from page to page for who asks for it, by an empty `cursor` at first. A cursor names a place in the list as it
/// was asked for; whoever asks otherwise in between is at another place.
pub struct Cursors {
    pub next: Option<String>,
    pub previous: Option<String>,
}

impl Cursors {
    /// Where the page is that a cursor names; `None`: nobody gave one.
    pub fn read(asked: &Asked, listing: &mut Listing) -> Result<bool, Error> {
        let Some(token) = asked.one("cursor") else { return Ok(false) };
        if !token.is_empty() {
            let wrong = || Error::Bad("expected `cursor` to be empty, or what an earlier answer gave".to_owned());
            let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let place = text.as_deref().and_then(|text| text.strip_prefix("from@")?.parse::<u32>().ok());
            listing.offset = place.ok_or_else(wrong)?.into();
        }
        Ok(true)
    }

    /// Around a page of `rows` rows.
    pub fn around(is_wanted: bool, listing: &Listing, rows: usize) -> Self {
        let cursor = |place: u64| URL_SAFE_NO_PAD.encode(format!("from@{place}"));
        let is_full = listing.limit > 0 && rows as u64 == listing.limit;
        Self {
            next: (is_wanted && is_full).then(|| cursor(listing.offset + listing.limit)),
            previous: (is_wanted && listing.offset > 0).then(|| cursor(listing.offset.saturating_sub(listing.limit))),
        }
    }

    pub fn param() -> Param {
        Param::new("cursor", Kind::Text, "Empty at first, then `next_cursor` of the answer before.")
    }
}

/// What is counted exactly only up to there, said as Airflow says it.
pub fn counted_limit(total: u64) -> Option<u64> {
    (total >= COUNTED).then_some(COUNTED)
}

impl Filter {
    fn params(&self) -> Vec<Param> {
        let kind = kind(self.field);
        match self.by {
            By::Value => vec![Param::new(self.name, kind, "Any of these.").repeated()],
            By::Word(words) => {
                vec![Param { words: words(), ..Param::new(self.name, kind, "Any of these.").repeated() }]
            }
            By::Range => RANGE
                .into_iter()
                .map(|(suffix, _, about)| Param::new(format!("{}{suffix}", self.name), kind, about))
                .collect(),
            By::Pattern => {
                let about = "Stands somewhere in it, however it is capitalised; `%` and `_` are wildcards, `|` is or, `~` is all.";
                vec![Param::new(self.name, kind, about)]
            }
            By::Prefix => vec![Param::new(self.name, kind, "It begins like this; `|` is or, `~` is all.")],
        }
    }

    fn read(&self, asked: &Asked, wanted: &mut Vec<Wanted>) -> Result<(), Error> {
        let field = self.field;
        match self.by {
            By::Value | By::Word(_) => {
                let mut cells = Vec::new();
                for text in asked.all(self.name) {
                    cells.push(self.cell(self.name, text)?);
                }
                if !cells.is_empty() {
                    wanted.push(Wanted { field, test: Test::OneOf(cells) });
                }
            }
            By::Range => {
                for (suffix, test, _) in RANGE {
                    let name = format!("{}{suffix}", self.name);
                    if let Some(text) = asked.one(&name) {
                        wanted.push(Wanted { field, test: test(self.cell(&name, text)?) });
                    }
                }
            }
            By::Pattern | By::Prefix => {
                let Some(text) = asked.one(self.name).filter(|text| !text.is_empty() && *text != "~") else {
                    return Ok(());
                };
                let parts: Vec<String> = text.split('|').filter(|part| !part.is_empty()).map(str::to_owned).collect();
                let test = if matches!(self.by, By::Prefix) { Test::Begins(parts) } else { Test::Contains(parts) };
                wanted.push(Wanted { field, test });
            }
        }
        Ok(())
    }

    fn cell(&self, name: &str, text: &str) -> Result<Cell, Error> {
        if let By::Word(words) = self.by {
            let known = words();
            if !known.contains(&text) {
                let message = format!("Input should be one of {}", known.join(", "));
                return Err(Error::field("enum", &["query", name], message, text.into()));
            }
        }
        match self.field.kind {
            FieldKind::Text => Ok(Cell::Text(text.to_owned())),
            FieldKind::Integer => integer(name, text, i64::MIN..=i64::MAX).map(Cell::Integer),
            FieldKind::Flag => Ok(Cell::Flag(matches!(text, "true" | "True" | "1"))),
            FieldKind::Time => instant(name, text).map(micros),
            FieldKind::Duration => {
                let wrong =
                    || Error::field("float_parsing", &["query", name], "Input should be a valid number", text.into());
                let seconds: f64 = text.trim().parse().map_err(|_| wrong())?;
                duration(seconds).ok_or_else(wrong)
            }
        }
    }
}

pub fn micros(time: Time) -> Cell {
    Cell::Integer(time.timestamp_micros())
}

/// Seconds as people say them; `None` where that is no length of time.
pub fn duration(seconds: f64) -> Option<Cell> {
    const MOST: f64 = 9.0e12;
    #[expect(clippy::cast_possible_truncation, reason = "it lies within what is counted in microseconds")]
    (seconds.abs() <= MOST).then(|| Cell::Integer((seconds * 1e6) as i64))
}
