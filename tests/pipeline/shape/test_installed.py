"""Folders of MODELS_DIR/nsm: which are found and chosen, and messages for unusable ones."""

import shutil
from collections import OrderedDict

import numpy as np
import pytest

from pipeline.digest import sha256_of
from pipeline.errors import WeightsCorrupt
from pipeline.shape.built_in.model import BuiltInShape
from pipeline.shape.installed import chosen_shapes, installed_shapes, load, unused_shapes, why_none
from pipeline.types import Resources
from tests.support.checkpoint_files import write_checkpoint
from tests.support.shape_model import install

SCORE = {"bscore_vector": [1.0, 0.0], "mean_healthy": 0.0, "std_healthy": 1.0}


@pytest.fixture
def resources(tmp_path):
    return Resources(models_dir=tmp_path)


def only(resources):
    (found,) = installed_shapes(resources)
    return found


def test_without_a_folder_nothing_is_installed(resources):
    assert installed_shapes(resources) == installed_shapes(Resources()) == ()
    assert unused_shapes("both", resources) == ()


@pytest.mark.slow
def test_the_published_layout_is_recognised(resources, tmp_path):
    folder = install(tmp_path / "nsm" / "647", score=SCORE)
    (folder / "model").mkdir()
    (folder / "model_config.json").rename(folder / "model_params_config.json")
    shutil.copy(folder / "model.pth", folder / "model" / "950.pth")
    (folder / "model.pth").rename(folder / "model" / "2000.pth")
    (folder / "latent_codes").mkdir()
    (folder / "latent_codes" / "2000.pth").write_bytes(b"ignored")
    found = only(resources)
    assert (found.problem, found.kind) == ("", "bone_and_cart")
    assert found.checkpoint == folder / "model" / "2000.pth"
    assert found.score is not None
    assert load(found).distances(np.zeros(2), np.zeros((1, 3))).shape == (1, 2)


def test_the_first_model_by_name_is_chosen_per_kind(resources, tmp_path):
    for name, only_bone in (("b", False), ("a", False), ("c", True)):
        install(tmp_path / "nsm" / name, only_bone=only_bone)
    assert [model.name for model in chosen_shapes("both", resources)] == ["a", "c"]
    assert [model.name for model in chosen_shapes("bone_only", resources)] == ["c"]
    (tmp_path / "nsm" / "a" / "model_config.json").unlink()
    assert [model.name for model in chosen_shapes("bone_and_cart", resources)] == ["b"]


def test_without_an_installed_model_the_built_in_one_is_chosen(resources, tmp_path):
    install(tmp_path / "nsm" / "femurs", only_bone=True)
    assert [type(model) for model in chosen_shapes("bone_and_cart", resources)] == [BuiltInShape]


BREAKAGES = {
    "no configuration": (lambda f: (f / "model_config.json").unlink(), "There is no model_config.json"),
    "no weights": (lambda f: (f / "model.pth").unlink(), "There is no .pth checkpoint"),
    "two weights": (lambda f: shutil.copy(f / "model.pth", f / "old.pth"), "There are 2 .pth files"),
    "no JSON": (lambda f: (f / "model_config.json").write_text("{"), "cannot be read"),
    "score of another model": (
        lambda f: (f / "score.json").write_text('{"bscore_vector": [1, 2, 3], "mean_healthy": 0, "std_healthy": 1}'),
        "latent vectors of 3 numbers; this model has 2",
    ),
    "score without spread": (
        lambda f: (f / "score.json").write_text('{"bscore_vector": [1, 2], "mean_healthy": 0, "std_healthy": 0}'),
        "zero deviation",
    ),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_an_unusable_folder_has_a_reason_and_is_not_chosen(resources, tmp_path, name):
    breakage, said = BREAKAGES[name]
    breakage(install(tmp_path / "nsm" / "femurs"))
    assert said in only(resources).problem
    assert [type(model) for model in chosen_shapes("bone_and_cart", resources)] == [BuiltInShape]
    assert said in unused_shapes("bone_and_cart", resources)[0]
    assert said in why_none("bone_and_cart", resources)


def test_two_scores_are_rejected(resources, tmp_path):
    folder = install(tmp_path / "nsm" / "femurs", score=SCORE)
    shutil.copytree(folder / "bscore", folder / "other")
    assert "2 B-score files (bscore/model.json, other/model.json)" in only(resources).problem


def test_weights_that_do_not_fit_their_configuration_are_corrupt(resources, tmp_path):
    folder = install(tmp_path / "nsm" / "femurs", config={"latent_size": 3})
    with pytest.raises(WeightsCorrupt, match=r"vae_decoder.fc.weight has the shape \(8, 2\); expected \(8, 3\)"):
        load(only(resources))
    write_checkpoint(folder / "model.pth", {"model": OrderedDict(a=np.ones(3))})
    with pytest.raises(WeightsCorrupt, match="has no tensor"):
        load(only(resources))


def test_weights_are_loaded_only_if_they_match_their_digest_list(resources, tmp_path):
    folder = install(tmp_path / "nsm" / "femurs")
    sums = folder / "SHA256SUMS"
    sums.write_text(f"{sha256_of(folder / 'model.pth')}  model.pth\n")
    load(only(resources))
    sums.write_text(f"{'0' * 64}  model.pth\n")
    with pytest.raises(WeightsCorrupt, match="SHA256SUMS expects 000000000000"):
        load(only(resources))
    sums.write_text("rubbish")
    with pytest.raises(WeightsCorrupt, match="cannot be read"):
        load(only(resources))
