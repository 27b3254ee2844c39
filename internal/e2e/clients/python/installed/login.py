"""An application in Flask whose users log in with Authlib, from the issuer's URL alone.
It refreshes whenever its page is asked for, but for /?still."""

import os
from urllib.parse import urlencode

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, abort, redirect, request, session
from joserfc import jwt
from joserfc.jwk import KeySet

ISSUER, BASE = os.environ["ISSUER"], os.environ["URL"]
app = Flask(__name__)
app.secret_key = os.environ["CLIENT_SECRET"]
keyturn = OAuth(app).register(
    "keyturn",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=ISSUER + "/.well-known/openid-configuration",
    client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256"},
)
# What a cookie has no room for, by the session of the server, which logout tokens name.
users = {}


def keep(sid, token):
    users[sid] = {"refresh": token["refresh_token"], "id": token["id_token"], "email": token["userinfo"]["email"]}


@app.get("/")
def home():
    user = users.get(session.get("sid"))
    if user is None:
        return keyturn.authorize_redirect(os.environ["CALLBACK"])
    if request.query_string == b"still":
        return "welcome"
    try:
        token = keyturn.fetch_access_token(grant_type="refresh_token", refresh_token=user["refresh"])
    except OAuthError:
        users.pop(session["sid"], None)
        return keyturn.authorize_redirect(os.environ["CALLBACK"])
    token["userinfo"] = keyturn.parse_id_token(token, nonce=None)
    keep(session["sid"], token)
    if user["email"] != os.environ["EMAIL"]:
        abort(403)
    return "welcome"


@app.get("/callback")
def callback():
    token = keyturn.authorize_access_token()
    session["sid"] = token["userinfo"]["sid"]
    keep(session["sid"], token)
    return redirect("/")


@app.get("/logout")
def logout():
    user = users.pop(session.pop("sid"))
    query = urlencode({"id_token_hint": user["id"], "post_logout_redirect_uri": BASE + "/bye"})
    return redirect(keyturn.load_server_metadata()["end_session_endpoint"] + "?" + query)


@app.post("/ended")
def ended():
    algorithms = keyturn.load_server_metadata()["id_token_signing_alg_values_supported"]
    keys = KeySet.import_key_set(keyturn.fetch_jwk_set(force=True))
    token = jwt.decode(request.form["logout_token"], keys, algorithms=algorithms)
    rules = {"iss": ISSUER, "aud": os.environ["CLIENT_ID"]}
    jwt.JWTClaimsRegistry(**{name: {"essential": True, "value": value} for name, value in rules.items()}).validate(token.claims)
    if "http://schemas.openid.net/event/backchannel-logout" not in token.claims["events"] or "nonce" in token.claims:
        abort(400)
    users.pop(token.claims["sid"], None)
    return ""


@app.get("/bye")
def bye():
    return ""


if __name__ == "__main__":
    host, port = os.environ["LISTEN"].split(":")
    app.run(host, int(port))
