"""The same results as the NSM library for one of its checkpoints, and a published B-score."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.shape.checkpoint import read_weights
from pipeline.shape.decoder import ShapeDecoder
from pipeline.shape.score import read_score
from pipeline.shape.settings import read_settings

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "nsm-parity"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the library's checkpoint and answers are not here")


def test_distances_are_those_of_the_library():
    decoder = ShapeDecoder(read_settings(FOLDER / "model_config.json"), read_weights(FOLDER / "model.pth"))
    answers = np.load(FOLDER / "expected.npz")
    found = decoder.distances(answers["latent"], answers["points"])
    assert found.shape == answers["sdf"].shape == (2000, 2)
    assert np.abs(found - answers["sdf"]).max() < 1e-6


def test_a_published_b_score_is_read_and_computed_as_stated():
    path = FOLDER / "bscore_model.json"
    published = json.loads(path.read_text())
    latent = np.random.default_rng(0).normal(size=512)
    expected = (latent @ published["bscore_vector"] - published["mean_healthy"]) / published["std_healthy"]
    assert read_score(path, 512).score(latent) == pytest.approx(expected, abs=1e-12)
