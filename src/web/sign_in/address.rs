//! From where a request comes, and where it says that it is going.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::web::state::Web;

/// The address of the caller. A proxy of ours is believed when it says for whom it speaks.
pub fn caller(request: &HttpRequest, web: &Web) -> String {
    let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else { return String::new() };
    if !is_ours(peer, web) {
        return peer.to_string();
    }
    // Each proxy adds the address that it heard: the last one that is none of ours called.
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let chain: Vec<IpAddr> =
        forwarded.flat_map(|value| value.split(',')).filter_map(|one| one.trim().parse().ok()).collect();
    chain.into_iter().rev().find(|address| !is_ours(*address, web)).unwrap_or(peer).to_string()
}

/// Whether the connection comes from a proxy whose word counts.
pub fn is_from_proxy(request: &HttpRequest, web: &Web) -> bool {
    request.peer_addr().is_some_and(|peer| is_ours(peer.ip(), web))
}

fn is_ours(address: IpAddr, web: &Web) -> bool {
    web.sign_in.proxy.addresses.contains(&address.to_canonical())
}

/// The name under which the caller reached us, with its port, as their browser wrote it.
pub fn host(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::HOST).and_then(|host| host.to_str().ok())
}

/// Whether the caller named this machine itself: a page of another site that had its own name lead here did not.
pub fn is_local_name(request: &HttpRequest, web: &Web) -> bool {
    let Some(host) = host(request) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        || origin_host(&web.settings.base_url).is_some_and(|own| own == host)
}

/// `host:port` of an origin or URL.
pub fn origin_host(url: &str) -> Option<&str> {
    url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest))
}
