//! The files that pages need: stylesheet and script, from the program itself. Their name holds a hash of their
//! content, so a browser keeps them for good and never shows an old one.

use std::io::Write;
use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::route::{Needs, Route};

/// One file.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    /// Where it is served: `/static/<hash>-<name>`.
    path: String,
    gzip: Vec<u8>,
}

/// A new file is one line here.
const FILES: &[(&str, &str, &[u8])] = &[
    // One stylesheet, in two files for those who read it.
    (
        "updraft.css",
        "text/css; charset=utf-8",
        concat!(include_str!("updraft.css"), include_str!("dag.css")).as_bytes(),
    ),
    ("updraft.js", "text/javascript; charset=utf-8", include_bytes!("updraft.js")),
    ("dag.js", "text/javascript; charset=utf-8", include_bytes!("dag.js")),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |&(name, content_type, content): &(&'static str, &'static str, &'static [u8])| {
        let digest = Sha256::digest(content);
        let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Asset { name, content_type, content, path: format!("/static/{hash}-{name}"), gzip: compress(content) }
    };
    FILES.iter().map(asset).collect()
});

fn compress(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(content).and_then(|()| gzip.finish()).unwrap_or_default()
}

/// The address of a file, by its name: what a page links to.
pub fn url(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("/static/missing", |asset| asset.path.as_str())
}

pub fn routes() -> Vec<Route> {
    vec![Route::get("/static/{file}", Needs::Nobody, asset)]
}

async fn asset(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse, Error> {
    let path = format!("/static/{file}");
    let asset = ASSETS.iter().find(|asset| asset.path == path).ok_or(Error::NoSuchPath)?;
    let accepts = request.headers().get(header::ACCEPT_ENCODING).and_then(|accepts| accepts.to_str().ok());
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(asset.content_type)
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::VARY, "accept-encoding"));
    if !asset.gzip.is_empty() && accepts.is_some_and(|accepts| accepts.contains("gzip")) {
        return Ok(answer.insert_header((header::CONTENT_ENCODING, "gzip")).body(asset.gzip.as_slice()));
    }
    Ok(answer.body(asset.content))
}
