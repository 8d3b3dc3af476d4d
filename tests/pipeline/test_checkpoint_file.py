"""Checkpoints: accepted and rejected content."""

import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from pipeline import checkpoint_file
from pipeline.checkpoint_file import read_checkpoint
from pipeline.errors import WeightsCorrupt, WeightsMissing
from tests.support.checkpoint_files import Device, write_checkpoint

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("numpy_1", [False, True])
def test_a_checkpoint_of_nnunet_is_read_with_its_numbers_and_device(tmp_path, numpy_1):
    content = {
        "network_weights": OrderedDict(a=A),
        "optimizer_state": {"state": {0: {"momentum_buffer": A}}, "param_groups": [{"lr": 0.01, "params": [0]}]},
        "grad_scaler_state": {"scale": 65536.0, "_growth_tracker": 3},
        "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(-0.25)], "lrs": [0.01]},
        "_best_ema": np.float64(0.75),
        "current_epoch": np.int64(12),
        "init_args": {"configuration": "3d_fullres", "fold": 0, "device": Device(), "plans": {"a": [1, None, True]}},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    found = read_checkpoint(write_checkpoint(tmp_path / "m.pth", content, numpy_1=numpy_1))
    np.testing.assert_array_equal(found["network_weights"]["a"], A)
    assert found["logging"] == {"mean_fg_dice": [0.5], "train_losses": [-0.25], "lrs": [0.01]}
    assert (found["_best_ema"], found["current_epoch"]) == (0.75, 12)
    assert found["init_args"] == content["init_args"] | {"device": "cuda:0"}
    assert found["inference_allowed_mirroring_axes"] == (0, 1, 2)


def test_data_that_is_no_number_is_refused(tmp_path):
    for odd in (np.datetime64("2026-01-01"), np.array(["text"]), np.str_("text"), {1, 2}):
        with pytest.raises(WeightsCorrupt) as refused:
            read_checkpoint(write_checkpoint(tmp_path / "m.pth", {"model": OrderedDict(a=A)}, extra=odd))
        assert "own-model.md" in refused.value.hint


def test_a_tensor_beyond_its_storage_is_rejected():
    storage = np.zeros(6, dtype=np.float32)
    for offset, shape, strides in ((0, (7,), (1,)), (-1, (2,), (1,)), (0, (2, 2), (1, -1)), (3, (2, 2), (2, 1))):
        with pytest.raises(checkpoint_file.pickle.UnpicklingError, match="beyond its storage"):
            checkpoint_file._tensor(storage, offset, shape, strides)
    with pytest.raises(checkpoint_file.pickle.UnpicklingError, match="larger than its file"):
        checkpoint_file._tensor(storage, 0, (1 << 40,), (0,))


def test_a_truncated_or_foreign_file_is_corrupt(tmp_path):
    whole = write_checkpoint(tmp_path / "m.pth", {"model": OrderedDict(a=A)}).read_bytes()
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "torn.pth").write_bytes(whole[: len(whole) // 2])
    for name in ("empty.pth", "torn.pth"):
        with pytest.raises((WeightsCorrupt, WeightsMissing)):
            read_checkpoint(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsCorrupt, match=r"0 data\.pkl"):
        read_checkpoint(tmp_path / "other.pth")


def test_a_checkpoint_that_inflates_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_file, "MOST_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "m.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(2 << 20))
    with pytest.raises(WeightsCorrupt, match="expected at most"):
        read_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("form", ["zip", "old"])
def test_files_written_by_torch_are_read(tmp_path, form):
    torch = pytest.importorskip("torch", reason="torch is an optional extra (requirements-nsm.txt)")
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict(
        a=whole, turned=whole.T, part=whole[1:3, ::2], p=torch.nn.Parameter(whole * 2), n=torch.tensor(3)
    )
    path = tmp_path / "m.pth"
    torch.save({"epoch": 1, "model": state}, path, _use_new_zipfile_serialization=form == "zip")
    found = read_checkpoint(path)["model"]
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())
