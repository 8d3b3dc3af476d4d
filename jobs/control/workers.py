"""Lists, pauses, resumes and drains workers."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.errors import JobConflict, WorkerNotFound
from jobs.state.backend import open_backend
from jobs.state.orders import (
    EVERY_WORKER,
    Action,
    Order,
    give_order,
    read_orders,
    withdraw_orders,
)
from jobs.state.queue import queue_errors
from jobs.state.workers import WorkerState, read_states


@queue_errors()
def workers() -> list[WorkerState]:
    """The live workers, with the orders that they have not followed yet. Orders of ended workers are removed."""
    client = open_backend().client
    states = read_states(client)
    ended = read_orders(client).keys() - {EVERY_WORKER} - {state.name for state in states}
    if ended:
        withdraw_orders(client, ended)
    return states


@queue_errors()
def pause(name: str | None, reason: str = "") -> list[str]:
    """A worker, or all and those that start later (None), take no further job until they are resumed.

    name: a part from the beginning is sufficient. Returns the names. Raises WorkerNotFound.
    """
    return _order(name, Order(action=Action.PAUSE, reason=reason), every=(EVERY_WORKER,))


@queue_errors()
def drain(name: str | None, reason: str = "") -> list[str]:
    """A worker, or all live ones (None), finish their present job and stop. Returns their names.

    Raises WorkerNotFound.
    """
    return _order(name, Order(action=Action.DRAIN, reason=reason), every=[state.name for state in workers()])


@queue_errors()
def resume(name: str | None) -> list[str]:
    """End the pause of a worker, or every pause (None). Returns the names. Raises WorkerNotFound, JobConflict."""
    client = open_backend().client
    orders = read_orders(client)
    if name is None:
        names = sorted(orders)
    else:
        names = [_worker(name)]
        if EVERY_WORKER in orders:
            raise JobConflict("All workers are paused.", hint="`python -m jobs resume --all` resumes them.")
    if names:
        withdraw_orders(client, names)
    return names


def _order(name: str | None, order: Order, every: Sequence[str]) -> list[str]:
    names = list(every) if name is None else [_worker(name)]
    if names:
        give_order(open_backend().client, names, order)
    return names


def _worker(name: str) -> str:
    """The name of the live worker that begins like this."""
    found = [state.name for state in workers() if state.name.startswith(name)]
    if len(found) != 1:
        raise WorkerNotFound(
            f"{len(found)} live workers have a name that begins with {name!r}; expected one.",
            hint="`python -m jobs workers` lists them.",
        )
    return found[0]
