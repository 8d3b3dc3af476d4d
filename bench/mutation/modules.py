"""Which tests are a module's own: the one table of `make mutate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Part:
    """Modules, and the tests that must notice each change of them; the quickest tests first.

    marker: which of the tests run (an expression for pytest -m); without: tests that measure a time, which would fail
    on a busy machine
    """

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    marker: str = "not slow"
    without: tuple[str, ...] = ()


COMPARISON: Final = "tests/pipeline/comparison/test_comparison.py"
RECONCILER: Final = "tests/jobs/test_reconciler.py"

PARTS: Final[dict[str, Part]] = {
    "guard": Part(
        modules=("rest/guard.py",),
        tests=("tests/rest/test_guard.py",),
    ),
    "access": Part(
        modules=("rest/access.py", "rest/hosts.py", "rest/clients.py"),
        tests=("tests/rest/test_clients.py", "tests/rest/test_hosts.py", "tests/rest/test_guard.py"),
    ),
    "store": Part(
        modules=("jobs/state/store.py",),
        tests=("tests/jobs/test_store.py",),
    ),
    "reconciler": Part(
        modules=("jobs/state/reconciler.py",),
        tests=("tests/jobs/test_repairs.py", RECONCILER),
        without=(
            f"{RECONCILER}::test_ten_thousand_finished_jobs_do_not_slow_a_pass",
            f"{RECONCILER}::test_work_is_killed_even_if_its_worker_lost_the_queue",
            f"{RECONCILER}::test_interrupted_work_is_queued_again_once_and_then_fails",
        ),
    ),
    "retention": Part(
        modules=("jobs/control/expiry.py",),
        tests=("tests/jobs/test_expiry.py",),
    ),
    "control": Part(
        modules=(
            "jobs/control/cancelling.py",
            "jobs/control/copying.py",
            "jobs/control/retrying.py",
            "jobs/control/work.py",
        ),
        tests=("tests/jobs/test_control.py", f"{RECONCILER}::test_work_is_killed_even_if_its_worker_lost_the_queue"),
    ),
    "thickness": Part(
        modules=("pipeline/thickness.py",),
        tests=("tests/pipeline/test_thickness.py",),
    ),
    "regions": Part(
        modules=("pipeline/regions.py",),
        tests=("tests/pipeline/test_regions.py",),
    ),
    "measure": Part(
        modules=("pipeline/measure.py",),
        tests=("tests/pipeline/test_measure.py", "tests/pipeline/test_thickness.py"),
    ),
    "surface": Part(
        modules=("pipeline/surface.py",),
        tests=("tests/pipeline/test_surface.py",),
    ),
    "quality": Part(
        modules=("pipeline/quality.py",),
        tests=("tests/pipeline/test_quality.py", "tests/pipeline/test_flags.py"),
    ),
    "t2": Part(
        modules=(
            "pipeline/t2/availability.py",
            "pipeline/t2/decay.py",
            "pipeline/t2/layers.py",
            "pipeline/t2/maps.py",
            "pipeline/t2/on_surface.py",
            "pipeline/t2/qdess.py",
        ),
        tests=("tests/pipeline/t2/test_t2.py", "tests/pipeline/t2/test_t2_on_surface.py"),
    ),
    "comparison": Part(
        modules=(
            "pipeline/comparison/bones.py",
            "pipeline/comparison/carry.py",
            "pipeline/comparison/changes.py",
            "pipeline/comparison/compare.py",
            "pipeline/comparison/documents.py",
            "pipeline/comparison/folders.py",
            "pipeline/comparison/knee.py",
            "pipeline/comparison/reproducibility.py",
            "pipeline/comparison/scene.py",
        ),
        tests=("tests/pipeline/comparison/test_changes.py", COMPARISON),
        marker="",
        without=(
            f"{COMPARISON}::test_a_rigidly_moved_knee_shows_no_change_and_its_motion_is_recovered",
            f"{COMPARISON}::test_resampling_to_an_oblique_grid_changes_less_than_a_voxel",
        ),
    ),
    "geometry": Part(
        modules=(
            "pipeline/image_io/nifti_geometry.py",
            "pipeline/image_io/geometry.py",
            "pipeline/image_io/dicom_stack.py",
        ),
        tests=(
            "tests/pipeline/image_io/test_stacks.py",
            "tests/pipeline/image_io/test_two_transforms.py",
            "tests/pipeline/image_io/test_geometry.py",
            "tests/pipeline/image_io/test_bad_series.py",
            "tests/pipeline/image_io/test_dicom.py",
        ),
    ),
}

MUST_NOTICE_ALL: Final = ("guard", "access", "store", "reconciler")
"""Parts in which every change must be noticed; in the others nine of ten."""
