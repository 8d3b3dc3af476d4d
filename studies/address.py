"""The address of an analysis: a digest of its input and of everything that decides its results.

Rows with the same address, in any study, are one analysis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache

from pipeline.comparison.reproducibility import figures_of
from pipeline.options import AnalysisOptions
from pipeline.segmentation.identity import GIVEN
from pipeline.segmentation.registry import model
from pipeline.segmentation.segmenter import facts
from pipeline.shape.installed import chosen_shapes
from pipeline.steps import STEPS
from pipeline.types import Resources
from studies.identity import ADDRESS_DIGITS, WITHOUT_EFFECT


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
