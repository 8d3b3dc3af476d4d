"""Reads a torch checkpoint without torch and without executing code from the file.

A .pth file is a zip with a pickle that describes the content, and the raw values of its tensors. The pickle is read
with a fixed list of names, as in `torch.load(weights_only=True)`; all other names are refused. Files in the format of
torch before 1.6, which are not zips, are read by torch itself with weights_only, if it is installed.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsCorrupt, WeightsMissing

TORCH_HINT: Final = "pip install -r requirements-nsm.txt"
CONVERT_HINT: Final = "If you trust its source, convert it once: docs/how-to/own-model.md."

MOST_BYTES: Final = 4 << 30
"""Maximum size of a checkpoint, also unpacked; the published ones have 0.2 GB."""

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

_NUMBERS: Final = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
"""Kinds of numpy numbers that can be in a checkpoint."""

_SHOWN: Final = 80
"""Maximum length of a name of the file in a message."""


class _Refused(pickle.UnpicklingError):
    """The file contains a name that is not in the list."""


def read_checkpoint(path: Path, name: str = "") -> Mapping[str, object]:
    """The content of a checkpoint: plain containers, numbers and text; tensors are arrays. A device is its name.

    name: of the file in messages. Raises WeightsCorrupt if the file is damaged, too large, no dictionary, or contains
    other objects; WeightsMissing if it is an old file and torch is not installed.
    """
    name = name or path.name
    if (size := _unpacked_size(path)) > MOST_BYTES:
        raise WeightsCorrupt(f"{name} has {size / 1e9:.1f} GB; expected at most {MOST_BYTES / 1e9:.1f}.")
    loaded = _read_zip(path, name) if zipfile.is_zipfile(path) else _read_old(path, name)
    if not isinstance(loaded, Mapping):
        raise WeightsCorrupt(f"{name} contains a {type(loaded).__name__}; expected a dictionary of weights.")
    return loaded


def _unpacked_size(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return path.stat().st_size


def _read_zip(path: Path, name: str) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpickled(archive)
    except _Refused as error:
        raise WeightsCorrupt(f"The checkpoint {name} cannot be read: {error}.", hint=CONVERT_HINT) from error
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
        OverflowError,
        NotImplementedError,
    ) as error:
        raise WeightsCorrupt(f"The checkpoint {name} cannot be read: {error}.") from error


def _unpickled(archive: zipfile.ZipFile) -> Any:
    names = [name for name in archive.namelist() if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(names) != 1:
        raise pickle.UnpicklingError(f"{len(names)} data.pkl in it; expected one")
    root = names[0][: -len("data.pkl")]
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise pickle.UnpicklingError("its numbers are big-endian; expected little-endian")
    with archive.open(names[0]) as stream:
        return _Reader(stream, lambda key: archive.read(f"{root}data/{key}")).load()


class _Reader(pickle.Unpickler):  # noqa: S301 -- finds no class but those below
    """Unpickles only plain containers, numbers, text and tensors."""

    def __init__(self, stream: IO[bytes], content: Callable[[str], bytes]) -> None:
        super().__init__(stream)
        self.content = content
        self.storages: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (function := _ALLOWED.get((module, name))) is None:
            shown = f"{module}.{name}"[:_SHOWN]
            raise _Refused(f"it refers to {shown}, which is not a weight")
        # not the function itself: a pickle can set attributes of what it gets
        return lambda *given: function(*given)  # noqa: PLW0108

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
    if prod(shape) * step > MOST_BYTES:
        raise pickle.UnpicklingError("a tensor is larger than its file can be")
    view = np.lib.stride_tricks.as_strided(storage[offset:], shape, [step * s for s in strides], writeable=False)
    return np.array(view)


def _parameter(tensor: NDArray[Any], *_: object) -> NDArray[Any]:
    return tensor


class _Kind:
    """numpy's description of a number, of which only the name is used."""

    __slots__ = ("name",)

    def __init__(self, name: object, *_: object) -> None:
        if name not in _NUMBERS:
            raise _Refused(f"it contains numpy data of the kind {str(name)[:_SHOWN]!r}, which is not a number")
        self.name = str(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", "|"):
            raise pickle.UnpicklingError("its numbers are big-endian; expected little-endian")


def _number(kind: _Kind, content: bytes) -> Any:
    """One numpy number."""
    (number,) = np.frombuffer(content, dtype=f"<{kind.name}")
    return number


def _encoded(text: str, encoding: str) -> bytes:
    """How a pickle of protocol 2 stores bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("it stores bytes in an unknown encoding")
    return text.encode("latin1")


def _words(*given: object) -> str:
    """A device, such as `cuda:0`."""
    return ":".join(str(part) for part in given)


_ALLOWED: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "device"): _words,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
    ("_codecs", "encode"): _encoded,
}
"""Every name that a checkpoint may refer to, besides storages and dictionaries, and what is called for it."""


def _read_old(path: Path, name: str) -> Any:
    """Read a file of torch before 1.6."""
    if find_spec("torch") is None:
        raise WeightsMissing(f"{name} has the format of torch before 1.6, which only torch can read.", hint=TORCH_HINT)
    import torch

    try:
        return _as_arrays(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise WeightsCorrupt(f"The checkpoint {name} cannot be read: {type(error).__name__}.") from error


def _as_arrays(value: Any) -> Any:
    """Every tensor in nested dictionaries as an array."""
    if isinstance(value, Mapping):
        return {name: _as_arrays(item) for name, item in value.items()}
    return value.detach().numpy() if hasattr(value, "detach") else value
