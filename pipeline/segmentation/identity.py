"""Identity of a model: its id, its source, and the SHA-256 of every file that affects its results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pipeline.digest import digest_of

BUILT_IN: Final = "built-in"
INSTALLED: Final = "installed"
GIVEN: Final = "given"
"""Source of a segmentation: a model of this product, a model in MODELS_DIR, a label map of the user."""

WEIGHTS: Final = "weights"
FIRST_PASS: Final = "first_pass"  # noqa: S105 -- a role
"""Roles of a built-in model's files."""

DIGEST_KEYS: Final = MappingProxyType({WEIGHTS: "weights_sha256", FIRST_PASS: "first_pass_sha256"})
"""Role -> key of its digest in provenance.json, GET /models and comparison.json."""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A file that affects a model's results.

    role    its name in the identity: WEIGHTS, FIRST_PASS, or its path in the model's folder
    sha256  the digest that it must have; "" if none is stated. stated_in: the file that states it
    """

    role: str
    path: Path
    sha256: str = ""
    stated_in: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return self.role if self.role.endswith(self.path.name) else self.path.name

    @property
    def problem(self) -> str:
        """The reason why the file cannot be used; "" if it can. Cached by size and modification time."""
        if not self.path.is_file():
            return f"weights file {self.name} is missing"
        return f"weights file {self.name} is damaged" if self.sha256 not in ("", digest_of(self.path)) else ""


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Results with equal identities were made with the same files, used in the same way.

    source   BUILT_IN, INSTALLED or GIVEN
    digests  role of every file that affects the result -> SHA-256
    method   distinguishes models with the same files; "" for the plain one
    """

    id: str
    source: str
    digests: Mapping[str, str]
    method: str = ""

    @classmethod
    def of(cls, id: str, source: str, files: Iterable[ModelFile], method: str = "") -> ModelIdentity:
        """Uses the stated digests, which are verified when a file is loaded."""
        digests = {file.role: file.sha256 or digest_of(file.path) for file in files}
        return cls(id=id, source=source, digests=digests, method=method)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> ModelIdentity:
        """Raises KeyError where a field other than the method is missing."""
        values: dict[str, Any] = dict(data)
        return cls(
            id=str(values["id"]),
            source=str(values["source"]),
            digests=dict(values["digests"]),
            method=str(values.get("method", "")),
        )

    def to_dict(self) -> dict[str, object]:
        """For JSON; holds no path outside the model's folder."""
        plain: dict[str, object] = {"id": self.id, "source": self.source, "digests": dict(self.digests)}
        return plain | {"method": self.method} if self.method else plain


def named_digests(digests: Mapping[str, str]) -> dict[str, str]:
    """Digests of a built-in model's files under DIGEST_KEYS; "" where there is no such file."""
    return {key: digests.get(role, "") for role, key in DIGEST_KEYS.items()}
