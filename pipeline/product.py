"""A product of the analysis: its name, and its codec on the folder of one analysis. products.py declares them all.

Arrays are in work/NAME.ARRAY.npy, everything else is in work/NAME.json, which is written last: its presence means that
the product is complete. A product may also be a folder of files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.workspace import Workspace, atomic_file, link_or_copy, write_json

T = TypeVar("T")

FILES_AT_ONCE: Final = 8
"""Arrays written together: the disk confirms several files in the time of one."""

Parts = tuple[object, Mapping[str, NDArray[Any]]]
"""An encoded product: JSON values, and arrays by name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Product(Generic[T]):
    """One intermediate or final result.

    save, load  the codec; `load` raises FileNotFoundError if the product is missing
    marker      the file, relative to the workspace, that is written last and means "complete"
    """

    name: str
    save: Callable[[Workspace, T], None]
    load: Callable[[Workspace], T]
    marker: str

    def exists(self, workspace: Workspace) -> bool:
        """Whether the product is complete on disk."""
        return (workspace.root / self.marker).exists()

    def discard(self, workspace: Workspace) -> None:
        """Mark the product as missing, so that its step runs again."""
        (workspace.root / self.marker).unlink(missing_ok=True)

    def of(self, value: T) -> Output:
        """The output of a step for this product."""
        return Output(product=self, save=lambda workspace: self.save(workspace, value))


@dataclass(frozen=True, kw_only=True, eq=False)
class Given(Generic[T]):
    """A fact known before the first step, for example the upload. Not stored."""

    name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """One product that a step has made, not yet stored."""

    product: Product[Any]  # Any: a product of any type
    save: Callable[[Workspace], None]


@dataclass(frozen=True)
class Stored:
    """The files of one product: `meta` is its JSON."""

    workspace: Workspace
    name: str
    meta: Any  # Any: parsed JSON, whose type the decoder of each product knows

    def array(self, name: str) -> NDArray[Any]:  # Any: the decoder of each product knows the type
        """One of the arrays, read-only, because steps share it. Raises FileNotFoundError."""
        array: NDArray[Any] = np.load(self._path(name), allow_pickle=False)
        array.flags.writeable = False
        return array

    def mapped_array(self, name: str) -> NDArray[np.float32]:
        """An array of float32, read-only: its parts are read from the file when they are used. It is not empty."""
        return np.asarray(np.load(self._path(name), mmap_mode="r", allow_pickle=False))

    def _path(self, name: str) -> Path:
        return self.workspace.work_dir / f"{self.name}.{name}.npy"


def arrays_and_json(name: str, encode: Callable[[T], Parts], decode: Callable[[Stored], T]) -> Product[T]:
    """A product that is stored as arrays and JSON, without loss."""
    marker = f"work/{name}.json"

    def save(workspace: Workspace, value: T) -> None:
        meta, arrays = encode(value)
        workspace.work_dir.mkdir(parents=True, exist_ok=True)
        (workspace.root / marker).unlink(missing_ok=True)

        def write(key: str) -> None:
            path, kept = workspace.work_dir / f"{name}.{key}.npy", workspace.file_of(arrays[key])
            if kept is not None:
                link_or_copy(kept, path, durable=True)
                return
            with atomic_file(path) as stream:
                np.save(stream, np.ascontiguousarray(arrays[key]), allow_pickle=False)

        with ThreadPoolExecutor(FILES_AT_ONCE) as side_by_side:
            list(side_by_side.map(write, arrays))
        write_json(workspace.root / marker, meta)

    def load(workspace: Workspace) -> T:
        meta = json.loads((workspace.root / marker).read_text(encoding="utf-8"))
        return decode(Stored(workspace, name, meta))

    return Product(name=name, save=save, load=load, marker=marker)


def json_only(name: str, encode: Callable[[T], object], decode: Callable[[Any], T]) -> Product[T]:  # Any: parsed JSON
    """A product that is stored only as JSON."""
    return arrays_and_json(name, lambda value: (encode(value), {}), lambda stored: decode(stored.meta))


def folder(name: str, path: str, marker: str) -> Product[Path]:
    """A folder that a step has made, which is moved to `path` in the workspace. marker: one of its files."""

    def save(workspace: Workspace, made: Path) -> None:
        target = workspace.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)

    return Product(name=name, save=save, load=lambda workspace: workspace.root / path, marker=f"{path}/{marker}")
