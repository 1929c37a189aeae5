"""Slows guessing down: after some wrong secrets an address waits, twice as long each time; many wrong ones at once slow everybody.

Pure but for the clock. An attacker with many addresses meets the second rule; nobody can lock others out, only slow them.
"""

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

FREE = 5
LONGEST = 900.0
FORGET = 3600.0
ADDRESSES = 10_000
# More wrong secrets than this in a minute, from anywhere, and every answer to one takes its time.
BUSY = 60
PAUSE = 2.0


class Throttle:
    """Counts wrong secrets by address and altogether."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=BUSY)

    def wait(self, address: str) -> float:
        """Return for how many seconds the address must not try again; 0 when it may now."""
        with self._lock:
            count, last = self._failures.get(_network(address), (0, 0.0))
            if count < FREE:
                return 0.0
            return max(0.0, last + min(2.0 ** (count - FREE), LONGEST) - self._clock())

    def pause(self) -> float:
        """Return for how many seconds any answer to a secret is held back now."""
        with self._lock:
            full = len(self._recent) == BUSY and self._recent[0] > self._clock() - 60
            return PAUSE if full else 0.0

    def failed(self, address: str) -> None:
        """Note a wrong secret."""
        with self._lock:
            now, network = self._clock(), _network(address)
            count, last = self._failures.pop(network, (0, now))
            self._failures[network] = (count + 1 if now - last < FORGET else 1, now)
            while len(self._failures) > ADDRESSES:
                self._failures.popitem(last=False)
            self._recent.append(now)

    def passed(self, address: str) -> None:
        """Note a right secret: the address starts anew."""
        with self._lock:
            self._failures.pop(_network(address), None)


def _network(address: str) -> str:
    """Return what counts as one address: for IPv6 the network of 64 bits, which one household has as a whole."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return address[:64]
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
