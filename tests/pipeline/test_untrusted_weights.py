"""Weights made to run code or to read files elsewhere: nothing runs, nothing outside their folder is read, and the
refusal states the reason.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.checkpoint_file import read_checkpoint
from pipeline.digest import sha256_of
from pipeline.errors import ModelError, WeightsCorrupt
from pipeline.segmentation.edges.network import read_ensemble
from pipeline.segmentation.nnunet_files import read_plans
from pipeline.segmentation.registry import model
from pipeline.segmentation.runtime import load_network
from pipeline.shape.built_in.weights_file import read_decoder
from pipeline.shape.installed import installed_shapes, load
from pipeline.types import Resources
from tests.support.checkpoint_files import write_checkpoint
from tests.support.shape_model import CONFIG

_WATCHED: list[tuple[str, str]] | None = None
"""Files opened, modules imported and processes started while a case is read; None: not watched."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _WATCHED is not None and event in ("open", "import", "os.mkdir", "os.system", "subprocess.Popen"):
        _WATCHED.append((event, str(arguments[0])))


sys.addaudithook(_watch)


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made-by-weights",)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file outside of the folder of the weights, which is the current folder."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "models")
    path = tmp_path / "outside" / "secret"
    path.write_bytes(np.ones(8, np.float32).tobytes())
    return path


def torch_pickle(folder: Path, _: Path) -> Iterator[Callable[[], object]]:
    for numpy_1 in (False, True):
        path = write_checkpoint(folder / f"{numpy_1}.pth", {"network_weights": OrderedDict()}, extra=Evil())
        yield lambda path=path: read_checkpoint(path)


def numpy_pickle(folder: Path, _: Path) -> Iterator[Callable[[], object]]:
    for name in ("mean", "member0_centre"):
        np.savez(folder / f"{name}.npz", **{name: np.array([Evil()], dtype=object)}, allow_pickle=True)
    yield lambda: read_decoder(folder / "mean.npz")
    yield lambda: read_ensemble(folder / "member0_centre.npz", sha256_of(folder / "member0_centre.npz"))
    (folder / "plain.npz").write_bytes(pickle.dumps(Evil()))
    yield lambda: read_decoder(folder / "plain.npz")


def _message(number: int, content: bytes) -> bytes:
    """A field of a protobuf message with this content, shorter than 16 kB."""
    size = len(content)
    return bytes([number << 3 | 2, size & 127 | 128, size >> 7]) + content


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3, value])


def network_file(location: str) -> bytes:
    """An ONNX network: its output is the tensor `w`, whose 8 numbers are in another file."""
    entry = _message(1, b"location") + _message(2, location.encode())
    tensor = _number(1, 8) + _number(2, 1) + _message(8, b"w") + _message(13, entry) + _number(14, 1)
    shape = _message(2, _message(1, _number(1, 8)))
    value = _message(1, b"y") + _message(2, _message(1, _number(1, 1) + shape))
    node = _message(1, b"w") + _message(2, b"y") + _message(4, b"Identity")
    graph = _message(1, node) + _message(2, b"g") + _message(5, tensor) + _message(12, value)
    return _number(1, 8) + _message(7, graph) + _message(8, _number(2, 17))


def onnx_with_data_elsewhere(folder: Path, secret: Path) -> Iterator[Callable[[], object]]:
    for number, location in enumerate((str(secret), "../outside/secret", "secret")):
        path = folder / f"{number}.onnx"
        path.write_bytes(network_file(location))
        yield lambda path=path: load_network(path, sha256_of(path), Resources(device="cpu"))


PLANS: dict[str, Any] = {"configurations": {"3d_fullres": {"architecture": {"arch_kwargs": {}}}}}


def plans_that_import(folder: Path, secret: Path) -> Iterator[Callable[[], object]]:
    network = {"network_class_name": "subprocess.Popen", "arch_kwargs": {"args": ["true"]}}
    layer = {"arch_kwargs": {"conv_op": "os.system"}, "_kw_requires_import": ["conv_op"]}
    for number, change in enumerate(
        (
            {"architecture": network},
            {"architecture": layer},
            {"architecture": {"network_class_name": "dynamic_network_architectures.architectures.unet.os.system"}},
            {"preprocessor_name": f"{secret}"},
            {"normalization_schemes": ["../../outside"]},
            {"resampling_fn_data": "os.system"},
        )
    ):
        place = folder / str(number)
        place.mkdir()
        (place / "plans.json").write_text(json.dumps({"configurations": {"3d_fullres": change}}))
        yield lambda place=place: read_plans(place)
    (folder / "knees").mkdir()
    (folder / "knees" / "plans.json").write_text(json.dumps(PLANS | {"label_manager": "os.path"}))
    paths = {"labels": {"femur": 1}, "channel_names": {"0": "MRI"}, "training": [{"image": str(secret)}]}
    (folder / "knees" / "dataset.json").write_text(json.dumps(paths))
    reason = model("knees", Resources(models_dir=folder)).availability().reason
    assert "label_manager in plans.json names 'os.path'" in reason


