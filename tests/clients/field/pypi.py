"""Sends the requests of clients.toml with unmodified clients from PyPI through Envoy.

Takes its parameters as JSON in the first argument, and prints the version of every client. Each kind of request of each
client has a consumer of its own, pypi.CLIENT.KIND, so that Countersign's own report tells the verdict on it.

Many clients call one fixed https address. For them, this script does what a proxy that terminates TLS does: it forwards
their requests to Envoy over http, with the same Host header.
"""

import asyncio
import importlib.metadata
import json
import os
import sys
import types
import urllib.parse
import urllib.request

import requests

GIVEN = json.loads(sys.argv[1])
URL = GIVEN["url"]
ENVOY = URL.split("//")[1]
WORDS = "fish & chips/a+b=c*(d)!'~"
UTF8 = "caffè 日本"
FORM = {"status": WORDS, "place": UTF8}
TEXT = json.dumps({"title": UTF8, "words": WORDS})
FORM_TYPE = "application/x-www-form-urlencoded"
CLIENTS = {}


def main():
    terminate_tls()
    sent = {}
    for name, kinds in CLIENTS.items():
        sent[name] = {"version": importlib.metadata.version(name), "kinds": list(kinds)}
        for kind, send in kinds.items():
            key = f"pypi.{name}.{kind}{GIVEN['suffix']}"
            if key in GIVEN["keys"]:
                attempt(send, key)
    json.dump(sent, sys.stdout)


def attempt(send, key):
    """Sends a request. Clients of a vendor cannot read the response of our upstream."""
    secrets = {"secret": GIVEN["secret"], "token_secret": GIVEN["token_secret"]}
    try:
        send(types.SimpleNamespace(key=key, token=f"{key}.token", **secrets))
    except Exception as error:
        print(f"{key}: {type(error).__name__}: {error}", file=sys.stderr)


def terminate_tls():
    """Forwards https requests to Envoy, with the Host header that the client sent."""
    send = requests.adapters.HTTPAdapter.send

    def forward(self, request, **options):
        address = urllib.parse.urlsplit(request.url)
        if address.scheme == "https":
            request.headers["Host"] = address.netloc
            request.url = address._replace(scheme="http", netloc=ENVOY).geturl()
        return send(self, request, **options)

    requests.adapters.HTTPAdapter.send = forward


def client(name):
    """Adds a client: a function that returns its requests by kind."""
    return lambda requests_of: CLIENTS.update({name: requests_of()})


def session(make):
    """Returns the requests of a session that is used like one of requests."""
    return {
        "query": lambda c: make(c).get(f"{URL}/search", params={"q": WORDS, "page": 1}),
        "utf8": lambda c: make(c).get(f"{URL}/search", params={"q": UTF8, "page": 1}),
        "form": lambda c: make(c).post(f"{URL}/statuses", data=FORM),
        "json": lambda c: make(c).post(f"{URL}/statuses", json=json.loads(TEXT)),
    }


def search(text):
    return f"{URL}/search?{urllib.parse.urlencode({'q': text, 'page': 1})}"


@client("oauthlib")
def oauthlib():
    from oauthlib.oauth1 import Client

    def send(c, method, address, body=None, content_type=None):
        signing = Client(c.key, c.secret, c.token, c.token_secret)
        headers = {"Content-Type": content_type} if content_type else {}
        uri, headers, body = signing.sign(address, method, body, headers)
        body = body.encode() if body else None
        urllib.request.urlopen(urllib.request.Request(uri, body, headers, method=method))

    return {
        "query": lambda c: send(c, "GET", search(WORDS)),
        "utf8": lambda c: send(c, "GET", search(UTF8)),
        "form": lambda c: send(c, "POST", f"{URL}/statuses", urllib.parse.urlencode(FORM), FORM_TYPE),
        "json": lambda c: send(c, "POST", f"{URL}/statuses", TEXT, "application/json"),
    }


@client("requests-oauthlib")
def requests_oauthlib():
    from requests_oauthlib import OAuth1Session

    return session(lambda c: OAuth1Session(c.key, c.secret, c.token, c.token_secret))


@client("Authlib")
def authlib():
    from authlib.integrations.requests_client import OAuth1Session

    return session(lambda c: OAuth1Session(c.key, c.secret, c.token, c.token_secret))


@client("oauth2")
def oauth2():
    import oauth2

    def send(c, method, address, body=b"", content_type=None):
        headers = {"Content-Type": content_type} if content_type else None
        signing = oauth2.Client(oauth2.Consumer(c.key, c.secret), oauth2.Token(c.token, c.token_secret))
        signing.request(address, method, body, headers)

    return {
        "query": lambda c: send(c, "GET", search(WORDS)),
        "utf8": lambda c: send(c, "GET", search(UTF8)),
        # It cannot send a form that is not ASCII.
        "form": lambda c: send(c, "POST", f"{URL}/statuses", urllib.parse.urlencode({"status": WORDS}).encode()),
        "json": lambda c: send(c, "POST", f"{URL}/statuses", TEXT.encode(), "application/json"),
    }


