"""The requests that are sent through each gateway, in order, and their results as the table shows them."""

from urllib.parse import parse_qs

MEBIBYTE = 1 << 20


class Unexpected(Exception):
    """A response that no gateway should give."""


def signed_get(gateway):
    return _verified(gateway, gateway.sign("GET", "/orders?page=2"))


def signed_form(gateway):
    return _verified(gateway, gateway.sign("POST", "/orders", "--form", "item=book&count=2"))


def long_form(gateway):
    return _verified(gateway, gateway.sign("POST", "/orders", "--form", "item=" + "x" * 60_000))


def bytes_in_form(gateway):
    request = gateway.sign("POST", "/orders", "--form", "item=%FF")
    return _answer(gateway, {**request, "body": b"item=\xff"})


def chunked_form(gateway):
    request = gateway.sign("POST", "/orders", "--form", "item=book")
    return _answer(gateway, {**request, "headers": {**request["headers"], "Transfer-Encoding": "chunked"}})


def exclamation_mark(gateway):
    request = gateway.sign("POST", "/orders", "--form", "item=%21")
    return _answer(gateway, {**request, "body": b"item=!"})


def tampered(gateway):
    request = gateway.sign("GET", "/orders?page=2")
    return _denied(gateway, {**request, "target": "/orders?page=3"})


def replayed(gateway):
    request = gateway.sign("GET", "/orders")
    _verified(gateway, request)
    return _denied(gateway, request)


def unsigned(gateway):
    request = {"method": "GET", "target": "/orders", "headers": {}, "body": b""}
    status, headers, _, seen = gateway.send(request)
    realm = f'realm="{gateway.example.realm}"'
    if seen or realm not in headers["WWW-Authenticate"]:
        raise Unexpected(f"{gateway.example.name}: unsigned: {status} {headers['WWW-Authenticate']}, not {realm}")
    return str(status)


def optional(gateway):
    request = {"method": "GET", "target": "/public/offers", "headers": {}, "body": b""}
    status, _, _, seen = gateway.send(request)
    if status == 200 and (seen.get("HTTP_X_ANONYMOUS_CONSUMER") != "true" or "HTTP_X_CONSUMER_ID" in seen):
        raise Unexpected(f"{gateway.example.name}: /public: the upstream received {seen}")
    return str(status)


def forged(gateway):
    return _with_header(gateway, "X-Consumer-Username", "mallory")


def forged_with_underscores(gateway):
    return _with_header(gateway, "x_consumer_username", "mallory")


def false_scheme(gateway):
    other = {"http": "https", "https": "http"}[gateway.example.scheme]
    return _with_header(gateway, "X-Forwarded-Proto", other)


def port_in_host(gateway):
    return _answer(gateway, gateway.sign("GET", "/orders", port=8443))


def escaped_tilde(gateway):
    return _answer(gateway, gateway.sign("GET", "/%7Eann"))


def plain_tilde(gateway):
    return _answer(gateway, gateway.sign("GET", "/~ann"))


def two_slashes(gateway):
    return _answer(gateway, gateway.sign("GET", "/orders//7"))


def dot_segments(gateway):
    return _answer(gateway, gateway.sign("GET", "/orders/../users"))


def escaped_slash(gateway):
    return _answer(gateway, gateway.sign("GET", "/orders%2F7"))


def too_long(gateway):
    request = gateway.sign("POST", "/orders")
    headers = {**request["headers"], "Content-Type": "application/json"}
    return _denied(gateway, {**request, "headers": headers, "body": b"x" * (MEBIBYTE + 1)})


def issuing(gateway):
    credentials, gateway.credentials = gateway.credentials, gateway.consumer
    request = gateway.sign("POST", "/oauth/request_token", "--callback", "oob")
    gateway.credentials = credentials
    through = gateway.example.has_issuing
    status, _, body, seen = gateway.send(request, None if through else gateway.listeners["http"])
    if seen or (status == 200 and "oauth_token" not in parse_qs(body)):
        raise Unexpected(f"{gateway.example.name}: /oauth/request_token: {status} {body}")
    return str(status) if through else f"{status} elsewhere"


def frozen(gateway):
    request = gateway.sign("GET", "/orders")
    gateway.freeze()
    return _denied(gateway, request)


def stopped(gateway):
    request = gateway.sign("GET", "/orders")
    gateway.stop_countersign()
    return _denied(gateway, request)


ROWS = (
    ("signed GET", signed_get),
    ("signed form", signed_form),
    ("signed form of 60 KB", long_form),
    ("signed form with bytes that are not UTF-8", bytes_in_form),
    ("signed form with an unescaped `!`", exclamation_mark),
    ("signed form without Content-Length", chunked_form),
    ("tampered", tampered),
    ("replayed", replayed),
    ("unsigned", unsigned),
    ("unsigned, on `/public`", optional),
    ("signed, with a forged `X-Consumer-Username`", forged),
    ("signed, with a forged `x_consumer_username`", forged_with_underscores),
    ("signed, with a false `X-Forwarded-Proto`", false_scheme),
    ("signed URL and `Host` with port 8443", port_in_host),
    ("signed path `/~ann`", plain_tilde),
    ("signed path `/%7Eann`", escaped_tilde),
    ("signed path `/orders//7`", two_slashes),
    ("signed path `/orders/../users`", dot_segments),
    ("signed path `/orders%2F7`", escaped_slash),
    ("body of 1 MiB + 1 byte", too_long),
    ("signed POST to `/oauth/request_token`", issuing),
    # These come last, because they stop Countersign.
    ("Countersign is frozen", frozen),
    ("Countersign is stopped", stopped),
)


def results(gateway):
    """Returns the result of each row."""
    return [result(gateway) for _, result in ROWS]


def _with_header(gateway, name, value):
    request = gateway.sign("GET", "/orders")
    return _answer(gateway, {**request, "headers": {**request["headers"], name: value}})


def _verified(gateway, request):
    """Sends a request that every gateway must let pass."""
    answer = _answer(gateway, request)
    if answer != "200":
        raise Unexpected(f"{gateway.example.name}: {request['method']} {request['target'][:60]}: {answer}, not 200")
    return answer


def _denied(gateway, request):
    """Sends a request that no gateway may let pass."""
    answer = _answer(gateway, request)
    if answer == "200":
        raise Unexpected(f"{gateway.example.name}: {request['method']} {request['target'][:60]} passed")
    return answer


def _answer(gateway, request):
    """Sends a request, and returns the status. If it passed, the upstream must know who called."""
    status, _, body, seen = gateway.send(request)
    if (status == 200) != (seen is not None):
        raise Unexpected(f"{gateway.example.name}: {status}, but the upstream received {seen}: {body}")
    if seen and (seen.get("HTTP_X_CONSUMER_USERNAME"), seen.get("HTTP_X_AUTHENTICATED_USERID")) != ("Partner", "alice"):
        raise Unexpected(f"{gateway.example.name}: the upstream received {seen}")
    if seen and "HTTP_AUTHORIZATION" in seen:
        raise Unexpected(f"{gateway.example.name}: the upstream received the credentials")
    return str(status)
