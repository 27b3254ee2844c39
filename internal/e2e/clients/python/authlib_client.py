"""Uses a Keyturn server with Authlib, from the issuer's URL alone. The first
answer to each refresh is lost on the way. Reads what to do from standard input
and prints the tokens that it got."""

import json
import sys

import jwt
import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT


def main():
    ask = json.load(sys.stdin)
    server = requests.get(ask["issuer"] + "/.well-known/openid-configuration", timeout=10).json()
    endpoint = server["token_endpoint"]
    secret = ask["client_secret"] or None
    client = OAuth2Session(
        ask["client_id"], secret, token_endpoint_auth_method="client_secret_basic" if secret else "none"
    )
    lost = 0

    def refresh(token):
        nonlocal lost
        try:
            return client.refresh_token(endpoint, refresh_token=token)
        except requests.ConnectionError:
            lost += 1
            return client.refresh_token(endpoint, refresh_token=token)

    login = client.fetch_token(
        endpoint, grant_type="password", username=ask["username"], password=ask["password"]
    )
    tokens = {"password": login["access_token"]}
    refreshed, spent = login, {login["refresh_token"]}
    for _ in range(3):
        refreshed = refresh(refreshed["refresh_token"])
        assert refreshed["refresh_token"] not in spent, "the refresh token did not change"
        spent.add(refreshed["refresh_token"])
    tokens["refresh_token"] = refreshed["access_token"]

    def active(session, token):
        return session.introspect_token(server["introspection_endpoint"], token=token).json()["active"]

    if secret:
        own = OAuth2Session(ask["client_id"], secret)
        tokens["client_credentials"] = own.fetch_token(endpoint, grant_type="client_credentials")["access_token"]
        assert active(client, refreshed["access_token"])
    client.revoke_token(server["revocation_endpoint"], token=refreshed["refresh_token"]).raise_for_status()
    if secret:
        assert not active(client, refreshed["access_token"])

    keyed = OAuth2Session(
        ask["keyed_id"],
        ask["private_keys"]["RS256"],
        token_endpoint_auth_method="private_key_jwt",
        revocation_endpoint_auth_method="private_key_jwt",  # and for introspection
    )
    keyed.register_client_auth_method(PrivateKeyJWT(endpoint))
    own = keyed.fetch_token(endpoint, grant_type="client_credentials", resource=ask["resource"])["access_token"]
    assert active(keyed, own)
    keyed.revoke_token(server["revocation_endpoint"], token=own).raise_for_status()
    assert not active(keyed, own)

    try:
        refresh(refreshed["refresh_token"])
        refused = "nothing"
    except OAuthError as error:
        refused = error.error
    json.dump(
        {
            "tokens": tokens,
            "keyed": jwt.decode(own, options={"verify_signature": False}),
            "refreshes": len(spent) - 1,
            "lost": lost,
            "refused": refused,
            "did": [*tokens, "private_key_jwt", "resource", "introspection", "revocation"],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
