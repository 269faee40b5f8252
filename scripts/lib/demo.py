"""Sends the requests of scripts/demo, and prints the response to each and the caller that the upstream saw."""

import contextlib
import json
import shlex
import signal
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl

from stack import COUNTERSIGN, LOGS, Request, Stack

PHOTOS = "/photos?size=original"
FORM = "title=summer&to=alice"
FORGED = {"X-Consumer-Username": "root", "X-Authenticated-Userid": "root"}
NOTHING = "-"


def main():
    for number in (signal.SIGTERM, signal.SIGHUP):
        # An exception unwinds the stack, which ends all processes.
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    is_kept = "--keep" in sys.argv[1:]
    with Stack(on_usual_ports=is_kept) as stack:
        print(f"Envoy listens on {stack.address}; logs are in {LOGS}/.\n")
        credentials = Credentials(stack)
        print(line("request", "response", "upstream saw"))
        unexpected = sum(not show(stack, *row) for row in rows(stack, credentials))
        print(f"\n{summary(unexpected)}", flush=True)
        if is_kept:
            stay(stack, credentials)
        return 1 if unexpected else 0


class Credentials:
    """Options of `countersign sign`, each a list that signs with certain credentials."""

    def __init__(self, stack):
        consumer = stack.admin("consumer", "create", "--name=Printer")
        self.key = f"--consumer-key={consumer['consumer_key']}"
        self.secret = f"--consumer-secret={consumer['consumer_secret']}"
        self.consumer = [self.key, self.secret]
        self.alice, _ = self._create_token(stack)
        self.revoked, token = self._create_token(stack)
        stack.admin("token", "revoke", token, "--yes")

    def _create_token(self, stack):
        token = stack.admin("token", "create", self.key, "--user-id=alice")
        return self.with_token(token["token"], token["token_secret"]), token["token"]

    def with_token(self, token, secret):
        return [*self.consumer, f"--token={token}", f"--token-secret={secret}"]

    def from_last_response(self, stack):
        """The options for the request token or token in the last response, and its name."""
        response = dict(parse_qsl(stack.body))
        token = response["oauth_token"]
        return self.with_token(token, response["oauth_token_secret"]), token


def rows(stack, who):
    """Yields for each request: a description, the request, the expected status, and the expected caller or problem."""

    def signed(method="GET", target=PHOTOS, by=who.alice, **options):
        return stack.sign(method, target, *by, *(f"--{name}={value}" for name, value in options.items()))

    get = signed()
    yield "GET with a query", get, 200, "Printer for alice"
    yield "  the same request again", get, 401, "nonce_used"
    yield "POST with a form", signed("POST", "/photos", form=FORM), 200, "Printer for alice"
    yield "PUT, signature in the query", signed("PUT", transport="query"), 200, "Printer for alice"
    yield "GET without a token", signed(by=who.consumer), 200, "Printer"
    yield "GET with forged identity headers", signed().with_headers(FORGED), 200, "Printer for alice"

    yield "unsigned", Request("GET", PHOTOS), 401, "parameter_absent"
    yield "unsigned, optional route", Request("GET", "/public"), 200, "anonymous"
    yield "  with forged identity headers", Request("GET", "/public", FORGED), 200, "anonymous"

    yield "method changed after signing", signed().changed(method="DELETE"), 401, "signature_invalid"
    yield "path changed", signed().changed(target="/invoices?size=original"), 401, "signature_invalid"
    yield "query changed", signed().changed(target="/photos?size=small"), 401, "signature_invalid"
    yield "host changed", signed().with_headers({"Host": "evil.example"}), 401, "signature_invalid"
    form = signed("POST", "/photos", form=FORM)
    yield "form changed", form.changed(body="title=summer&to=mallory"), 401, "signature_invalid"

    unknown = ["--consumer-key=nobody", who.secret]
    yield "unknown consumer", signed(by=unknown), 401, "signature_invalid"
    yield "wrong consumer secret", signed(by=[who.key, "--consumer-secret=wrong"]), 401, "signature_invalid"
    yield "revoked token", signed(by=who.revoked), 401, "token_revoked"
    yield "timestamp an hour old", signed(timestamp=int(time.time()) - 3600), 401, "timestamp_refused"

    temporary = signed("POST", "/oauth/request_token", by=who.consumer, callback="oob")
    yield "POST /oauth/request_token", temporary, 200, NOTHING
    by_temporary, token = who.from_last_response(stack)
    verifier = stack.admin("request-token", "authorize", token, "--user-id=alice")["verifier"]
    exchange = signed("POST", "/oauth/access_token", by=by_temporary, verifier=verifier)
    yield "POST /oauth/access_token", exchange, 200, NOTHING
    yield "  GET with the new token", signed(by=who.from_last_response(stack)[0]), 200, "Printer for alice"
    again = signed("POST", "/oauth/access_token", by=by_temporary, verifier=verifier)
    yield "  the same exchange again", again, 401, "token_used"


