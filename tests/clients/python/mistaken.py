"""Signs requests with oauthlib and Authlib, each with one known mistake of clients or proxies.

Prints a JSON list: the mistake, the expected cause (several are joined by "+", null means no known cause), the request as it
arrives, and the secrets to verify it with. A mistake that a library cannot make is patched into its functions.
"""

import base64
import hashlib
import hmac
import json
import re
import sys
import urllib.parse
from unittest import mock

from authlib.integrations.requests_client import OAuth1Auth
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, SIGNATURE_HMAC_SHA512, SIGNATURE_RSA_SHA256, Client
from oauthlib.oauth1.rfc5849 import signature
from requests import Request

HOST = "api.example.com"
FORM = "application/x-www-form-urlencoded"
SECRETS = {"consumer_secret": "kd94hf93k423kf44", "token_secret": "pfkkdhi9sl3r4s00"}
CASES = []


def main():
    for part in (origins, paths, queries, parameters, forms, encodings, texts, sorting, protocol, keys, pairs, unknown):
        part()
    json.dump(CASES, sys.stdout)


def sign(url, method="GET", body=None, content_type=None, secrets=SECRETS, **options):
    """Returns the Authorization header that oauthlib makes."""
    client = Client(
        "ck",
        client_secret=secrets["consumer_secret"],
        resource_owner_key="tk" if secrets.get("token_secret") is not None else None,
        resource_owner_secret=secrets.get("token_secret"),
        **options,
    )
    headers = {"Content-Type": content_type} if content_type else {}
    _, headers, _ = client.sign(url, method, body, headers)
    return headers["Authorization"]