@client("mastercard-oauth1-signer")
def mastercard():
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from oauth1.oauth import OAuth

    def send(c, method, address, body=None, content_type=None):
        key = load_pem_private_key(GIVEN["rsa_key"].encode(), password=None)
        header = OAuth.get_authorization_header(address, method, body, c.key, key)
        headers = {"Authorization": header, **({"Content-Type": content_type} if content_type else {})}
        requests.request(method, address, data=body, headers=headers)

    return {
        "query": lambda c: send(c, "GET", search(WORDS).replace("+", "%20")),
        "utf8": lambda c: send(c, "GET", search(UTF8).replace("+", "%20")),
        "plus": lambda c: send(c, "GET", search(UTF8)),
        "form": lambda c: send(c, "POST", f"{URL}/statuses", urllib.parse.urlencode(FORM), FORM_TYPE),
        "json": lambda c: send(c, "POST", f"{URL}/statuses", TEXT, "application/json"),
    }


@client("woocommerce")
def woocommerce():
    from woocommerce import API

    def api(c):
        return API(URL, c.key, c.secret, version="wc/v3")

    return {
        "query": lambda c: api(c).get("products", params={"search": WORDS, "per_page": 20}),
        "utf8": lambda c: api(c).get("products", params={"search": UTF8, "per_page": 20}),
        "json": lambda c: api(c).post("products", json.loads(TEXT)),
        "plain": lambda c: api(c).get("products"),
    }


@client("tweepy")
def tweepy():
    import tweepy

    def api(c):
        return tweepy.API(tweepy.OAuth1UserHandler(c.key, c.secret, c.token, c.token_secret))

    def client_v2(c):
        return tweepy.Client(None, c.key, c.secret, c.token, c.token_secret)

    return {
        "query": lambda c: api(c).search_tweets(WORDS, count=1),
        "utf8": lambda c: api(c).search_tweets(UTF8, count=1),
        "post": lambda c: api(c).create_list(WORDS, description=UTF8),
        "json": lambda c: client_v2(c).create_tweet(text=UTF8),
    }


@client("twython")
def twython():
    from twython import Twython

    def api(c):
        return Twython(c.key, c.secret, c.token, c.token_secret)

    return {
        "query": lambda c: api(c).search(q=WORDS, count=1),
        "utf8": lambda c: api(c).search(q=UTF8, count=1),
        "form": lambda c: api(c).update_status(**FORM),
    }


@client("twitter")
def twitter():
    from twitter import OAuth, Twitter

    def api(c):
        return Twitter(auth=OAuth(c.token, c.token_secret, c.key, c.secret), domain=ENVOY, secure=False)

    return {
        "query": lambda c: api(c).search.tweets(q=WORDS, count=1),
        "utf8": lambda c: api(c).search.tweets(q=UTF8, count=1),
        "form": lambda c: api(c).statuses.update(**FORM),
    }


@client("peony-twitter")
def peony():
    from peony import BasePeonyClient

    async def send(c, method, path, **parameters):
        keys = {"consumer_key": c.key, "consumer_secret": c.secret, "access_token": c.token, "access_token_secret": c.token_secret}
        async with BasePeonyClient(**keys, base_url=f"{URL}/{{api}}/{{version}}") as api:
            await getattr(api.api[path], method)(**parameters)

    return {
        "query": lambda c: asyncio.run(send(c, "get", "search", q=WORDS, count=1)),
        "utf8": lambda c: asyncio.run(send(c, "get", "search", q=UTF8, count=1)),
        "form": lambda c: asyncio.run(send(c, "post", "statuses", **FORM)),
    }


@client("xapipy")
def xapipy():
    from xapipy import XApiPy

    def api(c):
        keys = {"X_API_KEY": c.key, "X_API_SECRET": c.secret, "X_ACCESS_TOKEN": c.token, "X_ACCESS_TOKEN_SECRET": c.token_secret}
        os.environ.update(keys)
        return XApiPy()

    return {
        "query": lambda c: api(c).get_tweets(query=WORDS),
        "utf8": lambda c: api(c).get_tweets(query=UTF8),
        "json": lambda c: api(c).post_tweet(UTF8),
    }


@client("jira")
def jira():
    from jira import JIRA

    def api(c):
        keys = {"consumer_key": c.key, "access_token": c.token, "access_token_secret": c.token_secret}
        oauth = {**keys, "key_cert": GIVEN["rsa_key"], "signature_method": "RSA-SHA1"}
        return JIRA(URL, oauth=oauth, get_server_info=False, max_retries=0)

    return {
        "query": lambda c: api(c).search_users(query=WORDS),
        "utf8": lambda c: api(c).search_users(query=UTF8),
        "json": lambda c: api(c).add_comment("CS-7", UTF8),
    }


