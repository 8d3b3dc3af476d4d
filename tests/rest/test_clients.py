"""Shares of one client: keys, places, requests, time for checks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from jobs.errors import ClientBusy, ServerBusy
from rest import clients
from rest.clients import (
    REQUESTS,
    REQUESTS_AT_WORK,
    TURN_WAIT_S,
    WRONG_KEYS,
    WRONG_KEYS_WINDOW_S,
    KeyTries,
    Places,
    RequestShare,
    TimeBudget,
    client_of,
)
from tests.support.processes import ROOT


class Clock:
    """A clock that is set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, None]) -> None:
    """In a separate thread: a browser test in the same process leaves an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("not an address", "not an address"),
    ],
)
def test_a_client_is_an_address_or_an_ipv6_network(address: str, client: str) -> None:
    assert client_of({"type": "http", "client": (address, 1)}) == client
    assert client_of({"type": "http", "client": None}) == ""


def test_the_shares_are_those_of_the_documentation() -> None:
    table = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert (
        f"| requests at a time, per process | {REQUESTS_AT_WORK}, {REQUESTS - REQUESTS_AT_WORK} more wait | |" in table
    )
    assert f"after {WRONG_KEYS} wrong ones in a minute" in table
    assert WRONG_KEYS_WINDOW_S == 60


def test_after_some_wrong_keys_a_new_key_of_the_same_client_waits() -> None:
    clock = Clock()
    clock.now = 1000.0
    tries = KeyTries(clock)
    assert tries.admit("a", "known before")
    for _ in range(WRONG_KEYS):
        assert tries.wait_s("a") == 0
        tries.note_wrong("a")
        clock.now += 1
    assert tries.wait_s("a") == WRONG_KEYS_WINDOW_S - WRONG_KEYS, "until the first of them is old"
    assert not tries.admit("a", "guessed")
    assert tries.admit("a", "known before"), "other programs of this address have access"
    assert tries.admit("b", "guessed")
    clock.now += tries.wait_s("a") - 0.5
    assert not tries.admit("a", "guessed")
    clock.now += 1
    assert tries.wait_s("a") == 0
    tries.note_wrong("a")
    assert tries.wait_s("a") > 0, "the others are still recent"
    clock.now += WRONG_KEYS_WINDOW_S + 1
    assert tries.admit("a", "guessed")


def test_only_the_newest_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MOST_CLIENTS", 2)
    tries = KeyTries(Clock())
    for client in ("a", "b", "a", "c"):
        for _ in range(WRONG_KEYS):
            tries.note_wrong(client)
    assert [tries.wait_s(client) > 0 for client in ("a", "b", "c")] == [True, False, True]


def test_places_are_shared_between_clients() -> None:
    places = Places("uploads", total=3, each=2)
    for _ in range(2):
        with contextlib.ExitStack() as held:
            for _ in range(2):
                held.enter_context(places.hold("a"))
            with pytest.raises(ClientBusy, match="2 uploads"), places.hold("a"):
                pass
            held.enter_context(places.hold("b"))
            with pytest.raises(ServerBusy, match="3 uploads"), places.hold("c"):
                pass
    with places.hold("a"):
        with places.hold("a"):
            pass
        with places.hold("a"), pytest.raises(ClientBusy), places.hold("a"):
            pass


class Gate:
    """An application of which the test decides when an answer starts and when it ends."""

    def __init__(self, turn_wait_s: float = TURN_WAIT_S) -> None:
        self.at_work: list[str] = []
        self.statuses: list[int] = []
        self.start, self.end = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self.share = RequestShare(self._answer, turn_wait_s)

    async def _answer(self, scope: Scope, _: Receive, send: Send) -> None:
        self.at_work.append(scope["client"][0])
        await self.start.acquire()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.end.acquire()
        await send({"type": "http.response.body", "body": b""})

    async def ask(self, client: str, number: int = 1) -> list[asyncio.Task[None]]:
        """Send requests, and wait until they stand still."""

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "client": (client, 1)}
        tasks = [asyncio.create_task(self.share(scope, receive, send)) for _ in range(number)]
        await settled()
        return tasks


async def settled() -> None:
    """Let every task continue until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_requests_of_a_client_wait_for_their_turn_and_too_many_are_refused() -> None:
    async def scenario() -> None:
        gate = Gate()
        tasks = await gate.ask("192.0.2.1", REQUESTS + 5)
        tasks += await gate.ask("192.0.2.2")
        assert gate.at_work == ["192.0.2.1"] * REQUESTS_AT_WORK + ["192.0.2.2"]
        assert gate.statuses == [429] * 5
        gate.start.release()
        gate.end.release()
        await settled()
        assert len(gate.at_work) == REQUESTS_AT_WORK + 2, "the next one has its turn"
        tasks += await gate.ask("192.0.2.1", 2)
        assert gate.statuses == [429] * 5 + [200, 429], "one place was free"
        for _ in range(REQUESTS + 1):
            gate.start.release()
            gate.end.release()
        await asyncio.gather(*tasks)
        assert gate.statuses.count(200) == REQUESTS + 2

    run(scenario())


