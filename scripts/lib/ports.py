"""Chooses ports on the loopback interface: the usual ones, or others if they are taken."""

import contextlib
import socket

ADDRESS = "127.0.0.1"

# Held until this process ends. Only its holder gets the usual ports, so that two processes that start at the same
# moment do not choose the same ones.
_usual = socket.socket(socket.AF_UNIX)


def choose(usual):
    """Returns a dictionary with a free port for each of the usual ones: the same port if it is free.

    A process calls it once.
    """
    try:
        _usual.bind("\0countersign-usual-ports")
        is_usual_allowed = True
    except OSError:
        is_usual_allowed = False
    with contextlib.ExitStack() as held:
        chosen = {port: is_usual_allowed and _bound(port, held) for port in usual}
        return {port: found or _bound(0, held) for port, found in chosen.items()}


def in_envoy_configuration(text, ports):
    """Replaces the ports in the text of deploy/envoy/envoy.yaml, each of which appears once."""
    for port, other in ports.items():
        text = text.replace(f"port_value: {port} ", f"port_value: {other} ")
    return text


def _bound(port, held):
    """Binds the port, or any free port for 0, and returns it, or None if it is taken."""
    listener = held.enter_context(socket.socket())
    # A closed connection of an earlier process does not take a port.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with contextlib.suppress(OSError):
        listener.bind((ADDRESS, port))
        # Without listening, another socket with the same option could be bound to the port.
        listener.listen()
        return listener.getsockname()[1]
    return None
