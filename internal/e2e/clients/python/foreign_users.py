"""Makes accounts as other systems keep them, with those systems' own tools.

Reads {"dir": ...} and writes into that directory fastapi.csv, the user table of
a FastAPI application that hashes with passlib, and accounts.jsonl, one account
for each kind of hash that passlib, bcrypt, Django, Werkzeug, PHP, OpenSSL and
htpasswd make. Django 4.0 and Werkzeug 2.3 also make scrypt hashes; where those here are older, hashlib
makes them in the same forms. Prints the accounts with their passwords.

The FastAPI application hashes at passlib's own cost; the others at low ones,
since every refused login costs as much as the costliest of all kinds together.
"""

import base64
import csv
import hashlib
import json
import os
import sqlite3
import subprocess
import sys

import bcrypt
import django
from django.conf import settings
from passlib.context import CryptContext
from passlib.hash import (
    argon2,
    bcrypt_sha256,
    django_salted_sha1,
    hex_md5,
    ldap_bcrypt,
    ldap_salted_md5,
    ldap_salted_sha1,
    ldap_salted_sha512,
    ldap_sha1,
    ldap_sha512_crypt,
    pbkdf2_sha1,
    pbkdf2_sha256,
    pbkdf2_sha512,
    phpass,
    scrypt,
)
from werkzeug.security import generate_password_hash

where = json.load(sys.stdin)["dir"]
made = []


def account(email, password, scheme):
    made.append({"email": email, "password": password, "scheme": scheme})
    return password


# The table and the context of FastAPI's own tutorial and project template.
context = CryptContext(schemes=["bcrypt"], deprecated="auto")
db = sqlite3.connect(":memory:")
db.execute(
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, full_name TEXT,"
    " hashed_password TEXT, is_active BOOLEAN)"
)
for n, active in ((1, True), (2, False)):
    email = f"fastapi{n}@example.com"
    password = account(email, f"fastapi und Gänseblümchen {n}", "bcrypt" if active else "disabled")
    db.execute(
        "INSERT INTO users VALUES (?,?,?,?,?)",
        (n, email, "Grace Hopper", context.hash(password), active),
    )
rows = db.execute(
    "SELECT id AS uid, email, full_name AS first_name, hashed_password AS password_hash,"
    " NOT is_active AS disabled FROM users"
)
with open(os.path.join(where, "fastapi.csv"), "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(column[0] for column in rows.description)
    out.writerows(rows)

settings.configure(
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.Argon2PasswordHasher",
        "django.contrib.auth.hashers.BCryptPasswordHasher",
        "django.contrib.auth.hashers.BCryptSHA256PasswordHasher",
    ]
)
django.setup()
from django.contrib.auth import hashers as of_django  # noqa: E402

of_django.PBKDF2PasswordHasher.iterations = 20_000
of_django.Argon2PasswordHasher.memory_cost = 8192
of_django.BCryptSHA256PasswordHasher.rounds = 5
make_password = of_django.make_password

SALT = "q7Hd0sPzTnUv1XbR"


def scrypt_of(password, n):
    return hashlib.scrypt(password.encode(), salt=SALT.encode(), n=n, r=8, p=1, maxmem=132 * n * 8, dklen=64)


def php(code, password):
    """Runs code of PHP, which finds the password in $argv[1]."""
    return run("php", "-r", code, "--", password)


def run(*args, stdin=None):
    return subprocess.run(args, input=stdin, check=True, capture_output=True, text=True).stdout.strip()


def htpasswd(password, *how):
    return run("htpasswd", "-n", "-b", *how, "u", password).split(":", 1)[1]


WORDPRESS = (
    "echo '$wp' . password_hash(base64_encode(hash_hmac('sha384', trim($argv[1]), 'wp-sha384', true)),"
    " PASSWORD_BCRYPT, ['cost' => 5]);"
)

