//! The switch between light and dark for those without script: it turns the remembered choice around.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};

use crate::web::{Needs, Route};

pub fn routes() -> Vec<Route> {
    vec![Route::get("/theme", Needs::Nobody, theme)]
}

async fn theme(request: HttpRequest) -> HttpResponse {
    let is_dark = request.cookie("theme").is_some_and(|cookie| cookie.value() == "dark");
    let word = if is_dark { "light" } else { "dark" };
    let cookie = Cookie::build("theme", word).path("/").same_site(SameSite::Lax).max_age(Duration::days(365)).finish();
    let from = request.headers().get(header::REFERER).and_then(|from| from.to_str().ok());
    // Only the path is taken: a look leads back to where it came from, on this host.
    let path = from.and_then(|from| from.parse::<actix_web::http::Uri>().ok());
    let to = path.as_ref().and_then(|uri| uri.path_and_query()).map_or("/", |path| path.as_str());
    let to = if to.starts_with("//") { "/" } else { to };
    HttpResponse::SeeOther().cookie(cookie).insert_header((header::LOCATION, to)).finish()
}
