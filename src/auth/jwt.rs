//! The tokens of the REST API: JSON Web Tokens, signed with HMAC-SHA512 and nothing else. A token that names another
//! algorithm, or none, is no token.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha512;

use crate::domain::time::Time;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who.
    pub sub: String,
    /// For people who look into it: what somebody may do is looked up, never believed.
    #[serde(default)]
    pub role: String,
    #[serde(default)]
    pub teams: Vec<String>,
    pub jti: String,
    pub aud: String,
    /// Seconds since 1970.
    pub nbf: i64,
    pub iat: i64,
    pub exp: i64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
}

/// Why a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("it is no signed token of ours")]
    Malformed,
    #[error("its signature is wrong")]
    Forged,
    #[error("it has expired, or does not hold yet")]
    OutOfTime,
    #[error("it is for another audience")]
    OtherAudience,
}

/// Signs and verifies.
#[derive(Clone)]
pub struct Jwt {
    mac: Hmac<Sha512>,
    audience: String,
    /// How far two clocks may be apart.
    leeway: i64,
}

impl Jwt {
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub fn new(key: &str, audience: impl Into<String>, leeway: std::time::Duration) -> Self {
        let mac = Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
        Self { mac, audience: audience.into(), leeway: i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX / 4) }
    }

    /// A token that says who somebody is, from now on for so long.
    pub fn issue(&self, user: &str, role: &str, now: Time, holds: std::time::Duration) -> String {
        let iat = now.timestamp();
        let claims = Claims {
            sub: user.to_owned(),
            role: role.to_owned(),
            teams: Vec::new(),
            jti: uuid::Uuid::new_v4().simple().to_string(),
            aud: self.audience.clone(),
            nbf: iat,
            iat,
            exp: iat.saturating_add(i64::try_from(holds.as_secs()).unwrap_or(i64::MAX)),
        };
        self.sign(&Header { alg: "HS512".to_owned(), typ: Some("JWT".to_owned()) }, &claims)
    }

    fn sign(&self, header: &Header, claims: &Claims) -> String {
        let part = |json: Vec<u8>| BASE64_URL_SAFE_NO_PAD.encode(json);
        let written = "numbers and texts can be written as JSON";
        let header = part(serde_json::to_vec(header).expect(written));
        let signed = format!("{header}.{}", part(serde_json::to_vec(claims).expect(written)));
        let mac = self.mac.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", part(mac.to_vec()))
    }

    /// What the token says, if it is ours and holds now.
    ///
    /// # Errors
    /// When it is not, or does not.
    pub fn verify(&self, token: &str, now: Time) -> Result<Claims, BadToken> {
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Malformed);
        let (signed, mac) = token.rsplit_once('.').ok_or(BadToken::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(BadToken::Malformed)?;
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| BadToken::Malformed)?;
        if header.alg != "HS512" {
            return Err(BadToken::Malformed);
        }
        self.mac.clone().chain_update(signed).verify_slice(&decode(mac)?).map_err(|_| BadToken::Forged)?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).map_err(|_| BadToken::Malformed)?;
        if claims.aud != self.audience {
            return Err(BadToken::OtherAudience);
        }
        let now = now.timestamp();
        let holds = claims.nbf.saturating_sub(self.leeway) <= now && now < claims.exp.saturating_add(self.leeway);
        if holds { Ok(claims) } else { Err(BadToken::OutOfTime) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(second: i64) -> Time {
        Time::from_timestamp(1_700_000_000 + second, 0).expect("an instant")
    }

    fn ours() -> Jwt {
        Jwt::new("a key", "apache-airflow", Duration::from_secs(10))
    }

    #[test]
    fn a_token_holds_from_its_beginning_to_its_end_give_or_take_what_clocks_differ() {
        let token = ours().issue("ann", "admin", at(0), HOUR);
        for (second, holds) in [(-11, false), (-10, true), (0, true), (3_599, true), (3_609, true), (3_610, false)] {
            let verified = ours().verify(&token, at(second));
            assert_eq!(verified.is_ok(), holds, "{second}: {verified:?}");
        }
        assert_eq!(ours().verify(&token, at(1)).expect("it holds").sub, "ann");
    }

    #[test]
    fn a_token_of_another_key_audience_or_algorithm_is_none() {
        let verify = |token: &str| ours().verify(token, at(1));
        let other_key = Jwt::new("another", "apache-airflow", Duration::ZERO).issue("ann", "admin", at(0), HOUR);
        assert_eq!(verify(&other_key), Err(BadToken::Forged));
        let other_audience = Jwt::new("a key", "them", Duration::ZERO).issue("ann", "admin", at(0), HOUR);
        assert_eq!(verify(&other_audience), Err(BadToken::OtherAudience));
        let token = ours().issue("ann", "viewer", at(0), HOUR);
        let claims = verify(&token).expect("ours");
        for alg in ["none", "None", "HS256", "RS512", "hs512"] {
            let forged = ours().sign(&Header { alg: alg.to_owned(), typ: None }, &claims);
            assert_eq!(verify(&forged), Err(BadToken::Malformed), "{alg}");
        }
        let (signed, _) = token.rsplit_once('.').expect("three parts");
        for wrong in [format!("{signed}."), signed.to_owned(), format!("{token}A"), "..".to_owned(), String::new()] {
            assert!(verify(&wrong).is_err(), "{wrong}");
        }
        let changed =
            ours().sign(&Header { alg: "HS512".to_owned(), typ: None }, &Claims { sub: "root".to_owned(), ..claims });
        let (changed, _) = changed.rsplit_once('.').expect("three parts");
        let (_, mac) = token.rsplit_once('.').expect("three parts");
        assert_eq!(verify(&format!("{changed}.{mac}")), Err(BadToken::Forged));
    }

    /// Made with Python's `hmac`, `hashlib` and `base64`, as PyJWT puts them together.
    #[test]
    fn a_token_of_another_program_with_the_same_key_is_understood() {
        let token = TOKEN_OF_PYTHON;
        let claims = ours().verify(token, at(60)).expect("it holds");
        assert_eq!((claims.sub.as_str(), claims.exp - claims.iat), ("ann", 3_600));
    }

    const TOKEN_OF_PYTHON: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.\
         eyJzdWIiOiJhbm4iLCJyb2xlIjoidXNlciIsImp0aSI6ImoiLCJhdWQiOiJhcGFjaGUtYWlyZmxvdyIsIm5iZiI6MTcwMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwLCJleHAiOjE3MDAwMDM2MDB9.\
         De2hcsTFotu46CPQuZkKVKneWCg6UW7AUCSugFOnwn6bPlZ5Qtl55oUD8I2Rji0QQqW90N1xkZM-KLVI7ZDYZg";
}
