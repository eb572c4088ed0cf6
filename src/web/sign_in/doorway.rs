//! The frame of what people see before they are signed in: no header, no numbers, nothing that needs a right.

use maud::Markup;

use crate::web::asset;
use crate::web::settings::WebSettings;
use crate::web::view::frame::{Assets, Here, Numbers, Page, Theme, frame};

pub fn doorway(settings: &WebSettings, title: &str, body: &Markup) -> Markup {
    let page = Page {
        title,
        here: Here::Elsewhere,
        user: None,
        closed: &[],
        csrf: "",
        theme: Theme::System,
        numbers: Numbers::default(),
        toasts: &[],
        assets: Assets { style: asset::url("updraft.css"), script: asset::url("updraft.js") },
        stream: None,
        scripts: &[],
        instance: settings.name(),
        version: settings.version,
    };
    frame(&page, body)
}
