"""Parts of the products of a step (parts.py), kept in work/ under a digest of all that decides them.

part.STEP.DIGEST.json has the value, and the digests of the files that belong to it: part.STEP.DIGEST.0.npy and so on
for arrays, or part.STEP.DIGEST.file. Products and results link the same files, so that a part takes no space twice, and
a version of an analysis links those of the version that it was made from. A file that is not as it was written is not
used.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.digest import sha256_of
from pipeline.part_codec import Digests, digest_of_array, packed, unpacked
from pipeline.parts import PREFIX
from pipeline.workspace import Workspace, link_or_copy

P = ParamSpec("P")
T = TypeVar("T")


class KeptParts:
    """The parts of one step. `reused` and `computed` name the functions whose results were found, and were not."""

    def __init__(self, workspace: Workspace, step: str, version: int) -> None:
        self._workspace = workspace
        self._step = step
        self._version = version
        self._used: set[str] = set()
        self._digests = Digests()
        self._lock = threading.Lock()
        self.reused: list[str] = []
        self.computed: list[str] = []

    def value(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """The result of the function; its arrays are read-only. Raises UnknownValue, and what the function raises."""
        key = self._key(function, args, named)
        kept = self._kept(key)
        if kept is not None:
            try:
                arrays = [self._array(key, number, digest) for number, digest in enumerate(kept["arrays"])]
                value = cast("T", unpacked(kept["value"], arrays))
            except (OSError, ValueError, KeyError, TypeError, ImportError):
                pass  # a damaged part is computed again
            else:
                self._note(self.reused, function)
                return value
        data, arrays = packed(function(*args, **named))
        arrays = [np.ascontiguousarray(array) for array in arrays]
        for number, array in enumerate(arrays):
            path = self._path(key, f"{number}.npy")
            path.unlink(missing_ok=True)  # a damaged one, which another version may link
            np.save(path, array, allow_pickle=False)
            if array.base is None:  # it is not a part of an array that could be changed
                self._workspace.note_array(array, path)
        self._write(key, {"value": data, "arrays": [digest_of_array(array) for array in arrays]})
        self._note(self.computed, function)
        return cast("T", unpacked(data, arrays))

    def file(self, write: Callable[Concatenate[Path, P], object], path: Path, *args: P.args, **named: P.kwargs) -> None:
        """The file that `write` makes at the path; none if it makes none. Raises as `value` does."""
        key = self._key(write, args, named)
        source, kept = self._path(key, "file"), self._kept(key)
        if kept is not None and (not kept["file"] or (source.is_file() and sha256_of(source) == kept["file"])):
            if kept["file"]:
                link_or_copy(source, path)
            self._note(self.reused, write)
            return
        write(path, *args, **named)
        made = path.is_file()
        if made:
            link_or_copy(path, source)
        self._write(key, {"file": sha256_of(path) if made else ""})
        self._note(self.computed, write)

    def forget_unused(self) -> None:
        """Remove the parts of this step that were not used: after its products are complete."""
        for path in self._workspace.work_dir.glob(f"{PREFIX}.{self._step}.*"):
            if path.name.split(".")[2] not in self._used:
                path.unlink(missing_ok=True)

    def _key(self, function: Callable[..., object], args: tuple[object, ...], named: dict[str, object]) -> str:
        """Raises UnknownValue; ValueError for a function that can read more than its arguments."""
        if getattr(function, "__closure__", True) is not None or "<" in function.__qualname__:
            raise ValueError(f"{function!r}: expected a function of a module, which reads nothing but its arguments")
        name = f"{function.__module__}:{function.__qualname__}"
        key = self._digests.of(self._version, name, args, named)
        with self._lock:
            self._used.add(key)
        return key

    def _path(self, key: str, ending: str) -> Path:
        return self._workspace.work_dir / f"{PREFIX}.{self._step}.{key}.{ending}"

    def _kept(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads(self._path(key, "json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None

    def _write(self, key: str, data: object) -> None:
        """Not necessarily on the disk when it returns: what a crash leaves is incomplete, and is not used."""
        path = self._path(key, "json")
        path.unlink(missing_ok=True)
        path.write_text(json.dumps(data), encoding="utf-8")

    def _array(self, key: str, number: int, digest: str) -> NDArray[np.generic]:
        """Raises OSError, ValueError if it is not the one that was kept."""
        path = self._path(key, f"{number}.npy")
        array: NDArray[np.generic] = np.load(path, allow_pickle=False)
        if digest_of_array(array) != digest:
            raise ValueError(f"{path.name} is damaged")
        self._workspace.note_array(array, path)
        return array

    def _note(self, names: list[str], function: Callable[..., object]) -> None:
        with self._lock:
            names.append(function.__qualname__)
