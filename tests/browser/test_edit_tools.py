"""The tools of the edit mode in a real browser, on arrays: voxels against analytic shapes and against numpy."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from bench.pages.edit_modules import SITE, corrected, load_modules, received, sent
from pipeline.label_runs import with_runs
from tests.support.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SPACING = (2.1, 0.9, 0.8)
SHAPE = (21, 61, 55)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with opened(browser, SITE, timeout_ms=20_000) as tab:
        load_modules(tab)
        yield tab


def from_mm(at: tuple[float, ...], shape: tuple[int, ...] = SHAPE, spacing: tuple[float, ...] = SPACING) -> np.ndarray:
    """(3, z, y, x) mm of every voxel from a place in voxels."""
    places = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return np.stack([(axis - k) * mm for axis, k, mm in zip(places, at, spacing, strict=True)])


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def swept(page: Page, start: tuple[float, ...], end: tuple[float, ...], radius: float, normal: int) -> np.ndarray:
    """The voxels that a brush paints."""
    script = """([shape, spacing, from, to, radius, normal]) => {
      const labels = new Uint8Array(shape[0] * shape[1] * shape[2]);
      edit.sweep(test.lattice(shape, spacing), from, to, radius, normal, (voxel) => { labels[voxel] = 1; });
      return test.text(labels);
    }"""
    return received(page.evaluate(script, [SHAPE, SPACING, start, end, radius, normal]), SHAPE).astype(bool)


def test_a_ball_holds_the_voxels_within_its_radius_and_the_volume_of_a_ball(page: Page) -> None:
    at = (10.0, 30.2, 27.4)
    found = swept(page, at, at, 9.0, -1)
    assert (found == (np.linalg.norm(from_mm(at), axis=0) <= 9.0)).all()
    assert found.sum() * np.prod(SPACING) == pytest.approx(4 / 3 * np.pi * 9.0**3, rel=0.02)


def test_a_drag_paints_a_band_of_constant_width_in_one_slice_only(page: Page) -> None:
    start, end = (7.0, 20.0, 10.5), (7.0, 40.3, 44.0)
    line = np.array(end) * SPACING - np.array(start) * SPACING
    offsets = np.moveaxis(from_mm(start), 0, -1)
    along = np.clip(offsets @ line / (line @ line), 0, 1)
    expected = np.linalg.norm(offsets - along[..., None] * line, axis=-1) <= 3.0
    expected[np.arange(SHAPE[0]) != 7] = False
    assert (swept(page, start, end, 3.0, 0) == expected).all()


def test_the_smallest_brush_paints_a_line_without_gaps(page: Page) -> None:
    from scipy import ndimage

    found = swept(page, (7.0, 5.0, 5.0), (7.0, 50.0, 40.0), 0.1, 0)[7]
    assert ndimage.label(found, structure=np.ones((3, 3)))[1] == 1


def test_a_brush_beyond_the_border_paints_what_is_inside(page: Page) -> None:
    at = (0.0, -2.0, 60.0)
    assert (swept(page, at, at, 6.1, -1) == (np.linalg.norm(from_mm(at), axis=0) <= 6.1)).all()


def test_a_polygon_holds_the_centres_inside_it(page: Page) -> None:
    from matplotlib.path import Path as Polygon

    corners = [(3.2, 4.1), (50.3, 9.7), (30.1, 30.2), (55.4, 48.8), (8.6, 40.3), (20.2, 20.9)]
    script = """([corners, rows, columns]) => {
      const found = new Uint8Array(rows * columns);
      edit.fillPolygon(corners, rows, columns, (row, column) => { found[row * columns + column] += 1; });
      return test.text(found);
    }"""
    found = received(page.evaluate(script, [corners, 61, 55]), (61, 55))
    centres = np.stack(np.meshgrid(np.arange(61) + 0.5, np.arange(55) + 0.5, indexing="ij"), axis=-1)
    expected = Polygon(corners).contains_points(centres.reshape(-1, 2)).reshape(61, 55)
    assert (found == expected).all()


def test_two_hundred_strokes_are_undone_redone_and_sent_without_a_wrong_voxel(page: Page) -> None:
    random = np.random.default_rng(2)
    labels = random.integers(0, 8, SHAPE, dtype=np.uint8)
    strokes = []
    for _ in range(200):
        start, end = random.uniform(0, SHAPE), random.uniform(0, SHAPE)
        normal, label = int(random.integers(-1, 3)), int(random.integers(0, 8))
        if normal >= 0:
            end[normal] = start[normal] = round(start[normal])
        strokes.append([start.tolist(), end.tolist(), random.uniform(0.5, 8), normal, label])
    script = """async ([shape, spacing, labels, strokes]) => {
      const array = test.bytes(labels);
      const lattice = test.lattice(shape, spacing);
      const history = new edit.History(array);
      for (const [from, to, radius, normal, label] of strokes) {
        const recorder = new edit.Recorder(array);
        edit.sweep(lattice, from, to, radius, normal, (voxel) => recorder.set(voxel, label));
        const stroke = recorder.seal({ tool: "brush", label, normal });
        if (stroke) history.push(stroke);
      }
      const painted = test.text(array);
      const { triples, balances } = edit.netChange(array, history.inForce);
      const count = history.position;
      while (history.undo());
      const undone = test.text(array);
      while (history.redo());
      return { painted, undone, redone: test.text(array), count, balances, runs: await edit.packed(triples) };
    }"""
    found = page.evaluate(script, [SHAPE, SPACING, sent(labels), strokes])
    painted = received(found["painted"], SHAPE)
    assert found["count"] > 190
    assert (received(found["undone"], SHAPE) == labels).all()
    assert (received(found["redone"], SHAPE) == painted).all()
    assert (painted != labels).sum() > 1000
    assert (with_runs(labels, base64.b64decode(found["runs"])) == painted).all()
    for balance in found["balances"]:
        before, after = labels == balance["label"], painted == balance["label"]
        assert (balance["added"], balance["removed"]) == ((after & ~before).sum(), (before & ~after).sum())


def bone() -> tuple[np.ndarray, tuple[int, int, int], tuple[float, float, float]]:
    """A body like a condyle, which changes its shape along z: (labels, shape, spacing)."""
    shape, spacing = (49, 90, 96), (0.7, 0.5, 0.5)
    z, y, x = from_mm((24, 45, 48), shape, spacing)
    body = ((y - 0.1 * z) / 16) ** 2 + ((x + 0.25 * z) / 14) ** 2 + (z / 17) ** 2 <= 1
    notch = (x - 2) ** 2 + (y + 14) ** 2 <= 7**2
    return (body & ~notch).astype(np.uint8), shape, spacing


def test_fill_between_finds_the_slices_that_were_left_out(page: Page) -> None:
    truth, shape, spacing = bone()
    held = truth.copy()
    held[np.arange(shape[0]) % 4 != 0] = 0
    script = """([shape, spacing, labels]) => {
      const array = test.bytes(labels);
      const lattice = test.lattice(shape, spacing);
      const axis = (k) => ({ axis: k, turn: 1, n: shape[k], mm: spacing[k], stride: lattice.strides[k], first: 0 });
      const plane = { normal: 0, down: axis(1), right: axis(2), n: shape[0] };
      const keys = edit.filledSlices(lattice, plane, 1, array);
      const write = (voxel, inside) => { array[voxel] = Number(inside); };
      const slices = edit.fillBetween(lattice, plane, 1, array.slice(), keys, write);
      return [test.text(array), keys.size, slices];
    }"""
    text, keys, slices = page.evaluate(script, [shape, spacing, sent(held)])
    found = received(text, shape)
    filled = held.any(axis=(1, 2))
    assert (keys, slices) == (filled.sum(), 3 * (filled.sum() - 1))
    first, last = np.flatnonzero(filled)[[0, -1]]
    between = np.setdiff1d(np.arange(first, last), np.flatnonzero(filled))
    assert dice(found[between] == 1, truth[between] == 1) >= 0.95
    assert (found[filled] == held[filled]).all()


def scanned(body: np.ndarray, *, noise: float = 12.0) -> np.ndarray:
    """8-bit image of a body in darker surroundings."""
    mean = np.where(body, 165.0, 85.0)
    return np.clip(mean + np.random.default_rng(6).normal(0, noise, body.shape), 0, 255).astype(np.uint8)


def test_grow_to_edge_stays_within_the_edge(page: Page) -> None:
    truth, shape, spacing = bone()
    scan = scanned(truth == 1, noise=6.0)
    at = (24, 45, 40)
    script = """([shape, spacing, scan, at]) => {
      const lattice = test.lattice(shape, spacing);
      const array = test.bytes(scan);
      const found = new Uint8Array(array.length);
      const like = { code: edit.meanAround(lattice, array, at), tolerance: 26 };
      edit.growToEdge(lattice, array, at, 15, -1, like, (voxel) => { found[voxel] = 1; });
      return test.text(found);
    }"""
    found = received(page.evaluate(script, [shape, spacing, sent(scan), at]), shape).astype(bool)
    reachable = (np.linalg.norm(from_mm(at, shape, spacing), axis=0) <= 15) & (truth == 1)
    assert (found & (truth == 0)).sum() <= 0.002 * found.sum()
    assert dice(found, reachable) >= 0.99


def test_smoothing_takes_off_steps_and_specks_and_keeps_the_volume(page: Page) -> None:
    truth, shape, spacing = bone()
    random = np.random.default_rng(9)
    rough = truth ^ (random.random(shape) < 0.04).astype(np.uint8)
    script = """([shape, spacing, labels]) => {
      const array = test.bytes(labels);
      const box = shape.map((n) => [0, n - 1]);
      const write = (voxel, label) => { array[voxel] = label; };
      edit.smooth(test.lattice(shape, spacing), array, 1, box, null, 0, -1, write);
      return test.text(array);
    }"""
    found = received(page.evaluate(script, [shape, spacing, sent(rough)]), shape)
    assert (rough != truth).sum() > 10_000
    assert (found != truth).sum() < 0.1 * (rough != truth).sum()
    assert found.sum() == pytest.approx(truth.sum(), rel=0.01)


def test_one_positive_click_closes_a_hole_of_a_centimetre(page: Page) -> None:
    spacing = (0.7, 0.4, 0.4)
    offsets = from_mm((15, 26, 26), (31, 53, 53), spacing)
    truth = (offsets[1] > -7.5).astype(np.uint8)  # the hole is 2.5 mm from the surface
    scan = scanned(truth == 1)
    hole = np.linalg.norm(offsets, axis=0) <= 5.0
    found = corrected(page, truth * ~hole, scan, spacing, click=(15, 26, 26), label=1, positive=True, reach=8)
    assert dice(found == 1, truth == 1) >= 0.999
    assert (found[hole] == 1).mean() >= 0.99


def test_one_negative_click_takes_a_leak_off_and_gives_it_to_the_neighbour(page: Page) -> None:
    """Where the leak has run into another structure, that structure gets its voxels back."""
    spacing = (0.7, 0.4, 0.4)
    offsets = from_mm((15, 26, 26), (31, 53, 53), spacing)
    truth = np.select([offsets[1] > 4.0, offsets[2] > 0], [1, 2], 0).astype(np.uint8)
    scan = scanned(truth == 1)
    leak = (np.linalg.norm(offsets, axis=0) <= 5.0) & (truth != 1)
    found = corrected(
        page, np.where(leak, 1, truth), scan, spacing, click=(15, 26, 26), label=1, positive=False, reach=8
    )
    assert dice(found == 1, truth == 1) >= 0.999
    assert (found[leak] == 1).mean() <= 0.01
    assert dice((found == 2) & leak, (truth == 2) & leak) >= 0.9


def test_a_click_that_changes_nothing_near_it_leaves_all_labels(page: Page) -> None:
    spacing = (0.7, 0.4, 0.4)
    offsets = from_mm((15, 26, 26), (31, 53, 53), spacing)
    truth = (offsets[1] > -7.5).astype(np.uint8)
    found = corrected(page, truth, scanned(truth == 1), spacing, click=(15, 26, 26), label=1, positive=True, reach=8)
    assert (found == truth).all()
