"""A backend that verifies signatures with oauthlib, as before a migration, or trusts the identity headers, as after it.

Takes the consumers' secrets and the path of a file as JSON in the first argument. While the file contains "trust", the
backend trusts the headers. It responds 200 with the caller's key, or 401, and prints its address on standard error.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint

GIVEN = json.loads(sys.argv[1])


class Consumers(RequestValidator):
    """The credentials and nonces of the old verifier."""

    enforce_ssl = False
    dummy_client = "nobody"

    def __init__(self):
        super().__init__()
        self.nonces = set()

    def check_client_key(self, client_key):
        return True

    def check_nonce(self, nonce):
        return True

    def validate_client_key(self, client_key, request):
        return client_key in GIVEN["secrets"]

    def get_client_secret(self, client_key, request):
        return GIVEN["secrets"].get(client_key, "")

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, **_tokens):
        claim = (client_key, timestamp, nonce)
        is_new = claim not in self.nonces
        self.nonces.add(claim)
        return is_new


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    verifier = SignatureOnlyEndpoint(Consumers())

    def do_GET(self):
        trusts = Path(GIVEN["mode"]).read_text() == "trust"
        caller = self.headers.get("X-Credential-Identifier") if trusts else self.signer()
        has_credentials = "Authorization" in self.headers
        body = json.dumps({"caller": caller, "trusts": trusts, "has_credentials": has_credentials}).encode()
        self.send_response(200 if caller else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def signer(self):
        """Returns the consumer that signed the request, if any."""
        uri = f"http://{self.headers['Host']}{self.path}"
        is_valid, request = self.verifier.validate_request(uri, self.command, None, dict(self.headers))
        return request.client_key if is_valid else None

    def log_message(self, *_arguments):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    print(f"listening on 127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()
