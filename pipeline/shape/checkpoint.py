"""Reads tensors from a torch checkpoint without torch and without executing code from the file.  A .pth file is a zip
with a pickle that describes the tensors, and their raw values. The pickle is read with a fixed list of names, as in
`torch.load(weights_only=True)`; all other names are rejected. Files in the format of torch before 1.6, which are not
zips, are read with torch if it is installed.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsCorrupt, WeightsMissing

TORCH_HINT: Final = "pip install -r requirements-nsm.txt"

MOST_BYTES: Final = 4 << 30
"""Maximum size of a checkpoint; the published ones have 0.2 GB."""

STORAGES: Final = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""torch's names of number types, and numpy's."""

STATES: Final = ("model", "state_dict", "model_state_dict")
"""Keys under which training runs store the weights; without one of these, the whole file is the weights."""

ALIAS: Final = ("vae_decoder.layers.", "vae_decoder.decoder.")
"""Files before August 2026 contain every convolution twice; the second name is used."""

Tensors = dict[str, NDArray[Any]]


def read_weights(path: Path) -> Tensors:
    """Name -> array of every tensor in a checkpoint, as stored; convolutions under a single name. Raises
    WeightsCorrupt if the file is damaged or contains anything except weights, WeightsMissing if it is an old file and
    torch is not installed.
    """
    if path.stat().st_size > MOST_BYTES:
        raise WeightsCorrupt(f"{path.name} has {path.stat().st_size / 1e9:.1f} GB; expected at most 4.")
    loaded = _read_zip(path) if zipfile.is_zipfile(path) else _read_old(path)
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


def _read_zip(path: Path) -> Mapping[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            loaded = _unpickled(archive)
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        NotImplementedError,
    ) as error:
        raise WeightsCorrupt(f"The checkpoint {path.name} cannot be read: {error}.") from error
    if not isinstance(loaded, Mapping):
        raise WeightsCorrupt(f"{path.name} contains a {type(loaded).__name__}; expected a dictionary of weights.")
    return loaded


def _unpickled(archive: zipfile.ZipFile) -> Any:
    names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(names) != 1:
        raise pickle.UnpicklingError(f"{len(names)} data.pkl in it; expected one")
    root = names[0][: -len("data.pkl")]
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise pickle.UnpicklingError("its numbers are big-endian; expected little-endian")
    with archive.open(names[0]) as stream:
        return _Reader(stream, lambda key: archive.read(f"{root}data/{key}")).load()


class _Reader(pickle.Unpickler):
    """Unpickles only plain containers, numbers, text and tensors."""

    def __init__(self, stream: IO[bytes], content: Callable[[str], bytes]) -> None:
        super().__init__(stream)
        self.content = content
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return name
        allowed = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not a weight")
        return allowed[module, name]

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        """("storage", kind, key, where, count) -> the numbers of one storage, (count,)."""
        _, kind, key, _, count = pid
        if key not in self.storages:
            numbers = np.frombuffer(self.content(str(key)), dtype=STORAGES[kind])
            if len(numbers) != count:
                raise pickle.UnpicklingError(f"storage {key} has {len(numbers)} numbers; expected {count}")
            self.storages[key] = numbers
        return self.storages[key]


def _tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> NDArray[Any]:
    """A contiguous copy of a tensor's part of a storage, with bounds check."""
    empty = 0 in shape
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if offset < 0 or min((*shape, *strides), default=0) < 0 or (not empty and last >= len(storage)):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    step = storage.itemsize
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, [step * s for s in strides], writeable=False)
    return np.array(view)


def _parameter(tensor: NDArray[Any], *_: object) -> NDArray[Any]:
    return tensor


def _read_old(path: Path) -> Mapping[str, Any]:
    """Read a file of torch before 1.6."""
    if find_spec("torch") is None:
        raise WeightsMissing(
            f"{path.name} has the format of torch before 1.6, which only torch can read.", hint=TORCH_HINT
        )
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsCorrupt(f"The checkpoint {path.name} cannot be read: {type(error).__name__}.") from error
    arrays = _as_arrays(loaded)
    if not isinstance(arrays, Mapping):
        raise WeightsCorrupt(f"{path.name} contains a {type(loaded).__name__}; expected a dictionary of weights.")
    return arrays


def _as_arrays(value: Any) -> Any:
    """Every tensor in nested dictionaries as an array."""
    if isinstance(value, Mapping):
        return {name: _as_arrays(item) for name, item in value.items()}
    return value.detach().numpy() if hasattr(value, "detach") else value
