"""A step can read what it declares, and nothing else; its own version decides whether its kept products are used."""

import dataclasses
import threading

import numpy as np
import pytest

from pipeline.acquisition import PulseSequence
from pipeline.grid import Grid
from pipeline.options import AnalysisOptions
from pipeline.product import arrays_and_json
from pipeline.products import ALIGNMENT, MEASUREMENTS, RESOURCES, SCAN, SCAN_HEADER, SUBREGIONS, SURFACES
from pipeline.progress import StepState
from pipeline.run import run_analysis
from pipeline.scan_header import header_of
from pipeline.step import Inputs, Step, UndeclaredRead
from pipeline.steps import STEPS
from pipeline.types import Request, Resources, Scan
from pipeline.workspace import Workspace
from tests.support.knees import coarse_knee
from tests.support.label_maps import write_nrrd

LABELS = np.zeros((2, 3, 4), np.uint8)
A, B = (arrays_and_json(name, lambda array: ({}, {"a": array}), lambda kept: kept.array("a")) for name in "ab")


def multi_echo_scan():
    grid = Grid(shape=(2, 3, 4), spacing_mm=(1.5, 0.3, 0.4), origin_mm=np.zeros(3), direction=np.eye(3))
    echoes = np.ones((3, 2, 3, 4), np.float32)
    return Scan(echoes=echoes, grid=grid, sequence=PulseSequence.MULTI_ECHO_SPIN_ECHO, echo_times_ms=(10.0, 20.0, 30.0))


def inputs(tmp_path, chosen=None, given=None, loaded=None, **declared):
    workspace = Workspace(tmp_path)
    workspace.create()
    step = Step(name="under_test", title="Under test", run=lambda _: (), **declared)
    return Inputs(
        step, workspace, chosen or AnalysisOptions(), given or {}, lambda _: None, {} if loaded is None else loaded
    )


def test_a_declared_product_is_read_back_as_it_was_stored(tmp_path):
    given = inputs(tmp_path, reads=(SUBREGIONS,))
    SUBREGIONS.save(Workspace(tmp_path), LABELS)
    assert np.array_equal(given[SUBREGIONS], LABELS)
    assert given[SUBREGIONS] is given[SUBREGIONS], "loaded once"


def test_steps_share_what_they_read_and_cannot_change_it(tmp_path):
    loaded = {}
    one, other = (inputs(tmp_path, loaded=loaded, reads=(SUBREGIONS,)) for _ in range(2))
    SUBREGIONS.save(Workspace(tmp_path), LABELS)
    assert one[SUBREGIONS] is other[SUBREGIONS]
    with pytest.raises(ValueError, match="read-only"):
        other[SUBREGIONS][0, 0, 0] = 1


def test_a_step_is_prepared_before_it_runs_though_an_earlier_one_fails(tmp_path):
    prepared = []
    early = Step(name="early", title="Early", run=lambda _: (SUBREGIONS.of(LABELS),), produces=(SURFACES,))
    late = Step(name="late", title="Late", run=lambda _: (), prepare=lambda: prepared.append("late"))
    workspace = Workspace(tmp_path)
    request = Request(input_name="knee.nrrd", labels="knee.nrrd")
    with pytest.raises(TypeError, match="early returned"):
        run_analysis(workspace, AnalysisOptions(), Resources(), request, lambda _: None, (early, late))
    assert prepared == ["late"]


@pytest.mark.parametrize("read", [lambda given: given[SUBREGIONS], lambda given: given.get(SUBREGIONS)])
def test_an_undeclared_product_cannot_be_read_though_it_is_there(tmp_path, read):
    given = inputs(tmp_path, reads=(SURFACES, ALIGNMENT))
    SUBREGIONS.save(Workspace(tmp_path), LABELS)
    with pytest.raises(UndeclaredRead, match="under_test reads subregions"):
        read(given)


def test_an_undeclared_fact_cannot_be_read(tmp_path):
    given = {RESOURCES: lambda: Resources(device="cpu")}
    assert inputs(tmp_path, given=given, reads=(RESOURCES,))[RESOURCES].device == "cpu"
    with pytest.raises(UndeclaredRead, match="under_test reads resources"):
        inputs(tmp_path, given=given)[RESOURCES]


