"""What each worker says of itself with its heartbeat. An entry expires by the server's clock."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from jobs.state.rq_adapter import WORKERS_KEY, worker_name

if TYPE_CHECKING:
    import redis

_PREFIX: Final = "jobs:worker:"


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """A live worker.

    machine  boot ID of its machine
    job_id   of the job that it works on; empty while it has none
    paused   why it takes no jobs; empty if it does
    cause    OPERATOR or the kind of the fault that paused it
    drains   whether it stops after its job
    skew_s   seconds by which the clock of its machine is ahead of the server's
    locks    problem with file locks shared between machines; empty if there is none
    """

    name: str
    machine: str
    job_id: str = ""
    paused: str = ""
    cause: str = ""
    drains: bool = False
    skew_s: float = 0.0
    locks: str = ""


def write_state(client: redis.Redis, state: WorkerState, lifetime_s: int) -> None:
    """Raises redis.RedisError."""
    client.set(f"{_PREFIX}{state.name}", json.dumps(asdict(state)), ex=lifetime_s)


def read_states(client: redis.Redis) -> list[WorkerState]:
    """The workers with a heartbeat in the last 15 s. Raises redis.RedisError."""
    members: Any = client.smembers(WORKERS_KEY)
    names = sorted(worker_name(_text(member)) for member in members)
    texts: Any = client.mget([f"{_PREFIX}{name}" for name in names]) if names else []
    return [state for state in map(_state, texts) if state is not None]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _state(text: Any) -> WorkerState | None:
    try:
        return WorkerState(**json.loads(text))
    except (ValueError, TypeError):
        return None