def test_a_request_that_waits_too_long_for_its_turn_is_refused_and_takes_none_later() -> None:
    async def scenario() -> None:
        gate = Gate(turn_wait_s=0.02)
        tasks = await gate.ask("192.0.2.1", REQUESTS_AT_WORK + 3)
        await asyncio.gather(*tasks[REQUESTS_AT_WORK:])
        assert gate.statuses == [429] * 3
        for _ in range(REQUESTS_AT_WORK):
            gate.start.release()
            gate.end.release()
        await asyncio.gather(*tasks)
        assert gate.statuses == [429] * 3 + [200] * REQUESTS_AT_WORK
        tasks = await gate.ask("192.0.2.1", REQUESTS_AT_WORK)
        assert len(gate.at_work) == 2 * REQUESTS_AT_WORK, "every turn was given back"
        for task in tasks:
            task.cancel()

    run(scenario())


def test_a_download_takes_no_turn_but_counts_as_a_request() -> None:
    async def scenario() -> None:
        gate = Gate()
        for _ in range(REQUESTS):
            gate.start.release()
        tasks = await gate.ask("192.0.2.1", REQUESTS)
        assert len(gate.at_work) == REQUESTS, "all answers have started"
        tasks += await gate.ask("192.0.2.1")
        assert gate.statuses == [200] * REQUESTS + [429]
        for _ in range(REQUESTS):
            gate.end.release()
        await asyncio.gather(*tasks)
        assert not gate.share._turns, "nothing is kept of a client without requests"
        tasks = await gate.ask("192.0.2.1", REQUESTS_AT_WORK + 1)
        assert len(gate.at_work) == REQUESTS + REQUESTS_AT_WORK, "each request gave its turn back once"
        for task in tasks:
            task.cancel()

    run(scenario())


def test_the_last_request_of_a_client_still_takes_its_turn() -> None:
    async def scenario() -> None:
        gate = Gate()
        tasks = await gate.ask("192.0.2.1", REQUESTS_AT_WORK)
        for _ in range(REQUESTS_AT_WORK - 1):
            gate.start.release()
            gate.end.release()
        await settled()
        tasks += await gate.ask("192.0.2.1", REQUESTS_AT_WORK)
        assert len(gate.at_work) == 2 * REQUESTS_AT_WORK - 1
        for task in tasks:
            task.cancel()

    run(scenario())


def test_other_connections_are_not_counted() -> None:
    async def scenario() -> None:
        seen = []

        async def inner(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])

        async def nothing(*_: object) -> Any:
            return None

        await RequestShare(inner)({"type": "lifespan"}, nothing, nothing)
        assert seen == ["lifespan"]

    run(scenario())


def test_checks_of_a_client_run_one_by_one_within_a_time_budget() -> None:
    async def scenario() -> None:
        clock = Clock()
        clock.now = 1000.0
        budget = TimeBudget(2, 10.0, 6000.0, clock)
        running: list[str] = []

        async def check(client: str, seconds: float) -> None:
            async with budget.spend(client):
                running.append(client)
                await asyncio.sleep(0)
                assert running.count("a") <= 1
                assert len(running) <= 2, "places of all clients"
                clock.now += seconds
                running.remove(client)

        await asyncio.gather(check("a", 5.0), check("a", 4.0), check("b", 0.0), check("c", 0.0))
        await check("a", 1.0)
        with pytest.raises(ClientBusy, match="took 10 s in the last 100 minutes"):
            await check("a", 0.0)
        await check("b", 1.0)
        clock.now = 1000.0 + 5.0 + 6000.0
        with pytest.raises(ClientBusy):
            await check("a", 0.0)
        clock.now += 0.1
        await check("a", 0.0)
        clock.now += 12_000.0
        await check("a", 0.0)
        assert (list(budget._used), budget._lines) == (["a"], {}), "nothing else is kept"

    run(scenario())
