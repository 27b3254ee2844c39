"""Verifies access tokens as a resource server in Python does: PyJWT finds the
keys from the issuer's URL alone. Reads what to do from standard input and
prints the claims of each token."""

import json
import sys
import urllib.request

import jwt


def main():
    ask = json.load(sys.stdin)
    url = ask["issuer"] + "/.well-known/oauth-authorization-server"
    with urllib.request.urlopen(url, timeout=10) as answer:
        metadata = json.load(answer)
    keys = jwt.PyJWKClient(metadata["jwks_uri"])
    claims = {}
    for name, token in ask["tokens"].items():
        key = keys.get_signing_key_from_jwt(token)
        claims[name] = jwt.decode(
            token,
            key.key,
            algorithms=[ask["alg"]],
            issuer=metadata["issuer"],
            audience=ask["audience"],
            options={"require": ["exp", "iat", "iss", "aud", "sub", "jti"]},
        )
    json.dump({"pyjwt": claims}, sys.stdout)


if __name__ == "__main__":
    main()
