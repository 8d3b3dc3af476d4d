"""States of a job for the tests of the reconciler: its record, its queue entry, its folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobs.state import reconciler
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord
from jobs.state.reconciler import Reconciler


def impatient_backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A backend whose reconcilers wait for no confirmation."""
    monkeypatch.setattr(reconciler, "CONFIRM_AFTER_S", 0.0)
    monkeypatch.setattr(reconciler, "SUBMISSION_GRACE_S", 0.0)
    monkeypatch.setattr(reconciler, "HEARTBEAT_MISSED", now() - now())  # the test's Valkey may be young
    return open_backend()


def put(backend: Backend, **fields: Any) -> JobRecord:
    """A submitted job, then changed only in the store."""
    record = JobRecord(id="job", created_at=now(), input_filename="knee.nii.gz")
    backend.storage.write_record(record)
    backend.queue.enqueue(record)
    if fields:
        backend.store.change("job", lambda _: fields)
    return replace(record, **fields)


def take(redis_client: Any) -> None:
    """Take an entry like RQ's worker."""
    assert redis_client.lmove("rq:queue:analyses", "rq:queue:analyses:intermediate", "LEFT", "RIGHT") == "job"


def stand(backend: Backend) -> tuple[str, list[str]]:
    record = backend.store.load("job")
    return (str(record.status) if record else "", backend.queue.waiting())


def run_passes(backend: Backend, count: int = 2) -> list[str]:
    instance = Reconciler(backend)
    return [item.what for _ in range(count) for item in instance.reconcile()]
