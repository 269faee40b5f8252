"""A verifier in Python, as a team could write it instead of using Countersign: the peer of the benchmarks.

It uses grpc.aio on uvloop for the calls, oauthlib's ResourceEndpoint for the signatures, and redis-py with hiredis for
consumers, tokens and nonces. Like Countersign, it caches consumers and tokens for ten seconds, so that a warm request
costs one round trip to Redis. It does only what a fair comparison needs: no scopes, no routes, no immediate revocation, no
metrics, and no log of denials.

    server.py ADDRESS REDIS_URL     secrets are at peer:consumer:KEY and peer:token:KEY:TOKEN
"""

import sys
import time

import grpc
import redis.asyncio
import uvloop
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationServicer, add_AuthorizationServicer_to_server
from envoy.type.v3.http_status_pb2 import HttpStatus
from oauthlib.oauth1 import RequestValidator, ResourceEndpoint
from oauthlib.oauth1.rfc5849.signature import collect_parameters

WINDOW = 300
CACHED_FOR = 10


class Validator(RequestValidator):
    """The callbacks of oauthlib, which use the secrets that were looked up before."""

    enforce_ssl = False
    timestamp_lifetime = WINDOW
    client_key_length = access_token_length = nonce_length = (1, 255)
    safe_characters = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
    allowed_signature_methods = ["HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512"]
    dummy_client = dummy_access_token = "nobody"

    def __init__(self):
        self.secrets = {}

    def validate_timestamp_and_nonce(self, *_args, **_kwargs):
        # oauthlib checks the window; the nonce is claimed after the signature is verified.
        return True

    def validate_client_key(self, client_key, _request):
        return self._secret(client_key, "") is not None

    def validate_access_token(self, client_key, token, _request):
        return self._secret(client_key, token) is not None

    def validate_realms(self, *_args, **_kwargs):
        return True

    def get_client_secret(self, client_key, _request):
        return self._secret(client_key, "") or "dummy"

    def get_access_token_secret(self, client_key, token, _request):
        return self._secret(client_key, token) or "dummy"

    def _secret(self, client_key, token):
        return self.secrets.get((client_key, token), (None, 0))[0]


class Authorization(AuthorizationServicer):
    def __init__(self, store):
        self.store, self.validator = store, Validator()
        self.endpoint = ResourceEndpoint(self.validator)

    async def Check(self, check, _context):
        http = check.attributes.request.http
        headers = {one.key: one.raw_value.decode("latin-1") for one in http.header_map.headers} or dict(http.headers)
        claims = dict(collect_parameters(headers=headers, exclude_oauth_signature=False))
        await self._look_up(claims.get("oauth_consumer_key", ""), claims.get("oauth_token", ""))
        uri, body = f"{http.scheme}://{http.host}{http.path}", (http.raw_body or http.body.encode()).decode("latin-1")
        valid, request = self.endpoint.validate_protected_resource_request(uri, http.method, body, headers)
        if not valid or not await self._claim(request):
            return denied()
        return allowed(request.client_key)

    async def _look_up(self, consumer, token):
        """Looks up consumer and token in one round trip, unless they are cached."""
        now, secrets = time.monotonic(), self.validator.secrets
        names = [(consumer, ""), (consumer, token)]
        if all(secrets.get(name, (None, 0))[1] > now for name in names):
            return
        found = await self.store.mget(f"peer:consumer:{consumer}", f"peer:token:{consumer}:{token}")
        if len(secrets) > 100_000:
            secrets.clear()
        for name, secret in zip(names, found):
            secrets[name] = (secret, now + CACHED_FOR)

    async def _claim(self, request):
        nonce = f"peer:nonce:{request.client_key}:{request.resource_owner_key}:{request.timestamp}:{request.nonce}"
        return await self.store.set(nonce, 1, nx=True, ex=2 * WINDOW)


def allowed(consumer):
    identity = {"x-credential-identifier": consumer, "x-consumer-username": consumer}
    headers = [HeaderValueOption(header=HeaderValue(key=key, value=value)) for key, value in identity.items()]
    response = CheckResponse(ok_response=OkHttpResponse(headers=headers, headers_to_remove=["authorization"]))
    response.status.code = 0
    return response


def denied():
    challenge = HeaderValueOption(header=HeaderValue(key="www-authenticate", value='OAuth realm="api"'))
    response = CheckResponse(denied_response=DeniedHttpResponse(status=HttpStatus(code=401), headers=[challenge]))
    response.status.code = grpc.StatusCode.UNAUTHENTICATED.value[0]
    return response


async def serve(address, url):
    server = grpc.aio.server()
    add_AuthorizationServicer_to_server(Authorization(redis.asyncio.from_url(url, decode_responses=True)), server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
