"""The weights of a shape model in a torch checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.checkpoint_file import read_checkpoint
from pipeline.errors import WeightsCorrupt

STATES: Final = ("model", "state_dict", "model_state_dict")
"""Keys under which training runs store the weights; without one of these, the whole file is the weights."""

ALIAS: Final = ("vae_decoder.layers.", "vae_decoder.decoder.")
"""Files before August 2026 contain every convolution twice; the second name is used."""

Tensors = dict[str, NDArray[Any]]


def read_weights(path: Path) -> Tensors:
    """Name -> array of every tensor in a checkpoint, as stored; convolutions under a single name.

    Raises WeightsCorrupt and WeightsMissing as `read_checkpoint`, and WeightsCorrupt if there are no tensors.
    """
    loaded: Mapping[str, Any] = read_checkpoint(path)
    state: Any = next((loaded[name] for name in STATES if isinstance(loaded.get(name), Mapping)), loaded)
    tensors = {str(name).removeprefix("module."): v for name, v in state.items() if isinstance(v, np.ndarray)}
    if not tensors:
        raise WeightsCorrupt(f"{path.name} contains no tensors; expected the weights of a shape model.")
    old, new = ALIAS
    return {
        name.replace(old, new): tensor
        for name, tensor in tensors.items()
        if not (name.startswith(old) and name.replace(old, new) in tensors)
    }
