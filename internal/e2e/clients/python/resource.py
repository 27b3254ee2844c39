"""Two resource servers on FastAPI that accept the access tokens of one issuer:
with PyJWT, as FastAPI's tutorial has it, and with Authlib."""

import os
import time

import jwt
import requests
import uvicorn
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
ALGS = os.environ["ALGS"].split()
CACHE = os.environ.get("CACHE_SECONDS")
LEEWAY = 30
JWKS = ISSUER + "/.well-known/jwks.json"

app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl=ISSUER + "/oauth/token")
keys = jwt.PyJWKClient(JWKS, lifespan=int(CACHE)) if CACHE else jwt.PyJWKClient(JWKS)


def refused(reason):
    return HTTPException(401, str(reason), {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def by_pyjwt(token: str = Depends(bearer)):
    try:
        key = keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key.key, algorithms=ALGS, issuer=ISSUER, audience=AUDIENCE, leeway=LEEWAY)
    except jwt.PyJWTError as error:
        raise refused(error)
    if jwt.get_unverified_header(token).get("typ") != "at+jwt" or "cnf" in claims:
        raise refused("no access token, or bound to a key")
    return claims


@app.get("/pyjwt-fastapi")
def pyjwt_fastapi(claims: dict = Depends(by_pyjwt)):
    return claims["sub"]


class KeySet:
    """Authlib brings no cache of its own: a resource server fetches the set. This
    one keeps it for five minutes and looks again for a key that is not there."""

    def __init__(self, life):
        self.life, self.keys, self.fetched = life, None, 0

    def fetch(self):
        self.keys = JsonWebKey.import_key_set(requests.get(JWKS, timeout=5).json())
        self.fetched = time.monotonic()

    def find(self, header, payload):
        if self.keys is None or time.monotonic() - self.fetched > self.life:
            self.fetch()
        try:
            return self.keys.find_by_kid(header["kid"])
        except ValueError:
            self.fetch()
            return self.keys.find_by_kid(header["kid"])


key_set = KeySet(int(CACHE or 300))
verifier = JsonWebToken(ALGS)


def by_authlib(token: str = Depends(bearer)):
    try:
        claims = verifier.decode(
            token,
            key_set.find,
            claims_options={"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": AUDIENCE}},
        )
        claims.validate(leeway=LEEWAY)
    except (JoseError, ValueError) as error:
        raise refused(error)
    if claims.header.get("typ") != "at+jwt" or "cnf" in claims:
        raise refused("no access token, or bound to a key")
    return claims


@app.get("/authlib-fastapi")
def authlib_fastapi(claims: dict = Depends(by_authlib)):
    return claims["sub"]


if __name__ == "__main__":
    host, port = os.environ["LISTEN"].split(":")
    uvicorn.run(app, host=host, port=int(port), log_level="warning")
