"""Which web frameworks of Python read a form from a body, by its Content-Type.

Reads lines of JSON from standard input, each the Content-Type of a POST (Latin-1; null if it has no such header), and
prints one JSON object: for each framework, its version and whether it read the form, case by case.
"""

import asyncio
import io
import json
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")

NAME, VALUE = "a", "read"
BODY = b"a=read"


def environ(content_type):
    made = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if content_type is not None:
        made["CONTENT_TYPE"] = content_type
    return made


def answer(app, content_type):
    """Returns the body of the response of a WSGI application."""
    chunks = app(environ(content_type), lambda *_: None)
    return b"".join(chunks).decode("latin-1")


async def asgi_answer(app, content_type):
    """Returns the body of the response of an ASGI application."""
    headers = [(b"host", b"localhost"), (b"content-length", str(len(BODY)).encode())]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode("latin-1")))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "extensions": {},
    }
    sent = []
    messages = [{"type": "http.request", "body": BODY, "more_body": False}]

    async def receive():
        if messages:
            return messages.pop()
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message.get("body", b""))

    await app(scope, receive, send)
    return b"".join(sent).decode("latin-1")


def django():
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIRequest

    if not settings.configured:
        settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"])
        django.setup()
    return lambda content_type: WSGIRequest(environ(content_type)).POST.get(NAME)


def flask():
    from flask import Flask, request

    app = Flask("form_parsers")
    app.add_url_rule("/", view_func=lambda: request.form.get(NAME, ""), methods=["POST"])
    return lambda content_type: answer(app, content_type)


def bottle():
    import bottle

    return lambda content_type: bottle.BaseRequest(environ(content_type)).forms.get(NAME)


def webob():
    from webob import Request

    return lambda content_type: Request(environ(content_type)).POST.get(NAME)


def falcon():
    import falcon

    class Resource:
        def on_post(self, req, resp):
            resp.text = str(req.get_media().get(NAME))

    class OldResource:
        def on_post(self, req, resp):
            resp.text = str(req.get_param(NAME))

    apps = []
    for resource in (Resource(), OldResource()):
        app = falcon.App()
        app.req_options.auto_parse_form_urlencoded = isinstance(resource, OldResource)
        app.add_route("/", resource)
        app.set_error_serializer(lambda *_: None)
        apps.append(app)
    return lambda content_type: " ".join(answer(app, content_type) for app in apps)


def cherrypy():
    import cherrypy

    cherrypy.config.update({"environment": "embedded", "log.screen": False})

    class Root:
        @cherrypy.expose
        def index(self, **parameters):
            return str(parameters.get(NAME))

    app = cherrypy.Application(Root())
    app.log.screen = False
    return lambda content_type: answer(app, content_type)


def starlette():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def read(request):
        form = await request.form()
        return PlainTextResponse(str(form.get(NAME)))

    app = Starlette(routes=[Route("/", read, methods=["POST"])])
    return lambda content_type: asyncio.run(asgi_answer(app, content_type))


def quart():
    from quart import Quart, request

    app = Quart("form_parsers")

    async def read():
        return (await request.form).get(NAME, "")

    app.add_url_rule("/", view_func=read, methods=["POST"])
    return lambda content_type: asyncio.run(asgi_answer(app, content_type))


def litestar():
    from litestar import Litestar, Request, post

    @post("/")
    async def read(request: Request) -> str:
        return str((await request.form()).get(NAME))

    app = Litestar([read], openapi_config=None)
    return lambda content_type: asyncio.run(asgi_answer(app, content_type))


def aiohttp():
    from aiohttp import web

    async def exchange(content_type):
        async def read(request):
            return web.Response(text=str((await request.post()).get(NAME)))

        app = web.Application()
        app.router.add_post("/", read)
        return await served(web, app, content_type)

    return lambda content_type: asyncio.run(exchange(content_type))


async def served(web, app, content_type):
    """Sends the request to an aiohttp server, byte for byte."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\nConnection: close\r\n"
    if content_type is not None:
        head += f"Content-Type: {content_type}\r\n"
    writer.write(head.encode("latin-1") + b"\r\n" + BODY)
    response = await reader.read()
    writer.close()
    await runner.cleanup()
    return response.split(b"\r\n\r\n", 1)[-1].decode("latin-1")


def tornado():
    from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

    class Connection:
        context = None

        def set_close_callback(self, _):
            pass

    def read(content_type):
        headers = HTTPHeaders({"Host": "localhost"})
        if content_type is not None:
            headers["Content-Type"] = content_type
        line = RequestStartLine("POST", "/", "HTTP/1.1")
        request = HTTPServerRequest(headers=headers, start_line=line, connection=Connection())
        request.body = BODY
        request._parse_body()
        return request.body_arguments.get(NAME, [b""])[0].decode()

    return read


FRAMEWORKS = {
    "Django": (django, "django"),
    "Flask": (flask, "flask"),
    "Bottle": (bottle, "bottle"),
    "WebOb (Pyramid)": (webob, "webob"),
    "Falcon": (falcon, "falcon"),
    "CherryPy": (cherrypy, "cherrypy"),
    "Starlette (FastAPI)": (starlette, "starlette"),
    "Quart": (quart, "quart"),
    "Litestar": (litestar, "litestar"),
    "aiohttp": (aiohttp, "aiohttp"),
    "Tornado": (tornado, "tornado"),
}


def reads(parser, content_type):
    try:
        return VALUE in (parser(content_type) or "")
    except Exception:
        return False


def main():
    cases = [json.loads(line) for line in sys.stdin]
    found = {}
    for name, (make, package) in FRAMEWORKS.items():
        parser = make()
        assert reads(parser, "application/x-www-form-urlencoded"), f"{name} reads no form at all"
        found[name] = {"version": version(package), "reads": [reads(parser, case) for case in cases]}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    main()
