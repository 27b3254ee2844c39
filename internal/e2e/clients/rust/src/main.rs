//! A resource server that accepts the access tokens of one issuer, with jsonwebtoken.
//! That fetches no key set: it is kept for five minutes here, and fetched again for a
//! key that is not there.

use std::env::var;
use std::error::Error;
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use tiny_http::{Response, Server};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

type Refused = Box<dyn Error>;

struct KeySet {
    agent: Agent,
    url: String,
    keys: Option<JwkSet>,
    fetched: SystemTime,
}

impl KeySet {
    fn fetch(&mut self) -> Result<(), Refused> {
        let text = self.agent.get(&self.url).call()?.body_mut().read_to_string()?;
        self.keys = Some(serde_json::from_str(&text)?);
        self.fetched = SystemTime::now();
        Ok(())
    }

    fn find(&mut self, kid: &str) -> Result<Jwk, Refused> {
        let fresh = self.fetched.elapsed().is_ok_and(|age| age < Duration::from_secs(300));
        if self.keys.is_none() || !fresh {
            self.fetch()?;
        }
        let known = |keys: &Option<JwkSet>| keys.as_ref().and_then(|keys| keys.find(kid)).cloned();
        if let Some(key) = known(&self.keys) {
            return Ok(key);
        }
        self.fetch()?;
        known(&self.keys).ok_or_else(|| "no such key".into())
    }
}

struct Verifier {
    keys: KeySet,
    issuer: String,
    audience: String,
    algorithms: Vec<Algorithm>,
}

impl Verifier {
    /// It takes the algorithms of one family at a time: that of the token, if allowed.
    fn accept(&mut self, token: &str) -> Result<(), Refused> {
        let header = decode_header(token)?;
        if !self.algorithms.contains(&header.alg) || header.typ.as_deref() != Some("at+jwt") {
            return Err("the algorithm or the type".into());
        }
        let key = self.keys.find(header.kid.as_deref().unwrap_or_default())?;
        let mut wanted = Validation::new(header.alg);
        wanted.set_issuer(&[&self.issuer]);
        wanted.set_audience(&[&self.audience]);
        wanted.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
        let token = decode::<serde_json::Value>(token, &DecodingKey::from_jwk(&key)?, &wanted)?;
        if token.claims.get("cnf").is_some() {
            return Err("bound to a key".into());
        }
        Ok(())
    }
}

fn main() -> Result<(), Refused> {
    let issuer = var("ISSUER")?;
    let root = Certificate::from_pem(&std::fs::read(var("CA_FILE")?)?)?;
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build();
    let mut verifier = Verifier {
        keys: KeySet {
            agent: Agent::config_builder().tls_config(tls).build().into(),
            url: format!("{issuer}/.well-known/jwks.json"),
            keys: None,
            fetched: SystemTime::now(),
        },
        issuer,
        audience: var("AUDIENCE")?,
        algorithms: var("ALGS")?.split(' ').map(str::parse).collect::<Result<_, _>>()?,
    };
    let server = Server::http(var("LISTEN")?).map_err(|e| e.to_string())?;
    for request in server.incoming_requests() {
        let said = request.headers().iter().find(|h| h.field.equiv("Authorization")).map(|h| h.value.to_string());
        let (status, text) = match said.as_deref().and_then(|said| said.strip_prefix("Bearer ")) {
            None => (401, "no token".to_string()),
            Some(token) => match verifier.accept(token) {
                Ok(()) => (200, "welcome".to_string()),
                Err(why) => (401, why.to_string()),
            },
        };
        let _ = request.respond(Response::from_string(text).with_status_code(status));
    }
    Ok(())
}
