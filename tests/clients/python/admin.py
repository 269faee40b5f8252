"""Administers Countersign with a client that grpcio-tools generates from proto/, and signs with the issued credentials.

Reads its parameters as JSON from the first argument: `proto`, the directory of the definition; `api`, the address of
the API; `admin_token` and `issuer_token`; `url`, the URL of Envoy. Prints the results as JSON.
"""

import json
import pathlib
import sys
import tempfile

import grpc
import grpc_tools
from grpc_tools import protoc
from requests_oauthlib import OAuth1Session

GIVEN = json.loads(sys.argv[1])


def main():
    with tempfile.TemporaryDirectory() as generated:
        generate(generated)
        sys.path.insert(0, generated)
        with grpc.insecure_channel(GIVEN["api"]) as channel:
            json.dump(administer(channel), sys.stdout)


def generate(directory):
    proto = pathlib.Path(GIVEN["proto"])
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    files = [str(file.relative_to(proto)) for file in sorted(proto.rglob("*.proto"))]
    options = [f"-I{proto}", f"-I{well_known}", f"--python_out={directory}", f"--grpc_python_out={directory}"]
    assert protoc.main(["protoc", *options, *files]) == 0


def administer(channel):
    from countersign.v1 import consumer_pb2, consumer_pb2_grpc, token_pb2, token_pb2_grpc, user_pb2, user_pb2_grpc
    from google.protobuf.field_mask_pb2 import FieldMask

    consumers = consumer_pb2_grpc.ConsumerServiceStub(channel)
    users = user_pb2_grpc.UserServiceStub(channel)
    tokens = token_pb2_grpc.TokenServiceStub(channel)
    admin, issuer = bearer("admin_token"), bearer("issuer_token")

    asked = consumer_pb2.Consumer(name="Printer in Python", scopes=["read"])
    created = consumers.CreateConsumer(consumer_pb2.CreateConsumerRequest(consumer=asked), metadata=admin)
    key = created.consumer.consumer_key
    changed = consumers.UpdateConsumer(
        consumer_pb2.UpdateConsumerRequest(
            consumer=consumer_pb2.Consumer(consumer_key=key, scopes=["read", "write"], etag=created.consumer.etag),
            update_mask=FieldMask(paths=["scopes"]),
        ),
        metadata=admin,
    )
    user = users.CreateUser(user_pb2.CreateUserRequest(user=user_pb2.User(username="alice")), metadata=admin)
    asked = token_pb2.Token(consumer_key=key, user_id=user.user_id, scopes=["read"])
    issued = tokens.CreateToken(token_pb2.CreateTokenRequest(token=asked), metadata=issuer)
    session = OAuth1Session(
        key,
        client_secret=created.consumer_secret,
        resource_owner_key=issued.token.token,
        resource_owner_secret=issued.token_secret,
    )
    known = tokens.IntrospectToken(token_pb2.IntrospectTokenRequest(token=issued.token.token), metadata=issuer)
    return {
        "consumer_key": key,
        "user_id": user.user_id,
        "name": changed.name,
        "scopes": list(changed.scopes),
        "listed": [one.consumer_key for one in all_consumers(consumers, consumer_pb2, admin)],
        "active": known.active,
        "status": session.get(f"{GIVEN['url']}/photos", params={"q": "caffè latte & more"}).status_code,
        "refused": [
            refusal(lambda: consumers.CreateConsumer(consumer_pb2.CreateConsumerRequest(), metadata=admin)),
            refusal(lambda: consumers.ListConsumers(consumer_pb2.ListConsumersRequest(), metadata=issuer)),
            refusal(lambda: consumers.ListConsumers(consumer_pb2.ListConsumersRequest())),
        ],
    }


def all_consumers(consumers, consumer_pb2, metadata):
    """Lists all consumers, one on each page."""
    page_token = ""
    while True:
        request = consumer_pb2.ListConsumersRequest(page_size=1, page_token=page_token)
        page = consumers.ListConsumers(request, metadata=metadata)
        yield from page.consumers
        page_token = page.next_page_token
        if not page_token:
            return


def bearer(token):
    return (("authorization", f"Bearer {GIVEN[token]}"),)


def refusal(call):
    try:
        return str(call())
    except grpc.RpcError as error:
        return [error.code().name, error.details()]


if __name__ == "__main__":
    main()
