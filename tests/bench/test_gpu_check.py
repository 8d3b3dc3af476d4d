"""The check of an NVIDIA card: refuses without one, and reports exactly the missed requirements."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import gpu_check
from bench.gpu_check import NO_CARD, ROOT, cards, missed_bars, report
from bench.gpu_run import dice_of

LISTED = (sys.executable, "-c", "print('NVIDIA H200, 143771 MiB'); print()")


def found(dice: float = 0.9995, fast: float = 3.0, adapting: int = 40) -> dict[str, object]:
    scan = {"name": "sample", "seconds": {"cpu": 12.0, "cuda": fast}, "dice": {"1": 1.0, "4": dice}}
    return {"devices": ["cpu", "cuda"], "scans": [scan], "steps": {"training": 50, "adapting": adapting}}


def test_without_a_driver_there_is_no_card() -> None:
    assert cards(("a-program-that-does-not-exist",)) == []
    assert cards((sys.executable, "-c", "raise SystemExit(9)")) == []
    assert cards(LISTED) == ["NVIDIA H200, 143771 MiB"]


@pytest.mark.skipif(bool(cards()), reason="this machine has an NVIDIA card")
def test_without_a_card_nothing_is_installed_and_the_exit_status_states_it(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    asked = [sys.executable, "-m", "bench.gpu_check", "--environment", str(environment)]
    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert answer.returncode == NO_CARD
    assert "No NVIDIA card was found" in answer.stderr
    assert "Nothing was installed" in answer.stderr
    assert not environment.exists()


def test_equal_labels_in_less_time_miss_no_requirement() -> None:
    assert missed_bars(found()) == []
    assert report(found())[0] == "sample: cpu 12.0 s, cuda 3.0 s, lowest Dice of both 0.99950"


def test_every_missed_requirement_is_reported_with_its_numbers() -> None:
    other, slow, stuck = missed_bars(found(dice=0.99, fast=13.0, adapting=0))
    assert "sample, 4: Dice of processor and card 0.99000" in other
    assert "13.0 s on cuda, 12.0 s on cpu" in slow
    assert stuck.startswith("adapting: no step")


def test_a_label_that_only_one_device_finds_has_no_overlap() -> None:
    a, b = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    a[:2], b[:2], b[3] = 1, 1, 2
    assert dice_of(a, b) == {"1": 1.0, "2": 0.0}


def test_the_environment_of_the_check_has_its_own_runtime() -> None:
    (path,) = gpu_check.REQUIREMENTS
    names = [line.split("=")[0].split("[")[0] for line in path.read_text().splitlines() if line[:1] not in ("#", "")]
    assert "onnxruntime-gpu" in names
    assert not {"onnxruntime", "onnxruntime-openvino"} & set(names)
