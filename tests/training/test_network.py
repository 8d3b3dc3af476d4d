"""The network, its loss, its export and resuming a killed run; needs torch, in the environment of `make train`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is needed for training only: make train installs it in .venv-train")
pytest.importorskip("onnx", reason="onnx is needed for training only: make train installs it in .venv-train")
pytestmark = pytest.mark.slow

import torch  # noqa: E402  after the skip

from training.knee_unet.export import mean_parameters, read_parameters, write_weights  # noqa: E402
from training.knee_unet.network import (  # noqa: E402  after the skip
    CHANNELS,
    UNLIKELY,
    KneeUNet,
    known_classes,
    load_parameters,
    soft_loss,
)
from training.knee_unet.specimen import CLASS_COUNT, NETWORK_CLASS_COUNT  # noqa: E402  after the skip

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "models" / "knee_unet" / "weights.onnx"


def test_stored_weights_and_the_torch_network_give_the_same_result() -> None:
    import onnxruntime

    network = KneeUNet()
    load_parameters(network, read_parameters(WEIGHTS))
    image = torch.randn(1, 1, 32, 48, 64, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(WEIGHTS, providers=["CPUExecutionProvider"])
    stored = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
    with torch.no_grad():
        assert np.abs(network.eval()(image).numpy()[:, : stored.shape[1]] - stored).max() < 1e-3


def test_stored_weights_with_fewer_classes_start_a_wider_network_with_the_same_answers() -> None:
    parameters = read_parameters(WEIGHTS)
    weight, bias = parameters["head.weight"], parameters["head.bias"]
    narrow = parameters | {"head.weight": weight[:, :CLASS_COUNT], "head.bias": bias[:CLASS_COUNT]}
    wide = KneeUNet()
    load_parameters(wide, narrow)
    image = torch.randn(1, 1, 32, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        shares = torch.softmax(wide.eval()(image), 1)
    assert shares.shape[1] == NETWORK_CLASS_COUNT
    assert (shares[:, CLASS_COUNT:] <= shares[:, :1] * np.exp(UNLIKELY) + 1e-6).all()
    merged = known_classes(shares.log(), CLASS_COUNT).exp()
    assert torch.allclose(merged.sum(1), torch.ones(()), atol=1e-5)
    assert torch.allclose(merged[:, 0], shares[:, 0] + shares[:, CLASS_COUNT:].sum(1), atol=1e-5)


def test_export_and_import_change_probabilities_by_float16_rounding_only(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = KneeUNet()
    with torch.no_grad():  # as after some steps: the exporter keeps one copy of parameters that are equal
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    write_weights(network, tmp_path / "weights.onnx")
    assert (tmp_path / "weights.onnx").stat().st_size < 9e6
    again = KneeUNet()
    load_parameters(again, read_parameters(tmp_path / "weights.onnx"))
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        difference = torch.softmax(network.eval()(image), 1) - torch.softmax(again.eval()(image), 1)
    assert difference.abs().max() < 0.02


def test_weights_of_another_network_are_rejected() -> None:
    with pytest.raises(ValueError, match="do not match"):
        load_parameters(KneeUNet(), KneeUNet().state_dict() | {"other": torch.zeros(1)})


def test_runs_of_one_network_are_averaged_and_of_two_networks_rejected(tmp_path: Path) -> None:
    for name, channels, level in (("a", CHANNELS, 1.0), ("b", CHANNELS, 4.0), ("other", CHANNELS[:3], 1.0)):
        average = {key: torch.full_like(values, level) for key, values in KneeUNet(channels).state_dict().items()}
        torch.save({"average": average}, tmp_path / f"{name}.pt")
    mean = mean_parameters([tmp_path / "a.pt", tmp_path / "b.pt"])
    assert all(bool((values == 2.5).all()) for values in mean.values())
    with pytest.raises(ValueError, match="different networks"):
        mean_parameters([tmp_path / "a.pt", tmp_path / "other.pt"])


def test_the_loss_has_its_minimum_at_the_soft_targets() -> None:
    targets = torch.softmax(3 * torch.randn(1, 7, 16, 16, 16, generator=torch.Generator().manual_seed(0)), 1)
    coarse = torch.nn.functional.avg_pool3d(targets, 4)
    right = soft_loss((targets.log(), coarse.log()), targets)
    for gain in (0.5, 2.0):
        assert soft_loss((gain * targets.log(), coarse.log()), targets) > right


def test_a_killed_run_resumes_from_its_checkpoint_and_improves(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training.knee_unet.train", "--output", str(tmp_path), "--minutes", "1.5"]
    command += ["--checkpoint-minutes", "0.2", "--probes", "2"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8")
    log = tmp_path / "log.jsonl"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not (log.exists() and len(log.read_text().splitlines()) >= 3):
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert log.exists(), "no checkpoint within 240 s"
    before = [json.loads(line) for line in log.read_text().splitlines()]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert f"resuming from step {before[-1]['step']}" in second.stdout
    after = [json.loads(line) for line in log.read_text().splitlines()]
    assert after[-1]["step"] > before[-1]["step"] > 0
    assert after[-1]["probe_loss"] < 0.95 * after[0]["probe_loss"]  # 1.99 to 1.77 on two busy cores
    assert (tmp_path / "best.pt").is_file()
