"""Shares of the server: what one client may use at the same time, so that the others keep access.

A client is an IPv4 address, or the /64 network of an IPv6 address. Behind proxies listed in TRUSTED_PROXIES it is the
address that they forward; otherwise all users of a proxy are one client. Counters are those of one process and are
used by its event loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.errors import ClientBusy, ServerBusy
from rest.answers import error_response
from rest.early_refusal import EarlyRefusal

K = TypeVar("K")
V = TypeVar("V")

REQUESTS_AT_WORK: Final = 16
"""Requests of one client that are worked on at the same time; its further requests wait. A thread pool has 40."""

REQUESTS: Final = 96
"""Requests of one client that are worked on or wait; further ones are refused."""

TURN_WAIT_S: Final = 8.0
"""A request that has not had its turn after this time is refused: with the time for a body it stays below 30 s."""

WRONG_KEYS: Final = 10
WRONG_KEYS_WINDOW_S: Final = 60.0
"""After this many wrong keys in this time, no new key of the client is looked at."""

MOST_CLIENTS: Final = 10_000
"""Maximum number of clients whose keys are remembered."""


def client_of(scope: Scope) -> str:
    """The client of a request."""
    address = (scope.get("client") or ("",))[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return str(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class Places:
    """A number of places for one kind of work; a client may hold some of them."""

    def __init__(self, what: str, total: int, each: int) -> None:
        """what: plural noun for the refusals; each: places of one client."""
        self._what = what
        self._total = total
        self._each = each
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def hold(self, client: str) -> Iterator[None]:
        """Hold one place during a block. Raises ClientBusy, ServerBusy."""
        if self._held[client] >= self._each:
            raise ClientBusy(f"This address has {self._each} {self._what}, the most that one may have.")
        if self._held.total() >= self._total:
            raise ServerBusy(f"The server has {self._total} {self._what}, the most at a time.")
        self._held[client] += 1
        try:
            yield
        finally:
            self._held[client] -= 1
            self._held += Counter()  # without the clients that hold none


@dataclass
class _Turns:
    """Requests of one client: a place for each at work, and the number of all."""

    at_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REQUESTS_AT_WORK))
    number: int = 0


class RequestShare:
    """Middleware: a client's requests above REQUESTS_AT_WORK wait for TURN_WAIT_S, those above REQUESTS are refused.

    A turn ends when the answer starts, so that downloads to a slow client do not delay its other requests.
    """

    def __init__(self, inner: ASGIApp, turn_wait_s: float = TURN_WAIT_S) -> None:
        self._inner = inner
        self._turn_wait_s = turn_wait_s
        self._turns: dict[str, _Turns] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        client = client_of(scope)
        turns = self._turns.setdefault(client, _Turns())
        if turns.number >= REQUESTS:
            await _refusal(f"{REQUESTS} requests, the most that one may have")(scope, receive, send)
            return
        turns.number += 1
        try:
            if await _has_turn(turns.at_work, self._turn_wait_s):
                await self._take_turn(turns, scope, receive, send)
            else:
                waited = f"{REQUESTS_AT_WORK} requests at work, and this one waited for {self._turn_wait_s:.0f} s"
                await _refusal(waited)(scope, receive, send)
        finally:
            turns.number -= 1
            if turns.number == 0:
                self._turns.pop(client, None)

    async def _take_turn(self, turns: _Turns, scope: Scope, receive: Receive, send: Send) -> None:
        with _released_early(turns.at_work) as release:

            async def started(message: Message) -> None:
                release()
                await send(message)

            await self._inner(scope, receive, started)


def _refusal(reason: str) -> EarlyRefusal:
    return EarlyRefusal.of(error_response(ClientBusy(f"This address has {reason}.")))


async def _has_turn(places: asyncio.Semaphore, wait_s: float) -> bool:
    """Wait for a place; false if none was free in time."""
    try:
        async with asyncio.timeout(wait_s):
            return await places.acquire()
    except TimeoutError:
        return False


@contextlib.contextmanager
def _released_early(places: asyncio.Semaphore) -> Iterator[Callable[[], None]]:
    """Hold a place that was taken until the yielded function is called, at most during the block."""
    held = True

    def release() -> None:
        nonlocal held
        if held:
            held = False
            places.release()

    try:
        yield release
    finally:
        release()


class KeyTries:
    """What a client has sent as keys: wrong ones within WRONG_KEYS_WINDOW_S, and right ones.

    A key that was right before remains valid while the client's others are not looked at: one wrong program must not
    stop the others behind the same address.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, deque[float]] = {}
        self._right: dict[tuple[str, str], None] = {}

    def wait_s(self, client: str) -> float:
        """Seconds until a new key of this client is looked at; 0 for now."""
        times = self._recent(client)
        return times[0] + WRONG_KEYS_WINDOW_S - self._clock() if len(times) >= WRONG_KEYS else 0.0

    def admit(self, client: str, key: str) -> bool:
        """Whether this key, which is right, counts. It does not while the client is guessing."""
        if (client, key) not in self._right and self.wait_s(client) > 0:
            return False
        _remember(self._right, (client, key), None)
        return True

    def note_wrong(self, client: str) -> None:
        """Count a wrong key."""
        times = self._recent(client)
        times.append(self._clock())
        _remember(self._wrong, client, times)

    def _recent(self, client: str) -> deque[float]:
        times = self._wrong.get(client) or deque(maxlen=WRONG_KEYS)
        while times and times[0] < self._clock() - WRONG_KEYS_WINDOW_S:
            times.popleft()
        return times


def _remember(known: dict[K, V], name: K, value: V) -> None:
    """Store it as the newest of MOST_CLIENTS."""
    known.pop(name, None)
    known[name] = value
    if len(known) > MOST_CLIENTS:
        known.pop(next(iter(known)))


@dataclass
class _Line:
    """Works of one client, which run one after another."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    number: int = 0


class TimeBudget:
    """Seconds of work that one client may use within a window; its works run one after another."""

    def __init__(
        self, places: int, budget_s: float, window_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """places: works of all clients at the same time."""
        self._places = asyncio.Semaphore(places)
        self._budget_s = budget_s
        self._window_s = window_s
        self._clock = clock
        self._used: dict[str, deque[tuple[float, float]]] = {}
        self._lines: dict[str, _Line] = {}

    @contextlib.asynccontextmanager
    async def spend(self, client: str) -> AsyncIterator[None]:
        """Wait for a place, then count the time of the block. Raises ClientBusy if the budget is used up."""
        line = self._lines.setdefault(client, _Line())
        line.number += 1
        try:
            async with line.turn:
                self._require_budget(client)
                async with self._places, self._counted(client):
                    yield
        finally:
            line.number -= 1
            if line.number == 0:
                del self._lines[client]

    @contextlib.asynccontextmanager
    async def _counted(self, client: str) -> AsyncIterator[None]:
        begun = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            self._used.setdefault(client, deque()).append((ended, ended - begun))

    def _require_budget(self, client: str) -> None:
        for name in list(self._used):
            self._forget(name)
        used = sum(seconds for _, seconds in self._used.get(client, ()))
        if used >= self._budget_s:
            raise ClientBusy(
                f"Checks of uploads of this address took {used:.0f} s in the last {self._window_s / 60:.0f} minutes.",
                hint="Try again in some minutes, with one series per upload.",
            )

    def _forget(self, client: str) -> None:
        """Drop works that ended before the window."""
        works = self._used[client]
        while works and works[0][0] < self._clock() - self._window_s:
            works.popleft()
        if not works:
            del self._used[client]