def zip_in_zip(folder: Path, _: Path) -> Iterator[Callable[[], object]]:
    inner = io.BytesIO()
    write_checkpoint(inner, {"model": OrderedDict(a=np.ones(2))}, extra=Evil())
    for name in ("m.pth", "m.npz"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("model/inner.pth", inner.getvalue())
    yield lambda: read_checkpoint(folder / "m.pth")
    yield lambda: read_decoder(folder / "m.npz")


def wrong_digest(folder: Path, _: Path) -> Iterator[Callable[[], object]]:
    """Files of a shape model, of an nnU-Net folder with its first stage, and of networks."""
    for changed in ("model.pth", "model_config.json", "bscore.json"):
        place = folder / "nsm" / "femurs"
        place.mkdir(parents=True, exist_ok=True)
        (place / "model_config.json").write_text(json.dumps(CONFIG))
        score = {"bscore_vector": [1.0, 0.0], "mean_healthy": 0.0, "std_healthy": 1.0}
        (place / "bscore.json").write_text(json.dumps(score))
        write_checkpoint(place / "model.pth", {"model": OrderedDict(a=np.ones(2))})
        (place / "SHA256SUMS").write_text(f"{'0' * 64}  {changed}\n")
        yield lambda: load(installed_shapes(Resources(models_dir=folder))[0])
    for stage in (folder / "knees", folder / "knees" / "previous_stage"):
        (stage / "fold_0").mkdir(parents=True)
        (stage / "plans.json").write_text(json.dumps(PLANS))
        (stage / "dataset.json").write_text(json.dumps({"labels": {"femur": 1}, "channel_names": {"0": "MRI"}}))
        (stage / "fold_0" / "checkpoint_final.pth").write_bytes(b"weights")
        (stage / "SHA256SUMS").write_text(f"{'0' * 64}  fold_0/checkpoint_final.pth\n")
    files = {file.role: file.problem for file in model("knees", Resources(models_dir=folder)).files()}
    assert {role for role, problem in files.items() if "is damaged" in problem} == {
        "fold_0/checkpoint_final.pth",
        "previous_stage/fold_0/checkpoint_final.pth",
    }
    (folder / "n.onnx").write_bytes(b"network")
    yield lambda: load_network(folder / "n.onnx", "0" * 64, Resources(device="cpu"))
    yield lambda: read_ensemble(folder / "n.onnx", "0" * 64)


CASES: dict[Callable[..., Iterator[Callable[[], object]]], tuple[int, str]] = {
    torch_pickle: (2, r"refers to \w+\.mkdir, which is not a weight"),
    numpy_pickle: (3, "cannot be read|damaged"),
    onnx_with_data_elsewhere: (3, "refers to data in other files"),
    plans_that_import: (6, "neither part of nnU-Net v2 nor a layer of torch"),
    zip_in_zip: (2, r"0 data\.pkl in it|cannot be read"),
    wrong_digest: (5, "SHA-256|expected the file that came with this version"),
}


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_hostile_weights_are_refused_unread(make: Any, elsewhere: Path) -> None:
    global _WATCHED  # noqa: PLW0603 -- an audit hook cannot be removed
    count, words = CASES[make]
    folder = Path.cwd()
    refused = 0
    import onnxruntime  # noqa: F401 -- its own files are not those that the weights name

    for read in make(folder, elsewhere):
        _WATCHED = []
        try:
            with pytest.raises((ModelError, WeightsCorrupt), match=words):
                read()
        finally:
            seen, _WATCHED = _WATCHED, None
        refused += 1
        files = {Path(name).resolve() for event, name in seen if event == "open" and not name.isdigit()}
        assert not {path for path in files if path.is_relative_to(elsewhere.parent)}
        assert {event for event, _ in seen} <= {"open", "import"}
        assert not {name for event, name in seen if event == "import"} & {"subprocess", "posix"}
        assert not (folder / "made-by-weights").exists()
    assert refused == count


def test_the_network_file_of_this_test_is_one_that_would_be_read(tmp_path: Path) -> None:
    import onnxruntime

    (tmp_path / "secret").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    (tmp_path / "n.onnx").write_bytes(network_file("secret"))
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"), providers=["CPUExecutionProvider"])
    assert session.run(None, {})[0].tolist() == list(range(8))
