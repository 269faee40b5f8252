"""Signs with requests-oauthlib and Authlib, sends through Envoy, and prints the response to each request.

Reads its parameters as JSON from the first argument, and prints a JSON list.
"""

import json
import sys

from authlib.integrations.requests_client import OAuth1Session as AuthlibSession
from oauthlib.oauth1 import (
    SIGNATURE_HMAC_SHA256,
    SIGNATURE_HMAC_SHA512,
    SIGNATURE_RSA_SHA1,
    SIGNATURE_RSA_SHA256,
    SIGNATURE_RSA_SHA512,
    SIGNATURE_TYPE_BODY,
    SIGNATURE_TYPE_QUERY,
)
from requests_oauthlib import OAuth1Session

GIVEN = json.loads(sys.argv[1])
URL = GIVEN["url"]
QUERY = {"q": "caffè latte & more", "page": "1", "empty": "", "sum": "1+1=2"}
FORM = {"title": "Übergröße +1", "tags": ["a b", "a%20b"], "empty": ""}


def main():
    json.dump([outcome(*request) for request in [*requests_oauthlib(), *authlib()]], sys.stdout)


def requests_oauthlib():
    """Returns a request for every place and method of requests-oauthlib."""

    def session(**options):
        return OAuth1Session(
            GIVEN["consumer_key"],
            client_secret=GIVEN["consumer_secret"],
            resource_owner_key=GIVEN["token"],
            resource_owner_secret=GIVEN["token_secret"],
            **options,
        )

    def rsa(method):
        return OAuth1Session(GIVEN["rsa_consumer_key"], signature_method=method, rsa_key=GIVEN["rsa_key"])

    name = "requests-oauthlib"
    yield name, "header, query", lambda: session().get(f"{URL}/photos", params=QUERY)
    yield name, "header, form", lambda: session().post(f"{URL}/photos?size=original", data=FORM)
    yield name, "header, JSON", lambda: session().put(f"{URL}/photos/1", json={"title": "Ü!"})
    yield name, "header, nothing", lambda: session().delete(f"{URL}/")
    yield name, "query", lambda: session(signature_type=SIGNATURE_TYPE_QUERY).get(f"{URL}/photos", params=QUERY)
    yield name, "body", lambda: session(signature_type=SIGNATURE_TYPE_BODY).post(f"{URL}/photos", data=FORM)
    for method in (SIGNATURE_HMAC_SHA256, SIGNATURE_HMAC_SHA512):
        yield name, method, lambda method=method: session(signature_method=method).post(f"{URL}/photos", data=FORM)
    for method in (SIGNATURE_RSA_SHA1, SIGNATURE_RSA_SHA256, SIGNATURE_RSA_SHA512):
        yield name, method, lambda method=method: rsa(method).get(f"{URL}/photos", params=QUERY)


def authlib():
    """Returns a request for every place of Authlib."""

    def session(**options):
        return AuthlibSession(
            GIVEN["consumer_key"],
            GIVEN["consumer_secret"],
            token=GIVEN["token"],
            token_secret=GIVEN["token_secret"],
            **options,
        )

    def rsa():
        return AuthlibSession(GIVEN["rsa_consumer_key"], signature_method="RSA-SHA1", rsa_key=GIVEN["rsa_key"])

    name = "Authlib"
    yield name, "header, query", lambda: session().get(f"{URL}/photos", params=QUERY)
    yield name, "header, form", lambda: session().post(f"{URL}/photos?size=original", data=FORM)
    yield name, "header, nothing", lambda: session().delete(f"{URL}/")
    yield name, "query", lambda: session(signature_type="QUERY").get(f"{URL}/photos", params=QUERY)
    yield name, "body", lambda: session(signature_type="BODY").post(f"{URL}/photos", data=FORM)
    yield name, "RSA-SHA1", lambda: rsa().get(f"{URL}/photos", params=QUERY)


def outcome(client, request, send):
    response = send()
    return {"client": client, "request": request, "status": response.status_code, "body": response.text}


if __name__ == "__main__":
    main()
