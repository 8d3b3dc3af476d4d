"""Shares of one client: keys, places, requests, time for checks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from jobs.errors import ClientBusy, ServerBusy
from rest.clients import (
    REQUESTS,
    REQUESTS_AT_WORK,
    WRONG_KEYS,
    WRONG_KEYS_WINDOW_S,
    KeyTries,
    Places,
    RequestShare,
    TimeBudget,
    client_of,
)


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


def test_after_some_wrong_keys_a_new_key_of_the_same_client_waits() -> None:
    clock = Clock()
    tries = KeyTries(clock)
    assert tries.admit("a", "known before")
    for _ in range(WRONG_KEYS):
        assert tries.wait_s("a") == 0
        tries.note_wrong("a")
    assert tries.wait_s("a") == WRONG_KEYS_WINDOW_S
    assert not tries.admit("a", "guessed")
    assert tries.admit("a", "known before"), "other programs of this address have access"
    assert tries.admit("b", "guessed")
    clock.now = WRONG_KEYS_WINDOW_S + 1
    assert tries.wait_s("a") == 0
    assert tries.admit("a", "guessed")


def test_places_are_shared_between_clients() -> None:
    places = Places("uploads", total=3, each=2)
    with contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(places.hold("a"))
        with pytest.raises(ClientBusy, match="2 uploads"), places.hold("a"):
            pass
        held.enter_context(places.hold("b"))
        with pytest.raises(ServerBusy, match="3 uploads"), places.hold("c"):
            pass
    with places.hold("c"):
        pass


def test_requests_of_a_client_wait_for_their_turn_and_too_many_are_refused() -> None:
    async def scenario() -> None:
        released = asyncio.Event()
        at_work: list[str] = []
        statuses: list[int] = []

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            at_work.append(scope["client"][0])
            await released.wait()
            await PlainTextResponse("done")(scope, receive, send)

        share = RequestShare(slow)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        def ask(client: str) -> asyncio.Task[None]:
            scope = {"type": "http", "method": "GET", "client": (client, 1)}
            return asyncio.create_task(share(scope, receive, send))

        tasks = [ask("192.0.2.1") for _ in range(REQUESTS + 5)] + [ask("192.0.2.2")]
        await asyncio.sleep(0.01)
        assert at_work == ["192.0.2.1"] * REQUESTS_AT_WORK + ["192.0.2.2"]
        assert statuses == [429] * 5
        released.set()
        await asyncio.gather(*tasks)
        assert statuses.count(200) == REQUESTS + 1

    run(scenario())


def test_checks_of_a_client_run_one_by_one_within_a_time_budget() -> None:
    async def scenario() -> None:
        clock = Clock()
        budget = TimeBudget(2, 10.0, 60.0, clock)
        running: list[str] = []

        async def check(client: str, seconds: float) -> None:
            async with budget.spend(client):
                running.append(client)
                await asyncio.sleep(0)
                assert running.count("a") <= 1
                clock.now += seconds
                running.remove(client)

        await asyncio.gather(check("a", 4.0), check("a", 4.0), check("b", 1.0), check("a", 4.0))
        with pytest.raises(ClientBusy, match="in the last 1 minutes"):
            await check("a", 0.0)
        await check("b", 1.0)
        clock.now += 61.0
        await check("a", 1.0)

    run(scenario())
