"""TCP ports for servers that come back on the same port.

The system gives its own choice of ports to outgoing connections too, so a port that it chose once may be taken when its server starts
again; these lie below that range, and no other test gets them.
"""
import errno
import random
import socket
from pathlib import Path

_FIRST = 10_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_claims: "dict[int, socket.socket]" = {}
# Tests may seed the module's own generator; two runs that did would ask for the same ports in the same order.
_random = random.SystemRandom()


def reserve_port() -> int:
    """A port of the loopback that nobody uses and that stays with this process, whether or not a server listens on it."""
    end = int(_RANGE.read_text().split()[0])
    assert end > _FIRST + 1_000, f"{_RANGE} begins at {end}; tests need ports below it"
    for _ in range(1_000):
        port = _random.randrange(_FIRST, end)
        claim = None if port in _claims else _claim(port)
        if claim is None:
            continue
        if _is_free(port):
            _claims[port] = claim
            return port
        claim.close()
    raise AssertionError(f"no port from {_FIRST} to {end - 1} is free")


def _claim(port: int) -> "socket.socket | None":
    # An abstract socket's name is one process's at a time and goes with it; TestPorts.cs claims by the same names.
    return _bound(socket.AF_UNIX, f"\0kvtier-test-port-{port}")


def _is_free(port: int) -> bool:
    probe = _bound(socket.AF_INET, ("", port))
    if probe is None:
        return False
    probe.close()
    return True


def _bound(family: int, address) -> "socket.socket | None":
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.bind(address)
        return bound
    except OSError as refused:
        bound.close()
        if refused.errno != errno.EADDRINUSE:
            raise
        return None
