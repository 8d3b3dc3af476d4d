"""/health reports the state of queue, worker, disk and weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobs import service
from jobs.settings import load_settings
from jobs.views import models
from pipeline.anatomy import Structure
from pipeline.segmentation.card import Figures
from tests.support.processes import wait_until


def test_without_a_worker_the_service_is_degraded_with_a_reason(redis_client: Any) -> None:
    for key in redis_client.scan_iter("rq:worker*"):
        redis_client.delete(key)
    state = service.health()
    assert (state.status, state.redis, state.worker) == ("degraded", "connected", "unavailable")
    assert state.problems == ["No worker has sent a heartbeat for 15 s: jobs are not processed."]
    assert state.disk_free_bytes > 0
    assert state.weights["nnunet_fullres"] is True


def test_a_queue_that_rejects_writes_is_unhealthy(redis_client: Any) -> None:
    before = redis_client.config_get("maxmemory")["maxmemory"]
    redis_client.config_set("maxmemory", "1")
    try:
        state = service.health()
    finally:
        redis_client.config_set("maxmemory", before)
    assert (state.status, state.redis) == ("unhealthy", "connected")
    assert "The job queue refuses to write: its memory or its disk is full." in state.problems
    assert service.health().status != "unhealthy"


def test_a_server_without_a_model_that_can_run_is_degraded(
    redis_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings().model_copy(update={"models_dir": tmp_path})
    monkeypatch.setattr(models, "load_settings", lambda: settings)
    assert all(service.health().weights.values())
    for name in ("nnunet_fullres", "nnunet_cascade"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plans.json").write_text("{}")
    state = service.health()
    assert (state.status, set(state.weights.values())) == ("degraded", {False})
    assert "No segmentation model is installed." in state.problems


def test_a_folder_of_models_dir_is_listed_under_its_own_id(
    redis_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings().model_copy(update={"models_dir": tmp_path})
    monkeypatch.setattr(models, "load_settings", lambda: settings)
    (tmp_path / "our_knees").mkdir()
    (tmp_path / "our_knees" / "plans.json").write_text("{}")
    last = service.models()[-1]
    assert (last.card.id, last.identity.source, last.availability.available) == ("our_knees", "installed", False)
    assert set(last.identity.digests) == {"plans.json"}
    assert service.health().weights["our_knees"] is False


def test_figures_of_the_built_in_model_are_not_shown_for_an_installed_one(
    redis_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings().model_copy(update={"models_dir": tmp_path})
    monkeypatch.setattr(models, "load_settings", lambda: settings)
    folder = tmp_path / "nnunet_fullres"
    folder.mkdir()
    folder.joinpath("plans.json").write_text('{"dataset_name": "Dataset007_OurKnees"}')
    dataset = {"labels": {"background": 0, "femur": 1, "medial meniscus": 2}, "channel_names": {"0": "DESS"}}
    folder.joinpath("dataset.json").write_text(json.dumps(dataset))
    installed, built_in = service.models()
    assert "Dataset007_OurKnees" in installed.card.title
    assert installed.card.structures == (Structure.FEMUR, Structure.MEDIAL_MENISCUS)
    assert (installed.card.source, installed.card.figures, installed.repeatability) == ("installed", Figures(), None)
    assert (built_in.card.source, bool(built_in.card.figures.accuracy)) == ("built-in", True)
    folder.joinpath("dataset.json").write_text(
        '{"labels": {"femur": 1, "left ear": 2}, "channel_names": {"0": "DESS"}}'
    )
    unread = service.models()[0]
    assert (unread.availability.available, unread.card.figures, unread.card.structures) == (False, Figures(), ())
    assert "left ear" in unread.availability.reason


@pytest.mark.slow
def test_a_killed_worker_is_detected_within_20_seconds(worker: Any) -> None:
    assert service.health().status == "healthy"
    worker.kill()
    worker.wait()
    wait_until(lambda: service.health().worker == "unavailable", seconds=20, what="the missing worker")
