//! The configuration, as far as `[api] expose_config` shows it. Secrets are masked.

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Action, Resource};
use crate::web::Error;
use crate::web::settings::{ConfigRow, Exposed};

use super::asked::{Accepts, Asked};
use super::lists::{Kind, Param};
use super::operation::{Answer, Operation, good, may};

#[derive(Serialize, ToSchema)]
#[schema(as = ConfigOption)]
struct Entry {
    key: String,
    value: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConfigSection)]
struct Section {
    name: String,
    options: Vec<Entry>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Config)]
struct Config {
    sections: Vec<Section>,
}

pub fn operations() -> Vec<Operation> {
    let read = may(Action::Read, Resource::Configuration);
    vec![
        Operation::get("/config", "get_config", "Get Config", read, all)
            .params([Param::new("section", Kind::Text, "Only this section.")])
            .answers::<Config>()
            .or_as(&["text/plain"]),
        Operation::get("/config/section/{section}/option/{option}", "get_config_value", "Get Config Value", read, one)
            .answers::<Config>()
            .or_as(&["text/plain"]),
    ]
}

/// The keys that may be seen.
fn visible(asked: &Asked) -> Result<Vec<&ConfigRow>, Error> {
    let settings = &asked.web.settings;
    let rows = settings.configuration.iter();
    match settings.exposed {
        Exposed::Everything => Ok(rows.collect()),
        Exposed::NotSensitive => Ok(rows.filter(|row| !row.is_sensitive).collect()),
        Exposed::Nothing => Err(Error::Hidden(
            "Your Airflow administrator chose not to expose the configuration, most likely for security reasons. \
             `[api] expose_config` shows it"
                .to_owned(),
        )),
    }
}

async fn all(asked: Asked) -> Answer {
    let wanted = asked.one("section");
    let rows: Vec<&ConfigRow> =
        visible(&asked)?.into_iter().filter(|row| wanted.is_none_or(|name| name == row.section)).collect();
    match wanted {
        Some(name) if rows.is_empty() => Err(Error::NotFound(format!("Section {name} not found."))),
        Some(_) | None => answer(&asked, &rows),
    }
}

async fn one(asked: Asked) -> Answer {
    let (section, option) = (asked.path("section"), asked.path("option"));
    let mut rows = visible(&asked)?;
    rows.retain(|row| row.section.eq_ignore_ascii_case(section) && row.key.eq_ignore_ascii_case(option));
    if rows.is_empty() {
        return Err(Error::NotFound(format!("Option [{section}/{option}] not found.")));
    }
    answer(&asked, &rows)
}

fn answer(asked: &Asked, rows: &[&ConfigRow]) -> Answer {
    let mut sections: Vec<Section> = Vec::new();
    for row in rows {
        let entry = Entry { key: row.key.clone(), value: row.value.clone() };
        match sections.iter_mut().find(|section| section.name == row.section) {
            Some(section) => section.options.push(entry),
            None => sections.push(Section { name: row.section.clone(), options: vec![entry] }),
        }
    }
    if asked.accepts != Accepts::Text {
        return good(Config { sections });
    }
    let lines = |section: &Section| {
        let options = section.options.iter().map(|option| format!("{} = {}\n", option.key, option.value));
        format!("[{}]\n{}\n", section.name, options.collect::<String>())
    };
    let text: String = sections.iter().map(lines).collect();
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(text))
}
