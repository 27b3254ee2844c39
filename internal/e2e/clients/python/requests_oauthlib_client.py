"""Uses a Keyturn server with requests-oauthlib, from the issuer's URL alone. The
first answer to each refresh is lost on the way. Reads what to do from standard
input and prints the tokens that it got. The library has no private_key_jwt and
no introspection."""

import json
import sys

import requests
from oauthlib.oauth2 import BackendApplicationClient, InvalidGrantError, LegacyApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session


def main():
    ask = json.load(sys.stdin)
    server = requests.get(ask["issuer"] + "/.well-known/oauth-authorization-server", timeout=10).json()
    endpoint = server["token_endpoint"]
    secret = ask["client_secret"]
    # A public client names itself in the body, a confidential one in the header.
    by = {"auth": HTTPBasicAuth(ask["client_id"], secret)} if secret else {}
    named = {} if secret else {"client_id": ask["client_id"]}
    client = OAuth2Session(client=LegacyApplicationClient(ask["client_id"]))
    lost = 0

    def refresh(token):
        nonlocal lost
        try:
            return client.refresh_token(endpoint, refresh_token=token, **by, **named)
        except requests.ConnectionError:
            lost += 1
            return client.refresh_token(endpoint, refresh_token=token, **by, **named)

    login = client.fetch_token(
        endpoint,
        username=ask["username"],
        password=ask["password"],
        include_client_id=not secret,
        **by,
    )
    tokens = {"password": login["access_token"]}
    refreshed, spent = login, {login["refresh_token"]}
    for _ in range(3):
        refreshed = refresh(refreshed["refresh_token"])
        assert refreshed["refresh_token"] not in spent, "the refresh token did not change"
        spent.add(refreshed["refresh_token"])
    tokens["refresh_token"] = refreshed["access_token"]
    if secret:
        own = OAuth2Session(client=BackendApplicationClient(ask["client_id"]))
        # One of its audiences, by name; another is refused, also by name.
        tokens["client_credentials"] = own.fetch_token(endpoint, resource=ask["audience"], **by)["access_token"]
        try:
            own.fetch_token(endpoint, resource=ask["resource"], **by)
            raise AssertionError("a foreign resource was not refused")
        except OAuth2Error as error:
            assert error.error == "invalid_target", error

    url, headers, body = client._client.prepare_token_revocation_request(
        server["revocation_endpoint"], refreshed["refresh_token"], **named
    )
    requests.post(url, headers=headers, data=body, timeout=10, **by).raise_for_status()

    try:
        refresh(refreshed["refresh_token"])
        refused = "nothing"
    except InvalidGrantError as error:
        refused = error.error
    did = [*tokens, "revocation"] + (["resource"] if secret else [])
    json.dump(
        {"tokens": tokens, "refreshes": len(spent) - 1, "lost": lost, "refused": refused, "did": did}, sys.stdout
    )


if __name__ == "__main__":
    main()
