"""Values as JSON and arrays, and their digests: dataclasses and enums of the pipeline, arrays, and plain values.

The values that come back are equal bit by bit, and so is the order of arrays in memory, which can decide the last digit
of a sum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import PurePath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_PACKAGE: Final = "pipeline."
"""Only classes of these modules are made from JSON."""


class UnknownValue(TypeError):
    """A value of a type that has no digest: a programming error."""


def packed(value: object) -> tuple[object, list[NDArray[np.generic]]]:
    """The value as JSON, in which arrays are numbers, and the arrays. Raises UnknownValue."""
    arrays: list[NDArray[np.generic]] = []
    return _packed(value, arrays), arrays


def _packed(value: object, arrays: list[NDArray[np.generic]]) -> object:
    if isinstance(value, Enum):
        return {"enum": _name(type(value)), "name": value.name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_packed(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {"map": [[_packed(key, arrays), _packed(item, arrays)] for key, item in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        kept = {item.name: _packed(getattr(value, item.name), arrays) for item in fields(value)}
        return {"class": _name(type(value)), "fields": kept}
    raise UnknownValue(f"{type(value).__name__} cannot be kept: expected a dataclass, an array or a plain value")


def unpacked(data: object, arrays: list[NDArray[np.generic]]) -> object:
    """The value again. Raises ValueError, KeyError, TypeError, ImportError for JSON that `packed` did not make."""
    if isinstance(data, list):
        return [unpacked(item, arrays) for item in data]
    if not isinstance(data, dict):
        return data
    if "array" in data:
        return arrays[data["array"]]
    if "tuple" in data:
        return tuple(unpacked(item, arrays) for item in data["tuple"])
    if "map" in data:
        return {unpacked(key, arrays): unpacked(item, arrays) for key, item in data["map"]}
    if "enum" in data:
        return _class(data["enum"])[data["name"]]
    return _class(data["class"])(**{name: unpacked(item, arrays) for name, item in data["fields"].items()})


class Digests:
    """Digests of values. Those of arrays that nothing can change later are remembered."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[NDArray[np.generic], str]] = {}

    def of(self, *values: object) -> str:
        """Equal only for equal values of equal types. Raises UnknownValue."""
        data, arrays = packed(values)
        return hashlib.sha256(json.dumps([data, [self._of_array(array) for array in arrays]]).encode()).hexdigest()

    def _of_array(self, array: NDArray[np.generic]) -> str:
        known = self._known.get(id(array))
        if known is not None:
            return known[1]
        digest = digest_of_array(array)
        if not array.flags.writeable:
            self._known[id(array)] = array, digest
        return digest


def digest_of_array(array: NDArray[np.generic]) -> str:
    """Of its type, shape, order in memory and content."""
    facts = json.dumps([array.dtype.str, array.shape, array.strides if array.size else ()])
    digest = hashlib.sha256(facts.encode())
    if array.size:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


@cache
def _class(name: str) -> Any:  # Any: a dataclass or an Enum
    module, _, path = name.partition(":")
    if not module.startswith(_PACKAGE) or not PurePath(path).name.isidentifier():
        raise ValueError(f"{name} is not a class of the pipeline")
    found = getattr(import_module(module), path)
    if not (is_dataclass(found) or issubclass(found, Enum)):
        raise ValueError(f"{name} is not a dataclass or an Enum")
    return found