hashers = {
    "passlib-argon2id": lambda p: argon2.using(type="ID", memory_cost=4096, rounds=2).hash(p),
    "passlib-argon2i": lambda p: argon2.using(type="I", memory_cost=4096, rounds=3).hash(p),
    "passlib-scrypt": lambda p: scrypt.using(rounds=12).hash(p),
    "passlib-pbkdf2-sha256": lambda p: pbkdf2_sha256.hash(p),
    "passlib-pbkdf2-sha512": lambda p: pbkdf2_sha512.hash(p),
    "bcrypt-2b": lambda p: bcrypt.hashpw(p.encode(), bcrypt.gensalt(5)).decode(),
    "bcrypt-2a": lambda p: bcrypt.hashpw(p.encode(), bcrypt.gensalt(5, b"2a")).decode(),
    "django-pbkdf2": lambda p: make_password(p),
    "django-argon2": lambda p: make_password(p, hasher="argon2"),
    "django-bcrypt": lambda p: make_password(p, hasher="bcrypt"),
    "passlib-bcrypt-sha256": lambda p: bcrypt_sha256.using(rounds=5).hash(p),
    "passlib-bcrypt-sha256-v1": lambda p: bcrypt_sha256.using(rounds=5, version=1).hash(p),
    "django-bcrypt-sha256": lambda p: make_password(p, hasher="bcrypt_sha256"),
    "django-scrypt": lambda p: f"scrypt$4096${SALT}$8$1${base64.b64encode(scrypt_of(p, 4096)).decode()}",
    "werkzeug-pbkdf2": lambda p: generate_password_hash(p, "pbkdf2:sha256:20000"),
    "werkzeug-pbkdf2-sha512": lambda p: generate_password_hash(p, "pbkdf2:sha512:2000"),
    "passlib-pbkdf2-sha1": lambda p: pbkdf2_sha1.using(rounds=2000).hash(p),
    "passlib-ldap-bcrypt": lambda p: ldap_bcrypt.using(rounds=5).hash(p),
    "passlib-ldap-sha512crypt": lambda p: ldap_sha512_crypt.using(rounds=2000).hash(p),
    "passlib-ssha": lambda p: ldap_salted_sha1.hash(p),
    "passlib-ssha512": lambda p: ldap_salted_sha512.hash(p),
    "passlib-smd5": lambda p: ldap_salted_md5.hash(p),
    "passlib-sha": lambda p: ldap_sha1.hash(p),
    "passlib-md5": lambda p: hex_md5.hash(p),
    "passlib-phpass": lambda p: phpass.using(rounds=8).hash(p),
    "django-salted-sha1": lambda p: django_salted_sha1.hash(p),
    "php-argon2id": lambda p: php(
        "echo password_hash($argv[1], PASSWORD_ARGON2ID, ['memory_cost' => 4096, 'time_cost' => 2, 'threads' => 1]);", p
    ),
    "php-bcrypt": lambda p: php("echo password_hash($argv[1], PASSWORD_BCRYPT, ['cost' => 5]);", p),
    "php-wordpress": lambda p: php(WORDPRESS, p),
    "openssl-sha256crypt": lambda p: run("openssl", "passwd", "-5", "-stdin", stdin=p),
    "openssl-sha512crypt": lambda p: run("openssl", "passwd", "-6", "-stdin", stdin=p),
    "openssl-md5crypt": lambda p: run("openssl", "passwd", "-1", "-stdin", stdin=p),
    "htpasswd-apr1": lambda p: htpasswd(p, "-m"),
    "htpasswd-bcrypt": lambda p: htpasswd(p, "-B", "-C", "5"),
    "werkzeug-scrypt": lambda p: f"scrypt:4096:8:1${SALT}${scrypt_of(p, 4096).hex()}",
}
with open(os.path.join(where, "accounts.jsonl"), "w") as f:
    for n, (name, make) in enumerate(hashers.items()):
        email = f"{name}@example.com"
        password = account(email, f"la niña y el jabalí, {name}", name)
        print(json.dumps({"email": email, "password_hash": make(password)}), file=f)

json.dump({"accounts": made}, sys.stdout)
