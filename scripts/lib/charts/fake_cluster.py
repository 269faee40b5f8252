"""A server with as much of the Kubernetes API as helm reads while it renders a chart for a cluster."""

import contextlib
import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

KINDS = {
    "v1": ["Namespace", "Secret", "ServiceAccount", "ConfigMap", "Service", "Pod"],
    "apps/v1": ["StatefulSet", "Deployment"],
}
APPS_V1 = {"groupVersion": "apps/v1", "version": "v1"}
APPS = {"name": "apps", "versions": [APPS_V1], "preferredVersion": APPS_V1}
NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextlib.contextmanager
def cluster(objects):
    """Serves the objects by their path, and yields the path of a kubeconfig."""
    discovery = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [APPS]},
        "/api/v1": resources("v1"),
        "/apis/apps/v1": resources("apps/v1"),
        "/api/v1/namespaces/kube-system": {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system"}},
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(discovery | objects))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            yield kubeconfig(Path(directory), server.server_port)
    finally:
        server.shutdown()
        server.server_close()


def resources(version):
    """Returns the answer of discovery for a version."""
    listed = [
        {"name": f"{kind.lower()}s", "kind": kind, "namespaced": kind != "Namespace", "verbs": ["get"]} for kind in KINDS[version]
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": listed}


def handler(objects):
    """Returns a handler that answers with the objects."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            found = objects.get(self.path.partition("?")[0])
            body = json.dumps(found or NOT_FOUND).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *arguments):  # noqa: A002
            pass

    return Handler


def kubeconfig(directory, port):
    """Writes a kubeconfig for the server."""
    path = directory / "kubeconfig"
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "users": [{"name": "fake", "user": {}}],
    }
    path.write_text(yaml.dump(configuration), encoding="utf-8")
    return path
