//! Uses a Keyturn server with oauth2, from the issuer's URL alone. The first answer to
//! each refresh is lost on the way. Reads what to do from standard input and prints the
//! tokens that it got. The library has no private_key_jwt.

use std::error::Error;

use oauth2::basic::{BasicClient, BasicErrorResponse};
use oauth2::{
    ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl, RefreshToken, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, RevocationUrl, StandardRevocableToken, TokenIntrospectionResponse,
    TokenResponse, TokenUrl,
};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

type Failed = Box<dyn Error>;

/// What the server refused a request with; any other failure is passed on.
fn refusal<T>(answer: Result<T, RequestTokenError<ureq::Error, BasicErrorResponse>>) -> Result<String, Failed> {
    match answer {
        Ok(_) => Ok("nothing".to_string()),
        Err(RequestTokenError::ServerResponse(said)) => Ok(said.error().to_string()),
        Err(other) => Err(other.into()),
    }
}

fn main() -> Result<(), Failed> {
    let ask: Value = serde_json::from_reader(std::io::stdin())?;
    let asked = |name: &str| ask[name].as_str().unwrap_or_default().to_string();
    let root = Certificate::from_pem(&std::fs::read(std::env::var("SSL_CERT_FILE")?)?)?;
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root])).build();
    let agent: Agent = Agent::config_builder().tls_config(tls).http_status_as_error(false).max_redirects(0).build().into();
    let http = |request: HttpRequest| -> Result<HttpResponse, ureq::Error> {
        let (head, mut body) = agent.run(request)?.into_parts();
        Ok(HttpResponse::from_parts(head, body.read_to_vec()?))
    };
    let metadata = asked("issuer") + "/.well-known/oauth-authorization-server";
    let server: Value = serde_json::from_str(&agent.get(&metadata).call()?.body_mut().read_to_string()?)?;
    let at = |name: &str| server[name].as_str().unwrap_or_default().to_string();

    let mut client = BasicClient::new(ClientId::new(asked("client_id")))
        .set_token_uri(TokenUrl::new(at("token_endpoint"))?)
        .set_revocation_url(RevocationUrl::new(at("revocation_endpoint"))?)
        .set_introspection_url(IntrospectionUrl::new(at("introspection_endpoint"))?);
    let secret = asked("client_secret");
    if !secret.is_empty() {
        client = client.set_client_secret(ClientSecret::new(secret.clone()));
    }

    let (username, password) = (ResourceOwnerUsername::new(asked("username")), ResourceOwnerPassword::new(asked("password")));
    let login = client.exchange_password(&username, &password).request(&http)?;
    let mut tokens = json!({"password": login.access_token().secret()});
    let (mut did, mut lost, mut refreshes) = (vec!["password", "refresh_token", "revocation"], 0, 0);
    let mut access = login.access_token().clone();
    let mut refresh: RefreshToken = login.refresh_token().ok_or("no refresh token")?.clone();
    while refreshes < 3 {
        let answer = match client.exchange_refresh_token(&refresh).request(&http) {
            Err(RequestTokenError::Request(_)) => {
                lost += 1;
                client.exchange_refresh_token(&refresh).request(&http)?
            }
            other => other?,
        };
        let next = answer.refresh_token().ok_or("no refresh token")?.clone();
        if next.secret() == refresh.secret() {
            return Err("the refresh token did not change".into());
        }
        access = answer.access_token().clone();
        refresh = next;
        refreshes += 1;
    }
    tokens["refresh_token"] = json!(access.secret());

    if !secret.is_empty() {
        // One of its audiences, by name; another is refused, also by name.
        let own = |resource: String| client.exchange_client_credentials().add_extra_param("resource", resource).request(&http);
        tokens["client_credentials"] = json!(own(asked("audience"))?.access_token().secret());
        if refusal(own(asked("resource")))? != "invalid_target" {
            return Err("a foreign resource was not refused".into());
        }
        if !client.introspect(&access).request(&http)?.active() {
            return Err("the access token is not active".into());
        }
        did.extend(["client_credentials", "resource", "introspection"]);
    }
    client.revoke_token(StandardRevocableToken::from(refresh.clone()))?.request(&http)?;
    if !secret.is_empty() && client.introspect(&access).request(&http)?.active() {
        return Err("the access token is active after the revocation".into());
    }

    let mut again = client.exchange_refresh_token(&refresh).request(&http);
    if matches!(again, Err(RequestTokenError::Request(_))) {
        lost += 1;
        again = client.exchange_refresh_token(&refresh).request(&http);
    }
    let told = json!({"tokens": tokens, "refreshes": refreshes, "lost": lost, "refused": refusal(again)?, "did": did});
    println!("{told}");
    Ok(())
}