def show(stack, description, request, status, expected):
    """Sends a request, prints a line about it, and returns whether the response was as expected."""
    got, body, received = stack.send(request)
    problem = "" if got == 200 else problem_in(body)
    saw = caller(received) if received else NOTHING
    is_expected = (got, problem, saw) == ((200, "", expected) if status == 200 else (status, expected, NOTHING))
    remark = "" if is_expected else f"  UNEXPECTED: should be {status} {expected}"
    print(line(description, f"{got} {problem}", saw) + remark, flush=True)
    return is_expected


def line(request, response, upstream):
    return f"  {request:34} {response:22} {upstream}"


def summary(unexpected):
    if unexpected:
        return f"{unexpected} responses were not as expected; see the lines with UNEXPECTED and the logs in {LOGS}/."
    return "All responses were as expected."


def problem_in(body):
    try:
        return json.loads(body)["oauth_problem"]
    except (ValueError, KeyError):
        return "?"


def caller(environ):
    """Returns the caller as the upstream reads it from the identity headers."""
    if environ.get("HTTP_X_ANONYMOUS_CONSUMER") == "true":
        return "anonymous"
    name, user = environ.get("HTTP_X_CONSUMER_USERNAME"), environ.get("HTTP_X_AUTHENTICATED_USERID")
    return f"{name} for {user}" if user else str(name)


def stay(stack, who):
    print(hints(stack, who), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while stack.is_running():
            time.sleep(0.2)
        sys.exit(f"error: Envoy or Countersign stopped unexpectedly; see the logs in {LOGS}/")


def hints(stack, who):
    """Returns what a person can try in another terminal: where things are, and commands that work as printed."""
    keys = shlex.join(option for option in who.alice if "secret" not in option)
    secrets = dict(option.removeprefix("--").split("=", 1) for option in who.alice if "secret" in option)
    variables = {
        "COUNTERSIGN_SERVER": f"http://{stack.api}",
        "COUNTERSIGN_DATA_DIR": stack.data,
        "COUNTERSIGN_CONSUMER_SECRET": secrets["consumer-secret"],
        "COUNTERSIGN_TOKEN_SECRET": secrets["token-secret"],
    }
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in variables.items())
    port = stack.address.rpartition(":")[2]
    return f"""
Everything keeps running until Ctrl-C.

  clients   http://localhost:{port}/
  console   http://{stack.ops}/console    log in with the content of {stack.data}/admin-token
  data      {stack.data}    removed at the end
  logs      {LOGS.absolute()}

To try it in another terminal:

  cd {shlex.quote(str(Path.cwd()))}
  export PATH=$PWD/{Path(COUNTERSIGN).parent}:$PATH
{exports}

A signed request passes:

  countersign sign GET 'http://localhost:{port}{PHOTOS}' {keys} --output curl | sh

A request that was signed for https, as if TLS ended before Envoy, is denied. See why, of all denials, of the last one, and from
the request alone:

  countersign sign GET 'https://localhost:{port}{PHOTOS}' {keys} --output curl | sed s/https:/http:/ >{LOGS}/denied.txt
  sh {LOGS}/denied.txt
  countersign denials
  countersign denials DECISION_ID
  countersign explain {LOGS}/denied.txt
"""


if __name__ == "__main__":
    sys.exit(main())
