"""The three-legged flow with requests-oauthlib's and Authlib's own sessions, unmodified, ending with a signed request.

Reads its parameters as JSON from the first argument, and prints a JSON list with the results of each flow. The user consents
once on the operator's own site (AuthorizeRequestToken over gRPC), and once on the authorize page.
"""

import json
import re
import sys
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

import grpc
import requests
from authlib.integrations.requests_client import OAuth1Session as AuthlibSession
from requests_oauthlib import OAuth1Session

GIVEN = json.loads(sys.argv[1])
URL = GIVEN["url"]
REQUEST_TOKEN = f"{URL}/oauth/request_token"
AUTHORIZE = f"{URL}/oauth/authorize"
ACCESS_TOKEN = f"{URL}/oauth/access_token"
CALLBACK = GIVEN["callback"]
CONSUMER = (GIVEN["consumer_key"], GIVEN["consumer_secret"])


def main():
    outcomes = []
    for allow in (on_the_operators_site, on_the_page):
        for flow in (requests_oauthlib, authlib, requests_oauthlib_out_of_band, authlib_out_of_band):
            outcomes.append({"flow": flow.__name__, "allowed": allow.__name__, **flow(allow)})
    json.dump(outcomes, sys.stdout)


def requests_oauthlib(allow):
    session = OAuth1Session(*CONSUMER, callback_uri=CALLBACK)
    session.fetch_request_token(REQUEST_TOKEN)
    session.parse_authorization_response(allow(session.authorization_url(AUTHORIZE))["redirect"])
    return outcome(session, session.fetch_access_token(ACCESS_TOKEN))


def requests_oauthlib_out_of_band(allow):
    session = OAuth1Session(*CONSUMER, callback_uri="oob")
    session.fetch_request_token(REQUEST_TOKEN)
    verifier = allow(session.authorization_url(AUTHORIZE))["verifier"]
    return outcome(session, session.fetch_access_token(ACCESS_TOKEN, verifier=verifier))


def authlib(allow):
    session = AuthlibSession(*CONSUMER, redirect_uri=CALLBACK)
    session.fetch_request_token(REQUEST_TOKEN)
    session.parse_authorization_response(allow(session.create_authorization_url(AUTHORIZE))["redirect"])
    return outcome(session, session.fetch_access_token(ACCESS_TOKEN))


def authlib_out_of_band(allow):
    session = AuthlibSession(*CONSUMER, redirect_uri="oob")
    session.fetch_request_token(REQUEST_TOKEN)
    verifier = allow(session.create_authorization_url(AUTHORIZE))["verifier"]
    return outcome(session, session.fetch_access_token(ACCESS_TOKEN, verifier=verifier))


def outcome(session, token):
    response = session.get(f"{URL}/mine", params={"q": "caffè latte"})
    named = {"user_id": token["user_id"], "screen_name": token["screen_name"]}
    return {**named, "status": response.status_code, "body": response.text}


def on_the_operators_site(address):
    """Authorizes the request token, as an operator's own site does after its user consents."""
    sys.path.insert(0, GIVEN["protos"])
    messages, services = grpc.protos_and_services("countersign/v1/token.proto")
    [token] = parse_qs(urlsplit(address).query)["oauth_token"]
    with grpc.insecure_channel(GIVEN["api"]) as channel:
        request = messages.AuthorizeRequestTokenRequest(token=token, user_id="u-jane", screen_name="jane")
        metadata = [("authorization", f"Bearer {GIVEN['admin_token']}")]
        allowed = services.TokenServiceStub(channel).AuthorizeRequestToken(request, metadata=metadata)
    return {"redirect": allowed.redirect_url, "verifier": allowed.verifier}


def on_the_page(address):
    """Authorizes on the page like a browser without scripts: submits its forms and follows the last redirect."""
    browser = requests.Session()
    page = browser.get(address)
    page = press("log-in", browser, page, {"username": GIVEN["username"], "password": GIVEN["password"]})
    page = browser.get(urljoin(page.url, page.headers["location"]))
    left = press("allow", browser, page, {})
    pin = re.search(r'<span class="spoken">([\d ]+)</span>', left.text)
    if not left.is_redirect and not pin:
        sys.exit(f"neither sent away nor shown a PIN: {left.status_code} {left.text}")
    return {"redirect": left.headers.get("location"), "verifier": pin and pin.group(1).replace(" ", "")}


def press(button, browser, page, typed):
    """Submits the form with this button."""
    forms = re.findall(r'<form[^>]* action="([^"]*)">(.*?)</form>', page.text, flags=re.DOTALL)
    [(action, fields)] = [form for form in forms if f'value="{button}"' in form[1]]
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', fields)
    form = {**{name: unescape(value) for name, value in hidden}, **typed, "action": button}
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    return browser.post(urljoin(page.url, action), form, headers={"Origin": origin}, allow_redirects=False)


if __name__ == "__main__":
    main()
