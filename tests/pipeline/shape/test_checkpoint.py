"""Checkpoints: accepted and rejected content."""

import os
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from pipeline.errors import WeightsCorrupt, WeightsMissing
from pipeline.shape import checkpoint
from pipeline.shape.checkpoint import read_weights
from tests.support.shape_model import write_checkpoint

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["model", "state_dict", "model_state_dict"])
def test_tensors_are_read_exactly(tmp_path, name):
    path = write_checkpoint(tmp_path / "m.pth", {"epoch": 7, name: OrderedDict(a=A, b=A[0] * np.pi)})
    found = read_weights(path)
    assert set(found) == {"a", "b"}
    np.testing.assert_array_equal(found["a"], A)
    np.testing.assert_array_equal(found["b"], A[0] * np.float32(np.pi))


def test_a_file_with_only_weights_is_read(tmp_path):
    found = read_weights(write_checkpoint(tmp_path / "m.pth", OrderedDict({"module.a": A})))
    np.testing.assert_array_equal(found["a"], A)


def test_a_duplicate_convolution_is_kept_once_under_the_used_name(tmp_path):
    old, new = "vae_decoder.layers.0.bias", "vae_decoder.decoder.0.bias"
    both = write_checkpoint(tmp_path / "both.pth", {"model": OrderedDict({old: A, new: 2 * A})})
    assert list(read_weights(both)) == [new]
    np.testing.assert_array_equal(read_weights(both)[new], 2 * A)
    assert list(read_weights(write_checkpoint(tmp_path / "one.pth", {"model": OrderedDict({old: A})}))) == [new]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-checkpoint",)


def test_a_checkpoint_with_other_objects_is_rejected_without_execution(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_checkpoint(tmp_path / "m.pth", {"model": OrderedDict(a=A)}, extra=Evil())
    with pytest.raises(WeightsCorrupt, match=r"mkdir, which is not a weight"):
        read_weights(path)
    assert not (tmp_path / "made-by-a-checkpoint").exists()


def test_a_tensor_beyond_its_storage_is_rejected(tmp_path):
    storage = np.zeros(6, dtype=np.float32)
    for offset, shape, strides in ((0, (7,), (1,)), (-1, (2,), (1,)), (0, (2, 2), (1, -1)), (3, (2, 2), (2, 1))):
        with pytest.raises(checkpoint.pickle.UnpicklingError, match="beyond its storage"):
            checkpoint._tensor(storage, offset, shape, strides)


def test_a_truncated_or_foreign_file_is_corrupt(tmp_path):
    whole = write_checkpoint(tmp_path / "m.pth", {"model": OrderedDict(a=A)}).read_bytes()
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "torn.pth").write_bytes(whole[: len(whole) // 2])
    for name in ("empty.pth", "torn.pth"):
        with pytest.raises((WeightsCorrupt, WeightsMissing)):
            read_weights(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(WeightsCorrupt, match=r"0 data\.pkl"):
        read_weights(tmp_path / "other.pth")
    with pytest.raises(WeightsCorrupt, match="contains no tensors"):
        read_weights(write_checkpoint(tmp_path / "none.pth", {"epoch": 1}))


@pytest.mark.parametrize("form", ["zip", "old"])
def test_files_written_by_torch_are_read(tmp_path, form):
    torch = pytest.importorskip("torch", reason="torch is an optional extra (requirements-nsm.txt)")
    whole = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict(
        a=whole, turned=whole.T, part=whole[1:3, ::2], p=torch.nn.Parameter(whole * 2), n=torch.tensor(3)
    )
    path = tmp_path / "m.pth"
    torch.save({"epoch": 1, "model": state}, path, _use_new_zipfile_serialization=form == "zip")
    found = read_weights(path)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.detach().numpy())
