"""Weights of shape models in a checkpoint: under which names they are found."""

from collections import OrderedDict

import numpy as np
import pytest

from pipeline.errors import WeightsCorrupt
from pipeline.shape.checkpoint import read_weights
from tests.support.checkpoint_files import write_checkpoint

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


def test_a_checkpoint_without_tensors_is_corrupt(tmp_path):
    with pytest.raises(WeightsCorrupt, match="contains no tensors"):
        read_weights(write_checkpoint(tmp_path / "none.pth", {"epoch": 1}))
