"""Loading of networks: once before each use, or once per process where the process asks for that."""

from __future__ import annotations

import pytest

from pipeline.segmentation import runtime
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.types import Resources


@pytest.mark.slow
def test_a_network_is_released_after_its_use_unless_the_process_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_kept", False)
    runtime._AHEAD.clear()
    resources, model = Resources(threads=1), knee_unet()
    ahead = model.load(resources, ahead=True)
    assert model.load(resources) is ahead
    assert not runtime._AHEAD
    runtime.keep_network()
    kept = model.load(resources, ahead=True)
    assert all(model.load(resources, ahead=ahead) is kept for ahead in (False, True, False))
    runtime._AHEAD.clear()
