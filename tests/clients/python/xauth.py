"""xAuth with the unmodified client of a service that offers it, and with sessions of requests-oauthlib and Authlib.

Reads its parameters as JSON from the first argument, and prints a JSON list of the results.
"""

import json
import sys

import instapyper.client
from authlib.integrations.requests_client import OAuth1Session as AuthlibSession
from instapyper import Instapaper
from requests_oauthlib import OAuth1Session

GIVEN = json.loads(sys.argv[1])
URL = GIVEN["url"]
CONSUMER = (GIVEN["consumer_key"], GIVEN["consumer_secret"])
FORM = {"x_auth_mode": "client_auth", "x_auth_username": GIVEN["username"], "x_auth_password": GIVEN["password"]}


def main():
    json.dump([instapaper(), requests_oauthlib(), requests_oauthlib_json(), authlib()], sys.stdout)


def instapaper():
    """Logs in with Instapaper's client. It prefixes paths with a version; the host serves as the version here."""
    scheme, instapyper.client.API_VERSION = URL.split("//")
    instapyper.client.BASE_URL = f"{scheme}/"
    client = Instapaper(*CONSUMER)
    try:
        client.login(GIVEN["username"], GIVEN["password"])
    except Exception as error:  # The upstream is not Instapaper, so the client cannot parse the response after the log-in.
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    session = OAuth1Session(*CONSUMER, client.oauth_token, client.oauth_token_secret)
    return outcome("instapyper", session, {})


def requests_oauthlib():
    session = OAuth1Session(*CONSUMER)
    return outcome("requests-oauthlib", session, session._fetch_token(f"{URL}/oauth/access_token", data=FORM))


def requests_oauthlib_json():
    response = OAuth1Session(*CONSUMER).post(
        f"{URL}/oauth/access_token", data=FORM, headers={"Accept": "application/json"}
    )
    token = response.json()
    session = OAuth1Session(*CONSUMER, token["oauth_token"], token["oauth_token_secret"])
    return outcome("requests-oauthlib, JSON", session, token)


def authlib():
    session = AuthlibSession(*CONSUMER)
    response = session.post(f"{URL}/oauth/access_token", data=FORM)
    token = session.parse_response_token(response.status_code, response.text)
    session.token = token
    return outcome("Authlib", session, token)


def outcome(client, session, token):
    response = session.get(f"{URL}/mine")
    return {"client": client, "token": token, "status": response.status_code, "body": response.text}


if __name__ == "__main__":
    main()