@client("lti")
def lti():
    from lti import ToolConsumer
    from lti.outcome_request import OutcomeRequest

    def launch(c):
        params = {"lti_message_type": "basic-lti-launch-request", "lti_version": "LTI-1p0", "resource_link_id": "7"}
        tool = ToolConsumer(c.key, c.secret, params={**params, "resource_link_title": WORDS, "lis_person_name_full": UTF8}, launch_url=f"{URL}/launch")
        requests.post(tool.launch_url, data=tool.generate_launch_data())

    def outcome(c):
        opts = {"consumer_key": c.key, "consumer_secret": c.secret, "lis_outcome_service_url": f"{URL}/outcomes"}
        OutcomeRequest({**opts, "lis_result_sourcedid": "course:7"}).post_replace_result(0.83)

    return {"form": launch, "xml": outcome}


@client("PyLTI")
def pylti():
    from pylti.common import post_message

    return {"xml": lambda c: post_message({c.key: {"secret": c.secret}}, c.key, f"{URL}/outcomes", "<score>0.83</score>")}


@client("python3-discogs-client")
def discogs():
    from discogs_client import Client

    def api(c):
        return Client("field/1.0", consumer_key=c.key, consumer_secret=c.secret, token=c.token, secret=c.token_secret)

    return {
        "query": lambda c: len(api(c).search(WORDS, type="release")),
        "utf8": lambda c: len(api(c).search(UTF8, type="release")),
        "json": lambda c: api(c)._post("https://api.discogs.com/lists", json.loads(TEXT)),
    }


@client("flickrapi")
def flickr():
    from flickrapi import FlickrAPI
    from flickrapi.auth import FlickrAccessToken

    def api(c):
        token = FlickrAccessToken(c.token, c.token_secret, "write")
        return FlickrAPI(c.key, c.secret, token=token, format="parsed-json")

    return {
        "form": lambda c: api(c).photos.search(text=WORDS, per_page=1),
        "utf8": lambda c: api(c).photos.search(text=UTF8, per_page=1),
    }


@client("py-trello")
def trello():
    from trello import TrelloClient

    def api(c):
        return TrelloClient(c.key, c.secret, c.token, c.token_secret)

    return {
        "query": lambda c: api(c).fetch_json("/search", query_params={"query": WORDS, "limit": 1}),
        "utf8": lambda c: api(c).fetch_json("/search", query_params={"query": UTF8, "limit": 1}),
        "json": lambda c: api(c).add_board(UTF8),
    }


@client("PyTumblr")
def tumblr():
    from pytumblr import TumblrRestClient

    def api(c):
        return TumblrRestClient(c.key, c.secret, c.token, c.token_secret, host=URL)

    return {
        "query": lambda c: api(c).tagged(WORDS, limit=1),
        "utf8": lambda c: api(c).tagged(UTF8, limit=1),
        "form": lambda c: api(c).create_text("field", title=WORDS, body=UTF8),
    }


@client("plurk-oauth")
def plurk():
    from plurk_oauth import PlurkAPI

    def api(c):
        return PlurkAPI(c.key, c.secret, c.token, c.token_secret)

    return {
        "form": lambda c: api(c).callAPI("/APP/Timeline/plurkAdd", {"content": WORDS, "qualifier": "says"}),
        "utf8": lambda c: api(c).callAPI("/APP/Timeline/plurkAdd", {"content": UTF8, "qualifier": "says"}),
    }


@client("mwclient")
def mediawiki():
    from mwclient import Site

    def site(c):
        keys = {"consumer_token": c.key, "consumer_secret": c.secret, "access_token": c.token, "access_secret": c.token_secret}
        return Site(ENVOY, scheme="http", do_init=False, retry_timeout=0, max_retries=0, **keys)

    return {
        "query": lambda c: site(c).get("query", list="search", srsearch=WORDS),
        "utf8": lambda c: site(c).get("query", list="search", srsearch=UTF8),
        "form": lambda c: site(c).post("edit", title=WORDS, text=UTF8),
    }


@client("netsuite-oauth-python")
def netsuite():
    from netsuite_oauth import NetsuiteOauth

    def api(c):
        return NetsuiteOauth(f"{URL}/app/site/hosting/restlet.nl", c.key, c.secret, c.token, c.token_secret, "TSTDRV1")

    return {
        "query": lambda c: api(c).get({"script": 7, "q": WORDS}),
        "utf8": lambda c: api(c).get({"script": 7, "q": UTF8}),
        "json": lambda c: api(c).post(json.loads(TEXT)),
    }


@client("pyxero")
def xero():
    from xero import Xero
    from xero.auth import PrivateCredentials

    def api(c):
        credentials = PrivateCredentials(c.key, GIVEN["rsa_key"], api_url=URL)
        credentials.tenant_id = "7"
        return Xero(credentials)

    return {
        "query": lambda c: api(c).contacts.filter(raw=f'Name=="{WORDS}"'),
        "utf8": lambda c: api(c).contacts.filter(Name=UTF8),
    }


if __name__ == "__main__":
    main()
