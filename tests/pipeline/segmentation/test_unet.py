"""The built-in network finds bones at known positions for any storage order, reproducibly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.anatomy import Structure, Tissue
from pipeline.digest import sha256_of
from pipeline.errors import OptionsError, WeightsCorrupt, WeightsMissing
from pipeline.options import AS_STATED
from pipeline.segmentation import describe, run, segment, unet
from pipeline.segmentation.edges.network import ANSWERS, Ensemble, ProfileNetwork, write_ensemble
from pipeline.segmentation.edges.profiles import DEPTHS_MM, FEATURES
from pipeline.segmentation.knee_unet import KneeUnet, knee_unet
from pipeline.segmentation.models.knee_edges import KneeEdges, knee_edges
from pipeline.segmentation.runtime import BothSides
from pipeline.segmentation.sampling import standardise
from pipeline.types import Resources, Scan, Segmentation
from tests.support.segmentation_phantom import stored_otherwise, two_bones

ONE_CORE = Resources(threads=1)
ROOT = Path(__file__).resolve().parents[3]


def _dice(found: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def _quiet(_: float) -> None:
    """Ignores progress."""


@pytest.fixture(scope="module")
def phantom() -> tuple[Scan, np.ndarray, np.ndarray]:
    return two_bones()


@pytest.fixture(scope="module")
def segmented(phantom) -> Segmentation:
    """By the first pass alone."""
    return run(knee_unet(), phantom[0], ONE_CORE, _quiet, turn=AS_STATED)


@pytest.mark.slow
def test_both_bones_of_a_phantom_are_segmented_with_their_cartilage(phantom, segmented) -> None:
    scan, upper, lower = phantom
    assert segmented.grid is scan.grid
    assert segmented.model_id == "knee_unet"
    assert not segmented.compartments_apart
    assert _dice(segmented.mask(Structure.FEMUR), upper) > 0.95
    assert _dice(segmented.mask(Structure.TIBIA), lower) > 0.95
    assert segmented.mask(Structure.FEMORAL_CARTILAGE).any()
    assert segmented.mask(Structure.MEDIAL_TIBIAL_CARTILAGE).any()


@pytest.mark.slow
def test_confidence_is_a_probability_and_high_in_clear_bone(segmented) -> None:
    assert all(1 / 7 <= value <= 1 for value in segmented.confidence.values())
    assert segmented.confidence[Structure.FEMUR] > 0.9
    assert set(segmented.surface_entropy_bits) == set(segmented.confidence)
    assert all(0 < value <= 1 for value in segmented.surface_entropy_bits.values())


@pytest.mark.slow
@pytest.mark.parametrize(("order", "flips"), [((2, 1, 0), (0, 2)), ((1, 2, 0), (1,))])
def test_labels_do_not_depend_on_the_storage_order(phantom, segmented, order, flips) -> None:
    scan = stored_otherwise(phantom[0], order, flips)
    centre = np.array([phantom[0].grid.shape]) // 2
    there = np.rint(scan.grid.to_index(phantom[0].grid.to_mm(centre))).astype(int)[0]
    assert scan.echoes[0][tuple(there)] == phantom[0].echoes[0][tuple(centre[0])], "the phantom itself moved"
    labels = run(knee_unet(), scan, ONE_CORE, _quiet, turn=AS_STATED).labels
    assert np.array_equal(labels, np.flip(segmented.labels.transpose(order), flips))


@pytest.mark.slow
def test_the_same_scan_gives_bit_identical_labels(phantom, segmented) -> None:
    again = run(knee_unet(), phantom[0], ONE_CORE, _quiet, turn=AS_STATED)
    assert np.array_equal(again.labels, segmented.labels)
    assert again.confidence == segmented.confidence
    assert again.surface_entropy_bits == segmented.surface_entropy_bits


def with_edges(folder: Path) -> KneeEdges:
    """The default model with edge networks that keep the first pass."""
    sizes = (FEATURES, 4, ANSWERS * len(DEPTHS_MM))
    layers = tuple((np.zeros(pair, np.float32), np.zeros(pair[1], np.float32)) for pair in pairwise(sizes))
    believes = ProfileNetwork(centre=np.zeros(FEATURES, np.float32), scale=np.ones(FEATURES, np.float32), layers=layers)
    write_ensemble(Ensemble(members=(believes,)), folder / "edges.npz")
    path = folder / "edges.npz"
    return replace(knee_edges(), weights=replace(knee_edges().weights, path=path, sha256=sha256_of(path)))


@pytest.mark.slow
def test_edges_equal_to_the_first_pass_change_little(phantom, segmented, tmp_path) -> None:
    reported: list[float] = []
    found = run(with_edges(tmp_path), phantom[0], ONE_CORE, reported.append, turn=AS_STATED)
    for structure in (Structure.FEMUR, Structure.TIBIA):
        assert _dice(found.mask(structure), segmented.mask(structure)) > 0.97
    changed = found.labels != segmented.labels
    assert changed.any()
    assert changed.mean() < 0.02, "doubtful cartilage is read as whole or none"
    for ours, first in (
        (found.confidence, segmented.confidence),
        (found.surface_entropy_bits, segmented.surface_entropy_bits),
    ):
        assert set(ours) == set(first)
        assert all(ours[s] == first[s] for s in first if s.tissue is Tissue.BONE), "bones as the first pass has them"
        assert any(ours[s] != first[s] for s in first if s.tissue is Tissue.CARTILAGE), "cartilage as read along rays"
        assert all(0 <= value <= 1 for value in ours.values())
    assert reported == sorted(reported)
    assert reported[-2] < 0.8, "edges are still to be read"
    assert reported[-1] == 1


@pytest.mark.slow
def test_edges_do_not_depend_on_the_storage_order(phantom, tmp_path) -> None:
    model = with_edges(tmp_path)
    scan = stored_otherwise(phantom[0], (1, 2, 0), (1,))
    found = run(model, phantom[0], ONE_CORE, _quiet, turn=AS_STATED)
    assert np.array_equal(
        run(model, scan, ONE_CORE, _quiet, turn=AS_STATED).labels, np.flip(found.labels.transpose((1, 2, 0)), (1,))
    )


def test_edge_networks_with_another_digest_than_the_card_are_rejected(phantom, tmp_path) -> None:
    model = with_edges(tmp_path)
    other = replace(model, weights=replace(model.weights, sha256="0" * 64))
    with pytest.raises(WeightsCorrupt):
        run(other, phantom[0], ONE_CORE, _quiet, turn=AS_STATED)


def test_no_number_depends_on_the_number_of_cores() -> None:
    """The last bits would differ if several threads shared a window: on another machine, or in a study, whose processes
    have fewer cores each.
    """
    volume = np.random.default_rng(8).gamma(2.0, 1.0, (1, 96, 64, 64)).astype(np.float32)

    def found(threads: int) -> list[np.ndarray]:
        network = knee_unet().load(Resources(threads=threads))
        return [slab.copy() for _, slab in unet.probabilities(network, volume, 48, lambda _: None)]

    alone = found(1)
    for threads in (2, 3):
        assert all(np.array_equal(a, b) for a, b in zip(alone, found(threads), strict=True)), threads


def test_a_mirrored_look_gives_mirrored_windows_mirrored_probabilities() -> None:
    model = knee_unet()
    assert model.axes[model.side_axis] in "LR"
    look = BothSides(network=model.load(ONE_CORE), axis=model.side_axis)
    window = np.random.default_rng(5).gamma(2.0, 1.0, (1, 32, 48, 16)).astype(np.float32)
    found, mirrored = look(window), look(np.flip(window, model.side_axis + 1))
    assert np.allclose(np.flip(mirrored, model.side_axis + 1), found, atol=1e-5)
    assert np.allclose(found.sum(axis=0), 1, atol=1e-4)
    assert not np.allclose(look.network(window), found, atol=1e-3), "the network alone is not symmetric"


@pytest.mark.slow
def test_the_cascade_sees_both_sides_and_progress_reaches_one(phantom) -> None:
    scan, upper, lower = phantom
    reported: list[float] = []
    found = segment(scan, "nnunet_cascade", ONE_CORE, reported.append, turn=AS_STATED)
    assert _dice(found.mask(Structure.FEMUR), upper) > 0.95
    assert _dice(found.mask(Structure.TIBIA), lower) > 0.95
    assert not np.array_equal(found.labels, segment(scan, "nnunet_fullres", ONE_CORE, _quiet, turn=AS_STATED).labels)
    assert reported[0] == 0
    assert reported[-1] == 1
    assert reported == sorted(reported)
    assert len(reported) >= 3


@pytest.mark.slow
def test_thick_slices_keep_the_first_pass_in_both_models() -> None:
    scan, upper, lower = two_bones((80, 80, 18), (0.8, 0.8, 4.0))
    first = run(knee_unet(), scan, ONE_CORE, _quiet, turn=AS_STATED)
    for name in ("nnunet_fullres", "nnunet_cascade"):
        found = segment(scan, name, ONE_CORE, _quiet, turn=AS_STATED)
        assert np.array_equal(found.labels, first.labels)
        assert found.confidence == first.confidence
        assert found.model_id == name
    assert _dice(first.mask(Structure.FEMUR), upper) > 0.9
    assert _dice(first.mask(Structure.TIBIA), lower) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "spacing"), [((10, 12, 11), (0.3, 0.4, 0.35)), ((12, 60, 60), (4.0, 1.1, 1.1)), ((1, 40, 40), (4, 2, 2))]
)
def test_tiny_and_thick_sliced_scans_are_segmented(shape, spacing) -> None:
    scan, _, _ = two_bones(shape, spacing)
    assert segment(scan, "nnunet_fullres", ONE_CORE, _quiet, turn=AS_STATED).labels.shape == shape


@pytest.mark.slow
def test_several_echoes_are_segmented_as_their_root_mean_square(phantom, segmented) -> None:
    scan = phantom[0]
    echoes = np.concatenate([scan.echoes * np.float32(factor) for factor in (1.4, 0.2)])
    found = run(knee_unet(), replace(scan, echoes=echoes), ONE_CORE, _quiet, turn=AS_STATED)
    assert (found.labels == segmented.labels).mean() > 0.9999


def test_brightness_and_scale_of_the_image_do_not_matter() -> None:
    volume = np.random.default_rng(3).gamma(2.0, 1.0, (40, 40, 40)).astype(np.float32)
    first = standardise(volume)
    assert abs(first.mean()) < 1e-5
    assert abs(first.std() - 1) < 1e-4
    assert np.allclose(standardise(volume * 700), first, atol=1e-3)


def test_provenance_contains_the_model_that_ran() -> None:
    reported = describe("nnunet_fullres", ONE_CORE)
    assert reported["first_pass_sha256"] == knee_unet().weights.sha256
    assert reported["source"] == "built-in"
    assert reported["threads"] == 1
    assert reported["runtime"].startswith("onnxruntime ")
    assert reported["provider"].endswith("ExecutionProvider")


def with_weights(**changes: Any) -> KneeUnet:
    return replace(knee_unet(), weights=replace(knee_unet().weights, **changes))


def test_changed_weights_and_invalid_networks_are_rejected(phantom, tmp_path: Path) -> None:
    changed = tmp_path / "weights.onnx"
    shutil.copy(knee_unet().weights.path, changed)
    with changed.open("r+b") as file:
        file.seek(4_000_000)
        file.write(b"\0\0")
    with pytest.raises(WeightsCorrupt, match="SHA-256") as refused:
        run(with_weights(path=changed), phantom[0], ONE_CORE, _quiet, turn=AS_STATED)
    assert str(tmp_path) not in str(refused.value)
    changed.write_bytes(b"not a network")
    import hashlib

    digest = hashlib.sha256(b"not a network").hexdigest()
    with pytest.raises(WeightsCorrupt, match="cannot be loaded"):
        run(with_weights(path=changed, sha256=digest), phantom[0], ONE_CORE, _quiet, turn=AS_STATED)
    with pytest.raises(WeightsMissing):
        run(with_weights(path=tmp_path / "gone.onnx"), phantom[0], ONE_CORE, _quiet, turn=AS_STATED)
    one_label = replace(knee_unet(), card=replace(knee_unet().card, native_labels={1: "femur"}))
    with pytest.raises(WeightsCorrupt, match="labels"):
        run(one_label, phantom[0], ONE_CORE, _quiet, turn=AS_STATED)


def test_an_unknown_model_is_rejected_before_the_run(phantom) -> None:
    with pytest.raises(OptionsError):
        segment(phantom[0], "best", ONE_CORE, _quiet, turn=AS_STATED)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_too_little_memory_raises_out_of_memory() -> None:
    code = """
import resource, numpy as np
from pipeline.errors import OutOfMemory
from pipeline.segmentation.knee_unet import knee_unet
from pipeline.types import Resources
network = knee_unet().load(Resources(threads=1))
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    network(np.zeros((1, 256, 256, 256), np.float32))
except OutOfMemory as error:
    print("OutOfMemory")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.stdout.strip() == "OutOfMemory", done.stderr[-500:]


def test_a_network_loaded_ahead_is_used_once_and_then_released() -> None:
    ahead = knee_unet().load(ONE_CORE, ahead=True)
    assert knee_unet().load(ONE_CORE) is ahead
    assert knee_unet().load(ONE_CORE) is not ahead
