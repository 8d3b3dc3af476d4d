"""The address of an analysis: a digest of its input and of everything that decides its results.

Rows with the same address, in any study, are one analysis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from pipeline.comparison.reproducibility import figures_of
from pipeline.digest import sha256_of
from pipeline.options import AnalysisOptions
from pipeline.segmentation.identity import GIVEN
from pipeline.segmentation.registry import model
from pipeline.segmentation.segmenter import facts
from pipeline.shape.installed import chosen_shapes
from pipeline.steps import STEPS
from pipeline.types import Resources

ADDRESS_DIGITS: Final = 24
WITHOUT_EFFECT: Final = ("retain_results",)
"""Options of the service for single jobs alone: studies keep no copies for research."""


def input_digest(path: Path) -> str:
    """Of a file its content; of a folder the names and contents of its files, which can decide how it is read."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(item for item in path.rglob("*") if item.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def address_of(scan: str, labels: str, options: AnalysisOptions, resources: Resources) -> str:
    """scan, labels: digests of the input; empty where there is none.

    Raises OptionsError if the model does not exist.
    """
    chosen = {name: value for name, value in options.to_dict().items() if name not in WITHOUT_EFFECT}
    parts = {"scan": scan, "labels": labels, "options": chosen, "versions": _versions(options, resources, bool(labels))}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:ADDRESS_DIGITS]


@lru_cache(maxsize=64)
def _versions(options: AnalysisOptions, resources: Resources, given: bool) -> Mapping[str, object]:
    """What the program and its models contribute. given: the label map is the user's."""
    found: dict[str, object] = {"steps": {step.name: step.version for step in STEPS}}
    if given:
        found["model"] = GIVEN
    else:
        segmenter = model(options.segmentation_model, resources)
        identity = segmenter.identity()
        found["model"] = facts(segmenter.card, identity)
        found["detectable"] = figures_of(identity).detectable.to_dict()
    if options.perform_nsm:
        found["shapes"] = [(item.name, item.sha256) for item in chosen_shapes(options.nsm_type, resources)]
    return found
