"""Resource servers that accept the access tokens of one issuer, with the libraries
of requirements.txt, behind one port. Where a library brings no cache, KeySet is it."""

import json
import os
import time

import django
import jwt
import requests
from a2wsgi import ASGIMiddleware
from authlib.jose import JsonWebKey, JsonWebToken
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from flask import Flask
from flask_jwt_extended import JWTManager, jwt_required
from jose import jwt as python_jose
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet as JoserfcKeys
from josepy import jwk as josepy_jwk
from josepy import jws as josepy_jws
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt
from werkzeug.serving import WSGIRequestHandler, run_simple

ISSUER, AUDIENCE = os.environ["ISSUER"], os.environ["AUDIENCE"]
ALGS = os.environ["ALGS"].split()
JWKS = ISSUER + "/.well-known/jwks.json"


class Refused(Exception):
    """A token that is not accepted."""


class KeySet:
    """The key set, for five minutes; it is fetched again for a key that is not there."""

    def __init__(self):
        self.keys, self.fetched = None, 0

    def fetch(self):
        self.keys = requests.get(JWKS, timeout=5).json()["keys"]
        self.fetched = time.monotonic()

    def find(self, kid):
        for fetched_now in (False, True):
            if fetched_now or self.keys is None or time.monotonic() - self.fetched > 300:
                self.fetch()
            for key in self.keys:
                if key["kid"] == kid:
                    return key
        raise Refused("no such key")


def bearers(header, claims):
    """Returns the claims of an access token that is bound to no key."""
    if header.get("typ") != "at+jwt" or "cnf" in claims:
        raise Refused("no access token, or bound to a key")
    return claims


def claimed(claims):
    """What a library leaves to the program."""
    audience = claims["aud"]
    if claims["iss"] != ISSUER or AUDIENCE not in ([audience] if isinstance(audience, str) else audience):
        raise Refused("for somebody else")
    if time.time() >= claims["exp"]:
        raise Refused("expired")


def header_of(token):
    return jwt.get_unverified_header(token)


def with_authlib():
    keys, verifier = KeySet(), JsonWebToken(ALGS)

    def check(token):
        claims = verifier.decode(
            token,
            lambda header, payload: JsonWebKey.import_key(keys.find(header["kid"])),
            claims_options={"iss": {"essential": True, "value": ISSUER}, "aud": {"essential": True, "value": AUDIENCE}},
        )
        claims.validate()
        bearers(claims.header, claims)

    return check


def with_joserfc():
    keys = KeySet()
    wanted = joserfc_jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE}, exp={"essential": True})

    def check(token):
        key = JoserfcKeys.import_key_set({"keys": [keys.find(header_of(token)["kid"])]})
        decoded = joserfc_jwt.decode(token, key, algorithms=ALGS)
        wanted.validate(decoded.claims)
        bearers(decoded.header, decoded.claims)

    return check


def with_python_jose():
    keys = KeySet()

    def check(token):
        header = header_of(token)
        bearers(header, python_jose.decode(token, keys.find(header["kid"]), algorithms=ALGS, audience=AUDIENCE, issuer=ISSUER))

    return check


def with_jwcrypto():
    keys = KeySet()

    def check(token):
        header = header_of(token)
        key = jwcrypto_jwk.JWK(**keys.find(header["kid"]))
        verified = jwcrypto_jwt.JWT(jwt=token, key=key, algs=ALGS, expected_type="JWS", check_claims={"iss": ISSUER, "exp": None})
        claimed(bearers(header, json.loads(verified.claims)))

    return check


def with_josepy():
    """It knows the signature alone."""
    keys = KeySet()

    def check(token):
        header = header_of(token)
        if header["alg"] not in ALGS:
            raise Refused("the algorithm")
        key = josepy_jwk.JWK.from_json(keys.find(header["kid"]))
        signed = josepy_jws.JWS.from_compact(token.encode())
        if not signed.verify(key):
            raise Refused("the signature")
        claimed(bearers(header, json.loads(signed.payload)))

    return check


