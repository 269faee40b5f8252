"""A small upstream: a WSGI service that answers with the headers it read, as JSON.

WSGI (PEP 3333) knows headers as variables, so `x_consumer_id` and `X-Consumer-Id` are one to it: what a client can not
spoof here, it can not spoof anywhere.

Run by itself it listens on the port that it is given, or a free one, and says which.
"""

import json
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def headers(environ, start_response):
    """The application: every header, by the name of its variable."""
    read = {name: value for name, value in environ.items() if name.startswith("HTTP_")}
    body = json.dumps(read).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def serve(application=headers, port=0):
    """A server on that port or a free one, which the caller has to run."""
    return make_server("127.0.0.1", port, application, server_class=_Server, handler_class=_Silent)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _Silent(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


if __name__ == "__main__":
    server = serve(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(f"listening on 127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()
