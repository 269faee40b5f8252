"""Calls grpc.health.v1 with the client that the gRPC authors publish.

`health.py check ADDRESS` prints the status of each service as JSON. `health.py watch ADDRESS` prints each status of the
whole server as a line on standard error, until it is killed.
"""

import json
import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

SERVICES = ("", "envoy.service.auth.v3.Authorization", "nobody.knows.This")


def main():
    command, address = sys.argv[1:]
    with grpc.insecure_channel(address) as channel:
        {"check": check, "watch": watch}[command](HealthStub(channel))


def check(health):
    json.dump({service: status(health, service) for service in SERVICES}, sys.stdout)


def status(health, service):
    try:
        return name(health.Check(HealthCheckRequest(service=service), timeout=5))
    except grpc.RpcError as error:
        return error.code().name


def watch(health):
    for response in health.Watch(HealthCheckRequest(service="")):
        print(name(response), file=sys.stderr, flush=True)


def name(response):
    return HealthCheckResponse.ServingStatus.Name(response.status)


if __name__ == "__main__":
    main()