def test_an_undeclared_option_cannot_be_read_not_even_through_a_property(tmp_path):
    chosen = AnalysisOptions(side="left", series="5")
    assert inputs(tmp_path, chosen, options=("side",)).options.chosen_side == "left"
    with pytest.raises(UndeclaredRead, match="option side"):
        _ = inputs(tmp_path, chosen, options=("series",)).options.chosen_side


def test_a_missing_product_is_none_only_where_that_is_asked_for(tmp_path):
    given = inputs(tmp_path, reads=(SUBREGIONS,))
    assert given.get(SUBREGIONS) is None
    with pytest.raises(FileNotFoundError):
        given[SUBREGIONS]


def test_whether_t2_can_be_fitted_is_decided_without_the_voxels(tmp_path):
    scan = multi_echo_scan()
    workspace = Workspace(tmp_path)
    SCAN.save(workspace, scan)
    SCAN_HEADER.save(workspace, header_of(scan))
    (workspace.work_dir / "scan.echoes.npy").unlink()
    step = next(step for step in STEPS if step.name == "t2")

    def reason(options):
        return step.applies(Inputs(step, workspace, options, {}, lambda _: None, {}))

    assert reason(AnalysisOptions()) is None
    SCAN_HEADER.save(workspace, dataclasses.replace(header_of(scan), echoes=1, echo_times_ms=()))
    assert "T2 needs at least 2" in reason(AnalysisOptions())


@pytest.mark.slow
def test_a_new_version_of_a_step_runs_it_and_what_reads_it_again_and_no_other(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.create()
    write_nrrd(coarse_knee(), workspace.input_dir / "knee.nrrd")

    def run(steps):
        request = Request(input_name="knee.nrrd", labels="knee.nrrd")
        summary = run_analysis(workspace, AnalysisOptions(), Resources(), request, lambda _: None, steps)
        return {step.name: step.seconds for step in summary.steps if step.state is StepState.DONE}

    first = run(STEPS)
    newer = tuple(dataclasses.replace(s, version=s.version + 1) if s.name == "thickness" else s for s in STEPS)
    second = run(newer)
    again = {name for name in first if first[name] != second[name]}
    assert again == {"thickness", "measure", "quality", "maps", "report"}
    assert MEASUREMENTS.exists(workspace)


def test_a_step_that_returns_another_product_than_it_declares_is_a_defect(tmp_path):
    wrong = Step(name="wrong", title="Wrong", run=lambda _: (SUBREGIONS.of(LABELS),), produces=(SURFACES,))
    workspace = Workspace(tmp_path)
    workspace.create()
    request = Request(input_name="knee.nrrd", labels="knee.nrrd")
    with pytest.raises(TypeError, match=r"wrong returned \['subregions'\]"):
        run_analysis(workspace, AnalysisOptions(), Resources(), request, lambda _: None, (wrong,))
    assert not SUBREGIONS.exists(workspace)


def test_every_product_is_made_by_one_step_before_it_is_read():
    made = set()
    for step in STEPS:
        for source in step.reads:
            assert getattr(source, "marker", None) is None or source in made, (step.name, source.name)
        assert not made & set(step.produces)
        made |= set(step.produces)


def test_an_early_step_runs_beside_later_ones_and_is_awaited_at_its_turn(tmp_path):
    """Each of the two steps waits for the other: in sequence, neither would end."""
    both, threads = threading.Barrier(2, timeout=20), {}

    def meet(product):
        def run(_):
            threads[product] = threading.get_ident()
            both.wait()
            return (product.of(LABELS),)

        return run

    first = Step(name="first", title="First", run=lambda _: (SUBREGIONS.of(LABELS),), produces=(SUBREGIONS,))
    main = Step(name="main", title="Main", run=meet(A), reads=(SUBREGIONS,), produces=(A,))
    early = Step(name="early", title="Early", run=meet(B), reads=(SUBREGIONS,), produces=(B,), early=True)
    last = Step(name="last", title="Last", run=lambda _: (), reads=(A, B))
    seen = []
    workspace = Workspace(tmp_path)
    workspace.create()
    request = Request(input_name="knee.nrrd", labels="knee.nrrd")
    steps = (first, main, early, last)
    with pytest.raises(FileNotFoundError):  # these steps deliver no results
        run_analysis(workspace, AnalysisOptions(), Resources(), request, seen.append, steps)
    assert threads[A] != threads[B]
    assert B.exists(workspace)
    assert [step.state for step in seen[-1].steps] == [StepState.DONE] * 4
    assert [progress.name for progress in seen if progress.name == "early"] == ["early"]
