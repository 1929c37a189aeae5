"""Names under which this server may be asked for, and addresses under which people can reach it."""

import ipaddress
import socket
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Servers listen to one family of addresses only, so that each "everywhere" has a loopback of its own.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
# Addresses from the networks' edge; the way there shows by which address of ours we are reached.
_FAR = {"0.0.0.0": (socket.AF_INET, "10.255.255.255"), "::": (socket.AF_INET6, "2001:db8::1")}


class Hosts:
    """Says of a name in Host whether it is this server's.

    A page that is open to this machine answers to loopback names only. A closed one also answers to this machine's own names and to
    addresses in digits; a foreign name that was pointed here would only see the sign-in page, and need not even see that.
    """

    def __init__(self, port: int, *, closed: bool) -> None:
        self.closed = closed
        # Cookies do not tell ports apart, and two studios may run on one machine.
        self.cookie = f"studio-{port}"
        self.public = ""

    def __call__(self, name: str) -> bool:
        """Whether the name is one of ours."""
        if name in LOOPBACK or (self.public and name == self.public):
            return True
        return self.closed and (in_digits(name) or name.lower() in _own_names())


def reachable(address: str) -> list[str]:
    """Return the addresses to tell people of a server that listens at `address`; if at all of them, the network's first."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if host not in EVERYWHERE:
        return [address]
    return [f"http://{bracketed(each)}:{parts.port}" for each in dict.fromkeys((_network_address(host), EVERYWHERE[host]))]


def bracketed(host: str) -> str:
    """Return a host as addresses name it: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(address: str) -> bool:
    """Whether a server at this address is for this machine only."""
    return urlsplit(address).hostname in LOOPBACK


def in_digits(name: str) -> bool:
    """Whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.split(".")[0], f"{name.split('.')[0]}.local"}


def _network_address(everywhere: str) -> str:
    """Return this machine's address in its network. Nothing is sent: a datagram socket only looks up the way."""
    family, far = _FAR[everywhere]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 1))
            return str(probe.getsockname()[0])
    except OSError:
        return EVERYWHERE[everywhere]
