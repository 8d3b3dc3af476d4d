"""Figures on labelled sets on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from jobs import service
from jobs.settings import load_settings
from pipeline.options import DEFAULT_MODEL
from pipeline.segmentation.registry import model
from pipeline.types import Resources
from pipeline.validation.record import validation_path, write_validation
from tests.support.validations import FEMORAL, validation
from ui.methods.validations import measures, notes, outlines
from ui.parts import wording


def shown() -> None:
    from jobs import service
    from ui.methods.validations import show_validations

    show_validations(service.models())


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With one set measured with the present weights, and one with others."""
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    load_settings.cache_clear()
    identity = model(DEFAULT_MODEL, Resources()).identity()
    other = replace(identity, digests=dict.fromkeys(identity.digests, "0" * 64))
    for name, measured in (("our_knees", identity), ("old_knees", other)):
        found = validation(set_name=name, model=measured)
        write_validation(found, validation_path(tmp_path, DEFAULT_MODEL, name))
    yield tmp_path
    load_settings.cache_clear()


def test_methods_shows_the_figures_of_the_present_weights_only(models_dir: Path) -> None:
    page = AppTest.from_function(shown, default_timeout=60).run()
    assert not page.exception
    text = [item.value for item in page.markdown]
    assert any("On the 3 scans of our\\_knees" in item for item in text)
    assert not any("On the 3 scans of old" in item for item in text)
    assert any("old\\_knees were measured with other weights" in item.value for item in page.caption)


def test_an_analysis_gets_the_figures_of_the_same_weights_and_steps(models_dir: Path) -> None:
    identity = model(DEFAULT_MODEL, Resources()).identity()
    assert [item.set_name for item in service.validations(identity, {"segment": 4})] == ["our_knees"]
    assert service.validations(identity, {"segment": 5}) == ()
    assert service.validations(replace(identity, digests={}), {}) == ()


def test_tables_have_one_line_per_structure_and_region() -> None:
    assert list(outlines(validation())["Structure"]) == [wording.name(FEMORAL)]
    assert list(measures(validation())["Bias"]) == [0.1]


def test_what_the_figures_leave_out_is_stated() -> None:
    found = notes(validation(without_bones=True, refused=2, not_segmented=("patella",)))
    assert "2 further scans have no result." in found
    assert any("no bones" in note for note in found)
    assert "Not segmented by the model: patella." in found