def fastapi_app():
    app, keys = FastAPI(), jwt.PyJWKClient(JWKS)
    bearer = OAuth2PasswordBearer(tokenUrl=ISSUER + "/oauth/token")

    def claims(token: str = Depends(bearer)):
        try:
            key = keys.get_signing_key_from_jwt(token)
            return bearers(header_of(token), jwt.decode(token, key, algorithms=ALGS, issuer=ISSUER, audience=AUDIENCE))
        except (jwt.PyJWTError, Refused) as error:
            raise HTTPException(401, str(error))

    @app.get("/pyjwt")
    def welcome(claims: dict = Depends(claims)):
        return claims["sub"]

    return ASGIMiddleware(app)


def flask_app():
    app, keys = Flask("flask"), jwt.PyJWKClient(JWKS)
    app.config.update(JWT_DECODE_ALGORITHMS=ALGS, JWT_ALGORITHM=ALGS[0], JWT_DECODE_ISSUER=ISSUER, JWT_DECODE_AUDIENCE=AUDIENCE)
    manager = JWTManager(app)

    @manager.decode_key_loader
    def key_of(header, claims):
        try:
            return keys.get_signing_key(header["kid"]).key
        except jwt.PyJWTError as error:
            raise jwt.InvalidTokenError(str(error))

    @manager.invalid_token_loader
    def refused(reason):
        return reason, 401

    @manager.token_verification_loader
    def is_bearers(header, claims):
        return header["typ"] == "at+jwt" and "cnf" not in claims

    @manager.token_verification_failed_loader
    def not_bearers(header, claims):
        return "no access token, or bound to a key", 401

    @app.get("/flask-jwt-extended")
    @jwt_required()
    def welcome():
        return "welcome"

    return app


def django_app():
    """simplejwt takes one algorithm, and tokens without a token_type if told."""
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="not used",
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
        REST_FRAMEWORK={
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        },
        SIMPLE_JWT={
            "ALGORITHM": "RS256", "JWK_URL": JWKS, "ISSUER": ISSUER, "AUDIENCE": AUDIENCE, "USER_ID_CLAIM": "sub", "TOKEN_TYPE_CLAIM": None,
        },
    )
    django.setup()
    from rest_framework.decorators import api_view, authentication_classes
    from rest_framework.response import Response
    from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication
    from rest_framework_simplejwt.exceptions import InvalidToken

    class Bearers(JWTStatelessUserAuthentication):
        def get_validated_token(self, raw_token):
            token = super().get_validated_token(raw_token)
            try:
                return bearers(header_of(raw_token), token)
            except Refused as error:
                raise InvalidToken(str(error))

    @api_view(["GET"])
    @authentication_classes([Bearers])
    def welcome(request):
        return Response("welcome")

    urlpatterns.append(path("drf-simplejwt", welcome))
    return get_wsgi_application()


urlpatterns = []


def plain(check):
    """A resource server around a check that raises where a token is not accepted."""

    def app(environ, start_response):
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        status, text = "200 OK", "welcome"
        try:
            if scheme != "Bearer":
                raise Refused("no token")
            check(token)
        except requests.RequestException as error:
            status, text = "503 Service Unavailable", str(error)
        except Exception as error:  # each library has errors of its own
            status, text = "401 Unauthorized", f"{type(error).__name__}: {error}"
        start_response(status, [("Content-Type", "text/plain")])
        return [text.encode()]

    return app


APPS = {
    "/pyjwt": fastapi_app, "/flask-jwt-extended": flask_app, "/drf-simplejwt": django_app,
    "/authlib": lambda: plain(with_authlib()), "/joserfc": lambda: plain(with_joserfc()), "/python-jose": lambda: plain(with_python_jose()),
    "/jwcrypto": lambda: plain(with_jwcrypto()), "/josepy": lambda: plain(with_josepy()),
}


class Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass


if __name__ == "__main__":
    only = os.environ.get("ONLY")
    apps = {name: make() for name, make in APPS.items() if not only or name == "/" + only}
    nothing = plain(lambda token: None)

    def serve(environ, start_response):
        return apps.get(environ["PATH_INFO"], nothing)(environ, start_response)

    host, port = os.environ["LISTEN"].split(":")
    run_simple(host, int(port), serve, threaded=True, request_handler=Quiet)
