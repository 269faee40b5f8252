"""A small upstream: a WSGI service that responds with the headers it received, as JSON.

WSGI (PEP 3333) turns headers into variables, so `x_consumer_id` and `X-Consumer-Id` become the same variable. If a
client cannot forge an identity header here, it cannot forge one for any other upstream.

As a program, `upstream.py [PORT [ADDRESS]]`, it listens on the given port, or on a free one, of the given address or
127.0.0.1, and prints both.
"""

import json
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def headers(environ, start_response):
    """Responds with every header, under the name of its WSGI variable."""
    read = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    body = json.dumps(read).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def serve(application=headers, port=0, address="127.0.0.1"):
    """Returns a server on that port, or on a free one. The caller runs it."""
    return make_server(address, port, application, server_class=_Server, handler_class=_Silent)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Silent(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    address = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    try:
        server = serve(port=port, address=address)
    except OSError as error:
        sys.exit(f"error: cannot listen on {address}:{port}: {error.strerror}; pass another port")
    print(f"listening on {address}:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()
