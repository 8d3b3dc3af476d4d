"""The registry of segmentation models, from all modules of pipeline/segmentation/models.

Form, options, REST, command line, provenance and the Methods page read this. Loads no inference runtime.
"""

from __future__ import annotations

import functools
import pkgutil
from importlib import import_module
from types import ModuleType

from pipeline.errors import OptionsError
from pipeline.options import DEFAULT_MODEL
from pipeline.segmentation import models as package
from pipeline.segmentation.identity import BUILT_IN
from pipeline.segmentation.segmenter import Segmenter
from pipeline.types import Resources


def every_model(resources: Resources) -> tuple[Segmenter, ...]:
    """Built-in models, the default first, then those in resources.models_dir. An id may occur twice."""
    found: list[Segmenter] = [model for module in _modules() for model in module.find(resources)]
    return tuple(sorted(found, key=_rank))


def models(resources: Resources) -> tuple[Segmenter, ...]:
    """The models that can be chosen, the default first. An installed one takes precedence over a built-in one."""
    return tuple({model.card.id: model for model in every_model(resources)}.values())


def model_ids(resources: Resources) -> tuple[str, ...]:
    """Valid values of option segmentation_model, the default first."""
    return tuple(model.card.id for model in models(resources))


def model(model_id: str, resources: Resources) -> Segmenter:
    """The model with this id. Raises OptionsError, which lists the ids, if there is none."""
    known = {entry.card.id: entry for entry in models(resources)}
    if model_id not in known:
        raise OptionsError(
            f"segmentation_model is {model_id!r}; expected one of {', '.join(known)}.", option="segmentation_model"
        )
    return known[model_id]


def built_in_models() -> tuple[Segmenter, ...]:
    """The built-in models, the default first."""
    return models(Resources())


@functools.cache
def _modules() -> tuple[ModuleType, ...]:
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    return tuple(import_module(f"{package.__name__}.{name}") for name in names)


def _rank(entry: Segmenter) -> tuple[bool, bool, str]:
    return entry.card.source != BUILT_IN, entry.card.id != DEFAULT_MODEL, entry.card.id
