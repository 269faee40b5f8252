"""What scripts/demo shows: requests through Envoy, the answer to each, and what the upstream saw of it."""

import contextlib
import json
import shlex
import signal
import sys
import time
from urllib.parse import parse_qsl

from stack import COUNTERSIGN, LOGS, Request, Stack

PHOTOS = "/photos?size=original"
FORM = "title=summer&to=alice"
SPOOFED = {"X-Consumer-Username": "root", "X-Authenticated-Userid": "root"}


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As an exception, so that everything that was started is ended.
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    with Stack() as stack:
        print(f"Envoy, Countersign on its embedded store and an upstream are up; their logs are in {LOGS}/\n")
        credentials = Credentials(stack)
        wrong = sum(not show(stack, *row) for row in rows(stack, credentials))
        print(f"\n{wrong} of these answers are wrong." if wrong else "\nEach was answered as it should be.", flush=True)
        if "--keep" in sys.argv[1:]:
            stay(stack, credentials)
        return 1 if wrong else 0


class Credentials:
    """The options by which `countersign sign` signs."""

    def __init__(self, stack):
        consumer = stack.admin("consumer", "create", "--name=Printer")
        self.key = f"--consumer-key={consumer['consumer_key']}"
        self.secret = f"--consumer-secret={consumer['consumer_secret']}"
        self.consumer = [self.key, self.secret]
        self.alice, _ = self._token(stack)
        self.revoked, token = self._token(stack)
        stack.admin("token", "revoke", token)

    def _token(self, stack):
        token = stack.admin("token", "create", self.key, "--user-id=alice")
        return self.with_token(token["token"], token["token_secret"]), token["token"]

    def with_token(self, token, secret):
        return [*self.consumer, f"--token={token}", f"--token-secret={secret}"]

    def answered(self, stack):
        """Those of the request token or the token that was the last answer."""
        answer = dict(parse_qsl(stack.body))
        return self.with_token(answer["oauth_token"], answer["oauth_token_secret"]), answer["oauth_token"]


def rows(stack, who):
    """Each request in words, itself, and the answer it should get: the status, and who called or the problem."""

    def signed(method="GET", target=PHOTOS, by=who.alice, **options):
        return stack.sign(method, target, *by, *(f"--{name}={value}" for name, value in options.items()))

    get = signed()
    yield "signed: GET with a query", get, 200, "Printer for alice"
    yield "  the same once more", get, 401, "nonce_used"
    yield "signed: POST with a form", signed("POST", "/photos", form=FORM), 200, "Printer for alice"
    yield "signed: PUT, parameters in the query", signed("PUT", transport="query"), 200, "Printer for alice"
    yield "signed by the consumer alone", signed(by=who.consumer), 200, "Printer"
    yield "  and it says that it is root", signed().with_headers(SPOOFED), 200, "Printer for alice"

    yield "not signed", Request("GET", PHOTOS), 401, "parameter_absent"
    yield "not signed, where that is optional", Request("GET", "/public"), 200, "anonymous"
    yield "  and it says that it is root", Request("GET", "/public", SPOOFED), 200, "anonymous"

    yield "tampered: another method", signed().but(method="DELETE"), 401, "signature_invalid"
    yield "tampered: another path", signed().but(target="/invoices?size=original"), 401, "signature_invalid"
    yield "tampered: another query", signed().but(target="/photos?size=small"), 401, "signature_invalid"
    yield "tampered: another host", signed().with_headers({"Host": "evil.example"}), 401, "signature_invalid"
    form = signed("POST", "/photos", form=FORM)
    yield "tampered: another form", form.but(body="title=summer&to=mallory"), 401, "signature_invalid"

    stranger = ["--consumer-key=nobody", who.secret]
    yield "signed by nobody we know", signed(by=stranger), 401, "signature_invalid"
    yield "signed with a wrong secret", signed(by=[who.key, "--consumer-secret=wrong"]), 401, "signature_invalid"
    yield "signed with a revoked token", signed(by=who.revoked), 401, "token_revoked"
    yield "signed an hour ago", signed(timestamp=int(time.time()) - 3600), 401, "timestamp_refused"

    ask = signed("POST", "/oauth/request_token", by=who.consumer, callback="oob")
    yield "asks for a request token", ask, 200, "nothing"
    asking, token = who.answered(stack)
    verifier = stack.admin("request-token", "authorize", token, "--user-id=alice")["verifier"]
    exchange = signed("POST", "/oauth/access_token", by=asking, verifier=verifier)
    yield "  alice allows it: exchanges it", exchange, 200, "nothing"
    yield "  signed with the token it got", signed(by=who.answered(stack)[0]), 200, "Printer for alice"
    again = signed("POST", "/oauth/access_token", by=asking, verifier=verifier)
    yield "  exchanges it once more", again, 401, "token_used"


def show(stack, words, request, status, expected):
    """Sends a request, prints what it got, and returns whether that was right."""
    got, body, seen = stack.send(request)
    problem = "" if got == 200 else problem_in(body)
    saw = caller(seen) if seen else "nothing"
    right = (got, problem, saw) == ((200, "", expected) if status == 200 else (status, expected, "nothing"))
    remark = "" if right else f"  WRONG: should be {status} {expected}"
    print(f"  {words:38} {got} {problem:18} upstream saw {saw}{remark}", flush=True)
    return right


def problem_in(body):
    try:
        return json.loads(body)["oauth_problem"]
    except (ValueError, KeyError):
        return "?"


def caller(environ):
    """Who called, as the upstream reads it."""
    if environ.get("HTTP_X_ANONYMOUS_CONSUMER") == "true":
        return "anonymous"
    name, user = environ.get("HTTP_X_CONSUMER_USERNAME"), environ.get("HTTP_X_AUTHENTICATED_USERID")
    return f"{name} for {user}" if user else str(name)


def stay(stack, who):
    command = [COUNTERSIGN, "sign", "GET", f"http://{stack.address}{PHOTOS}", *who.alice, "--output=curl"]
    print(f'\nUntil Ctrl-C, try (with curl):\n\n  eval "$({shlex.join(command)})"\n', flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while stack.is_running():
            time.sleep(0.2)
        sys.exit(f"error: a part ended by itself; see {LOGS}/")


if __name__ == "__main__":
    sys.exit(main())