def arrives(cause, what, authorization, target, method="GET", host=HOST, scheme="https", headers=(), body="", **more):
    """Adds a case: a request as it arrives."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", f"Authorization: {authorization}"]
    lines += [f"{name}: {value}" for name, value in headers]
    length = len(more.get("body_hex", "")) // 2 or len(body.encode())
    lines += [f"Content-Length: {length}", "", body]
    given = {**SECRETS, "old_secret": None, "public_key": None, "body_hex": None, **more}
    CASES.append({"cause": cause, "what": what, "scheme": scheme, "request": "\r\n".join(lines), **given})


def origins():
    query = "/photos?size=original"
    arrives("scheme", "TLS ends before the proxy", sign(f"https://{HOST}{query}"), query, scheme="http")
    arrives("scheme", "the client signs http", sign(f"http://{HOST}{query}"), query)
    hmac512 = sign(f"http://{HOST}{query}", signature_method=SIGNATURE_HMAC_SHA512)
    arrives("scheme", "the client signs http, HMAC-SHA512", hmac512, query)
    prepared = Request("GET", f"https://{HOST}/photos", params={"q": "caffè & more"}).prepare()
    OAuth1Auth("ck", SECRETS["consumer_secret"], token="tk", token_secret=SECRETS["token_secret"])(prepared)
    header = text(prepared.headers["Authorization"])
    arrives("scheme", "Authlib signs https", header, prepared.path_url, scheme="http")
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    header = sign(f"http://{HOST}{query}", signature_method=SIGNATURE_RSA_SHA256, rsa_key=private)
    arrives("scheme", "the client signs http, RSA-SHA256", header, query, public_key=public)

    arrives("port", "a proxy drops the port", sign(f"https://{HOST}:8443{query}"), query)
    arrives("port", "a proxy adds the port", sign(f"https://{HOST}{query}"), query, host=f"{HOST}:8443")
    forwarded = [("X-Forwarded-Port", "7777")]
    arrives("port", "a proxy says the port", sign(f"https://{HOST}:7777{query}"), query, headers=forwarded)

    forwarded = [("X-Forwarded-Host", HOST)]
    arrives("host", "a proxy rewrites the host", sign(f"https://{HOST}{query}"), query, host="inner", headers=forwarded)
    header = sign(f"https://{HOST}{query}", realm=f"https://{HOST}/")
    arrives("host", "a proxy rewrites the host without a trace, and the realm is a URL", header, query, host="inner")
    header = sign(f"https://{HOST}:8443{query}")
    forwarded = [("X-Forwarded-Host", f"{HOST}:8443, edge")]
    arrives("host", "two proxies rewrite it", header, query, host="inner.svc:8080", headers=forwarded)
    with replaced("base_string_uri", lambda uri, host=None: uri.split("?")[0]):
        header = sign(f"https://API.example.com{query}")
    arrives("host-case", "the host is signed in capitals", header, query, host="API.example.com")


def paths():
    def differs(cause, what, signed, sent, headers=()):
        arrives(cause, f"{what}: {signed} arrives as {sent}", sign(f"https://{HOST}{signed}"), sent, headers=headers)

    envoy = [("X-Envoy-Original-Path", "/api/v1/photos?size=original")]
    differs("path-prefix-stripped", "prefix_rewrite", "/api/v1/photos?size=original", "/photos?size=original", envoy)
    differs("path-prefix-stripped", "strip prefix", "/api/photos", "/photos", [("X-Forwarded-Prefix", "/api")])
    differs("path-prefix-stripped", "without a trace", "/api/v1/photos", "/photos")
    differs("path-prefix-added", "a prefix", "/photos", "/v2/photos")
    differs("path-prefix-added", "two segments", "/photos/1", "/tenant/v2/photos/1")
    differs("path-rewritten", "regex_rewrite", "/old/7", "/new", [("X-Envoy-Original-Path", "/old/7")])
    differs("path-escapes", "normalize_path", "/%7Ejane/photos", "/~jane/photos")
    differs("path-escapes", "normalize_path", "/j%41ne/photos", "/jAne/photos")
    differs("path-escapes", "normalize_path", "/a%2Db/photos", "/a-b/photos")
    differs("path-escapes", "UNESCAPE_AND_FORWARD", "/a%2Fb/photos", "/a/b/photos")
    differs("path-escapes", "the client signs it decoded", "/~jane/photos", "/%7Ejane/photos")
    differs("path-slashes", "merge_slashes", "/a//b/photos", "/a/b/photos")
    differs("path-slashes", "the client merges before it signs", "/a/b/photos", "/a//b/photos")
    differs("path-dot-segments", "normalize_path", "/a/./b", "/a/b")
    differs("path-dot-segments", "the client resolves before it signs", "/a/c", "/a/b/../c")
    differs("trailing-slash", "a redirect adds it", "/photos?page=1", "/photos/?page=1")
    differs("trailing-slash", "a proxy removes it", "/photos/", "/photos")
    differs("path-encoded-twice", "the client encodes again", "/a%2520b", "/a%20b")
    for signed, sent in (("POST", "PUT"), ("HEAD", "GET")):
        arrives("method", f"{signed} arrives as {sent}", sign(f"https://{HOST}/1", signed), "/1", sent)


def queries():
    url = f"https://{HOST}/photos"
    arrives("query-left-out", "signed without it", sign(url), "/photos?size=original&page=1")
    arrives("query-left-out", "of a POST", sign(url, "POST"), "/photos?size=original", "POST")
    with replaced("base_string_uri", lambda uri, host=None: uri):
        header = sign(f"{url}?size=original")
    arrives("query-in-uri", "the whole URL is signed", header, "/photos?size=original")


def parameters():
    def differs(cause, what, signed, sent):
        header = sign(f"https://{HOST}/photos?{signed}")
        arrives(cause, f"{what}: ?{signed} arrives as ?{sent}", header, f"/photos?{sent}")

    differs("parameter-left-out", "a flag", "id=5", "id=5&lti-tool")
    differs("parameter-left-out", "nginx adds one", "limit=5", "q=/photos&limit=5")
    differs("parameter-left-out", "trackers add some", "id=5", "id=5&utm_source=a&utm_medium=b&gclid=c")
    differs("repeated-name", "the last value", "foo=1", "foo=3&foo=2&foo=1")
    differs("repeated-name", "the first value", "foo=3", "foo=3&foo=2&foo=1")
    differs("repeated-name", "identical pairs", "foo=1&bar=2", "foo=1&foo=1&bar=2")
    differs("sent-twice", "every pair", "per_page=5&page=1", "per_page=5&page=1&per_page=5&page=1")
    differs("signed-twice", "the query", "limit=5&q=a%2Cb&limit=5&q=a%2Cb", "limit=5&q=a%2Cb")
    differs("parameter-not-sent", "an empty one at the end", "a=1&oauth_callback=&oauth_verifier=", "a=1")
    differs("value-left-out", "split at every =", "token=abc&a=1", "token=abc==&a=1")
    differs("empty-value", "null", "a=1&flag=null", "a=1&flag")
    differs("array-syntax", "brackets are lost", "ids=1&ids=2", "ids%5B%5D=1&ids%5B%5D=2")
    differs("array-syntax", "indices are added", "ids%5B0%5D=1&ids%5B1%5D=2", "ids%5B%5D=1&ids%5B%5D=2")
    differs("array-syntax", "values are joined", "ids=1%2C2", "ids%5B%5D=1&ids%5B%5D=2")
    differs("names-changed", "PHP", "user_name=jane", "user.name=jane")
    differs("semicolon-separator", "a;b", "a=1&b=2", "a=1;b=2")
    differs("decoded-twice", "values", "q=a%2Fb", "q=a%252Fb")
    differs("line-breaks", "LF and CRLF", "text=a%0Ab", "text=a%0D%0Ab")
    differs("charset", "UTF-8 twice", "name=Jos%C3%83%C2%A9", "name=Jos%C3%A9")


def forms():
    url, form, json_body = f"https://{HOST}/photos", "title=a+b&size=1", '{"title": "summer", "size": 1}'
    sent = {"method": "POST", "body": form, "headers": [("Content-Type", FORM)]}
    arrives("form-left-out", "signed without it", sign(url, "POST"), "/photos", **sent)
    without = sign(url, "POST", form, FORM)
    sent = {"method": "POST", "body": form, "headers": [("Content-Type", "text/plain")]}
    arrives("body-included", "sent as text", without, "/photos", **sent)
    sent = {"method": "POST", "body": json_body, "headers": [("Content-Type", "application/json")]}
    as_form = urllib.parse.urlencode(json.loads(json_body))
    arrives("body-included", "the fields of JSON", sign(url, "POST", as_form, FORM), "/photos", **sent)


def encodings():
    url = f"https://{HOST}/photos"

    def escaped(cause, what, escape, query):
        with replaced("utils.escape", escape):
            header = sign(f"{url}?{query}")
        arrives(cause, f"{what}: {query}", header, f"/photos?{query}")

    escaped("space-as-plus", "quote_plus", lambda text: urllib.parse.quote_plus(text, safe="~"), "q=a%20b")
    escaped("space-as-plus", "quote_plus", lambda text: urllib.parse.quote_plus(text, safe="~"), "q=a+b&page=1")
    escaped("space-as-plus", "URLEncoder", java, "q=a%20*~b")
    component = lambda text: urllib.parse.quote(text, safe="~!*'()")
    escaped("characters-not-encoded", "encodeURIComponent", component, "q=really%21%20(yes)")
    with replaced("normalize_parameters", lambda params: "&".join(sorted(f"{k}={v}" for k, v in params))):
        arrives("encoded-once", "values as they are", sign(f"{url}?q=a%2Fb%20c"), "/photos?q=a%2Fb%20c")
        arrives("encoded-once", "values as they are", sign(f"{url}?q=a/b,c"), "/photos?q=a/b,c")
        arrives("characters-not-encoded", "one character", sign(f"{url}?q=a%2Fb"), "/photos?q=a%2Fb")
    with replaced("normalize_parameters", lambda params: normalized(params, once_in_brackets)):
        arrives("brackets-once", "a nested name", sign(f"{url}?filter%5Bid%5D=1"), "/photos?filter%5Bid%5D=1")
    form, encoded = "title=a%20b", "title=a%2520b"
    sent = {"method": "POST", "body": form, "headers": [("Content-Type", FORM)]}
    arrives("encoded-twice", "encoded values", sign(url, "POST", encoded, FORM), "/photos", **sent)
    arrives("encoded-twice", "encoded values", sign(f"{url}?q=a%252Fb"), "/photos?q=a%2Fb")


def texts():
    url = f"https://{HOST}/photos"

    def escaped(cause, what, escape, query):
        with replaced("utils.escape", escape):
            header = sign(f"{url}?{query}")
        arrives(cause, f"{what}: {query}", header, f"/photos?{query}")

    lower = lambda text: re.sub("%..", lambda escape: escape[0].lower(), urllib.parse.quote(text, safe="~"))
    escaped("lower-case-escapes", "the whole base string", lower, "q=a%2Cb")
    tilde = lambda text: urllib.parse.quote(text, safe="").replace("~", "%7E")
    escaped("unreserved-encoded", "rawurlencode of PHP 5.2", tilde, "q=~jane")
    escaped("characters-not-encoded", "quote", urllib.parse.quote, "path=a%2Fb&q=a%20b")
    escaped("characters-not-encoded", "an asterisk and no space", java, "q=a*b")
    latin1 = lambda text: urllib.parse.quote(text, safe="~", encoding="latin-1")
    escaped("charset", "ISO 8859-1", latin1, "price=%C2%A355")
    with replaced("normalize_parameters", lambda params: normalized(params, name=lambda text: text)):
        arrives("names-not-encoded", "an @", sign(f"{url}?c%40=1%2F2"), "/photos?c%40=1%2F2")
    form = b"title=summer&size=1"
    # A stored block: no byte of it is a "%" without digits.
    block = bytes([1, len(form), 0, 255 - len(form), 255]) + form
    body = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + block + bytes(8)
    header = sign(url, "POST", form.decode(), FORM)
    sent = {"method": "POST", "headers": [("Content-Type", FORM), ("Content-Encoding", "gzip")]}
    arrives("form-compressed", "gzip", header, "/photos", body_hex=body.hex(), **sent)


def sorting():
    url, query = f"https://{HOST}/photos", "b=2&a=10&a=9"
    with replaced("normalize_parameters", lambda params: normalized(params, sort=lambda pairs: pairs)):
        arrives("sorting", "not at all", sign(f"{url}?{query}"), f"/photos?{query}")
    query = "z=1&%C3%A9=2"
    by_text = lambda pairs: sorted(pairs, key=lambda pair: tuple(map(urllib.parse.unquote, pair)))
    with replaced("normalize_parameters", lambda params: normalized(params, sort=by_text)):
        arrives("sorting", "before it is encoded", sign(f"{url}?{query}"), f"/photos?{query}")
    query = "a=2&a-b=1"
    joined = lambda pairs: sorted(pairs, key=lambda pair: "=".join(pair))
    with replaced("normalize_parameters", lambda params: normalized(params, sort=joined)):
        arrives("sorting", "by the joined text", sign(f"{url}?{query}"), f"/photos?{query}")


def protocol():
    url, alone = f"https://{HOST}/photos", {"consumer_secret": SECRETS["consumer_secret"], "token_secret": None}
    header = sign(url, secrets={**SECRETS, "token_secret": None})
    arrives("empty-token", "sent, not signed", header + ', oauth_token=""', "/photos", **alone)
    header = sign(url)
    arrives("version", "signed, not sent", header.replace('oauth_version="1.0", ', ""), "/photos")
    with_realm = sign(f"{url}?realm=Photos").replace("OAuth ", 'OAuth realm="Photos", ', 1)
    arrives("realm-included", "signed", with_realm, "/photos")
    # The parameters in a query that the client does not encode again.
    for nonce in range(100):
        header = sign(url, nonce=f"nonce{nonce}", timestamp="1700000000")
        parameters = [pair.split("=", 1) for pair in header[len("OAuth ") :].split(", ")]
        parameters = [(name, value.strip('"')) for name, value in parameters]
        raw = urllib.parse.unquote(parameters[-1][1])
        if "+" in raw:
            break
    plain = "&".join(f"{name}={urllib.parse.unquote(value)}" for name, value in parameters)
    CASES.append({**last(), "cause": "signature-encoding", "what": "raw in the query"})
    CASES[-1]["request"] = f"GET /photos?{plain} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    quoted = header.replace("%3D", "%253D").replace("%2B", "%252B").replace("%2F", "%252F")
    arrives("signature-encoding", "encoded twice", quoted, "/photos")


def keys():
    url = f"https://{HOST}/photos"
    old = {**SECRETS, "consumer_secret": "an old one"}
    arrives("old-secret", "replaced a while ago", sign(url, secrets=old), "/photos", old_secret="an old one")
    without = sign(url, secrets=SECRETS | {"token_secret": ""})
    arrives("secret-missing", "the token's", without, "/photos")
    without = sign(url, secrets=SECRETS | {"consumer_secret": ""})
    arrives("secret-missing", "the consumer's", without, "/photos")
    reserved = {"consumer_secret": "k/+=&", "token_secret": "t s"}
    raw = sign_with_key(url, "k/+=&&t s")
    arrives("secrets-not-encoded", "both", raw, "/photos", **reserved)
    raw = sign_with_key(url, SECRETS["consumer_secret"] + SECRETS["token_secret"])
    arrives("ampersand-missing", "with a token", raw, "/photos")
    header = sign(url, signature_method=SIGNATURE_HMAC_SHA256)
    with mock.patch.object(Client, "SIGNATURE_METHODS", {SIGNATURE_HMAC_SHA256: signature.sign_hmac_sha1_with_client}):
        header = sign(url, signature_method=SIGNATURE_HMAC_SHA256)
    arrives("method-confusion", "HMAC-SHA1 named HMAC-SHA256", header, "/photos")


def pairs():
    port = [("X-Forwarded-Port", "9443")]
    arrives("scheme+port", "TLS ends before", sign(f"https://{HOST}:9443/p"), "/p", scheme="http", headers=port)
    header = sign(f"https://{HOST}/photos")
    arrives("scheme+path-prefix-added", "TLS ends, a prefix", header, "/v1/photos", scheme="http")
    arrives("scheme+trailing-slash", "TLS ends, a slash", header, "/photos/", scheme="http")
    forwarded = [("X-Forwarded-Host", HOST)]
    arrives("scheme+host", "TLS ends, a rewrite", header, "/photos", host="inner", scheme="http", headers=forwarded)
    arrives("scheme+query-left-out", "TLS ends, no query", header, "/photos?page=1", scheme="http")
    old = {**SECRETS, "consumer_secret": "an old one"}
    header = sign(f"https://{HOST}/photos", secrets=old)
    arrives("scheme+old-secret", "TLS ends, an old secret", header, "/photos", scheme="http", old_secret="an old one")


def unknown():
    url, query = f"https://{HOST}/photos", "/photos?size=original&owner=jane"
    header = sign(f"https://{HOST}{query}")
    arrives("parameter-left-out", "somebody added one", header, query + "&admin=1")
    for changed in (query.replace("original", "huge"), query.replace("jane", "june"), query.replace("owner", "user"),
                    "/photos?owner=jane", "/videos?size=original&owner=jane"):
        arrives(None, f"somebody changed it to {changed}", header, changed)
    arrives(None, "somebody changed the nonce", header.replace('oauth_nonce="', 'oauth_nonce="1'), query)
    arrives(None, "somebody changed the host", header, query, host="api.example.org")
    for secrets in ({"consumer_secret": "guessed"}, {"token_secret": "guessed"}, {"consumer_secret": "KD94hf93k423kf44"}):
        arrives(None, f"signed with {secrets}", sign(f"https://{HOST}{query}", secrets={**SECRETS, **secrets}), query)
    form = "amount=10&to=jane"
    header = sign(url, "POST", form, FORM)
    sent = {"method": "POST", "headers": [("Content-Type", FORM)]}
    arrives(None, "somebody changed the form", header, "/photos", body="amount=99&to=jane", **sent)


def replaced(name, function):
    """Replaces a function of oauthlib's signature module."""
    return mock.patch(f"oauthlib.oauth1.rfc5849.signature.{name}", function)


def normalized(params, name=None, sort=sorted):
    escape = lambda text: urllib.parse.quote(text, safe="~")
    pairs = sort([((name or escape)(key), escape(value)) for key, value in params])
    return "&".join("=".join(pair) for pair in pairs)


def once_in_brackets(name):
    return urllib.parse.quote(name, safe="~[]")


def java(text):
    return urllib.parse.quote_plus(text, safe="*").replace("~", "%7E")


def sign_with_key(url, key):
    """Signs with a whole key, which oauthlib would make of two secrets."""
    def sign_hmac(base_string, client):
        return base64.b64encode(hmac.new(key.encode(), base_string.encode(), hashlib.sha1).digest()).decode()

    methods = {**Client.SIGNATURE_METHODS, "HMAC-SHA1": sign_hmac}
    with mock.patch.object(Client, "SIGNATURE_METHODS", methods):
        return sign(url)


def last():
    return dict(CASES[-1])


def text(value):
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    main()
