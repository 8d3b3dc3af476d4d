"""A step of the analysis. It can read only the products, facts and options that it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar, cast

from pipeline.kept_parts import KeptParts
from pipeline.options import AnalysisOptions
from pipeline.product import Given, Output, Product
from pipeline.types import Request
from pipeline.workspace import Workspace

T = TypeVar("T")

OnFraction = Callable[[float], None]
"""Receives the completed fraction of a step, 0 to 1."""

Outputs = tuple[Output, ...]

ALL_OPTIONS: Final = tuple(item.name for item in fields(AnalysisOptions))


class UndeclaredRead(Exception):
    """A step has read an undeclared source, so its stored results could be outdated: a programming error."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage of the analysis.

    version   raised when a change of the step's method can change its products: stored ones are then recomputed
    reads     products of earlier steps and given facts; nothing else can be read
    produces  products that `run` returns, in this order
    options   fields of AnalysisOptions that change the products
    share     approximate share of the wall time, for the progress bar
    early     starts in a second thread as soon as its inputs exist, and is awaited at its turn; reports no progress
    prepare   loads what the step needs besides its inputs, once per process; called in a second thread from the start
              of an analysis, so that the step does not wait for it; if it fails, the step fails in the same way
    belongs   whether the steps of an analysis of this request include it; if not, it is not listed either
    applies   None, or the reason why the step is skipped
    identity  other data that determines the products, e.g. the digest of the model's weights
    """

    name: str
    title: str
    run: Callable[[Inputs], Outputs]
    version: int = 1
    reads: tuple[Product[Any] | Given[Any], ...] = ()  # Any: products of every type
    produces: tuple[Product[Any], ...] = ()  # Any: products of every type
    options: tuple[str, ...] = ()
    share: int = 1
    required: bool = True
    early: bool = False
    prepare: Callable[[], object] = lambda: None
    belongs: Callable[[Request], bool] = lambda _: True
    applies: Callable[[Inputs], str | None] = lambda _: None
    identity: Callable[[Inputs], object] = lambda _: None


class Inputs:
    """The inputs of one step. A product is loaded when a step first reads it, and shared with the later ones.

    scratch_dir  an empty folder for temporary files, removed after the step
    parts        computes parts of the products, or takes those that the step has made before from the same values
    on_fraction  receives the completed fraction of the step
    loaded       products that earlier steps of this run have read; nothing changes them
    """

    def __init__(
        self,
        step: Step,
        workspace: Workspace,
        options: AnalysisOptions,
        given: Mapping[Given[Any], Callable[[], Any]],  # Any: facts of every type
        on_fraction: OnFraction,
        loaded: dict[Product[Any], Any],  # Any: products of every type
    ) -> None:
        self.scratch_dir = workspace.scratch_dir / step.name
        self.parts = KeptParts(workspace, step.name, step.version)
        self.on_fraction = on_fraction
        self._step = step
        self._workspace = workspace
        self._options = options
        self._given = given
        self._loaded = loaded

    def __getitem__(self, source: Product[T] | Given[T]) -> T:
        """Raises UndeclaredRead; FileNotFoundError if the product is missing."""
        self._require_declared(source)
        if isinstance(source, Given):
            return cast("T", self._given[source]())
        if source not in self._loaded:
            self._loaded[source] = source.load(self._workspace)
        return cast("T", self._loaded[source])

    def get(self, product: Product[T]) -> T | None:
        """A product that may be missing because its step was skipped or failed. Raises UndeclaredRead."""
        self._require_declared(product)
        return self[product] if product.exists(self._workspace) else None

    @property
    def options(self) -> AnalysisOptions:
        """The options that the step declares. To read another one raises UndeclaredRead."""
        if set(self._step.options) == set(ALL_OPTIONS):
            return self._options
        return cast("AnalysisOptions", _DeclaredOptions(self._options, self._step))

    def _require_declared(self, source: Product[Any] | Given[Any]) -> None:
        if source not in self._step.reads:
            raise UndeclaredRead(f"Step {self._step.name} reads {source.name}, which is not in its `reads`.")


class _DeclaredOptions:
    """AnalysisOptions of which only the declared fields can be read, also through a property."""

    def __init__(self, options: AnalysisOptions, step: Step) -> None:
        self._options = options
        self._step = step

    def __getattr__(self, name: str) -> Any:
        derived = getattr(AnalysisOptions, name, None)
        if isinstance(derived, property) and derived.fget is not None:
            return derived.fget(self)
        if name not in self._step.options:
            raise UndeclaredRead(f"Step {self._step.name} reads option {name}, which is not in its `options`.")
        return getattr(self._options, name)
