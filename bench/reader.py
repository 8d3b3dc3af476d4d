"""A scripted reader: click to correct at the worst places of a built-in network, on held-out synthetic scans.

    python -m bench.reader MAPS [--knees 10] [--clicks 5] [--model nnunet_fullres]

MAPS/validation, or MAPS itself, contains expert label maps not used in training. The reader clicks where an error of
cartilage is deepest, sees the proposal, and rejects it if it is worse than the outline.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage

from bench.pages.chromium import launch
from bench.pages.edit_modules import corrected, load_modules
from pipeline.alignment import align_knee
from pipeline.anatomy import Structure
from pipeline.regions import split_compartments
from pipeline.report.view_slices import eight_bits
from pipeline.segmentation import run
from pipeline.surface import bone_surface
from pipeline.types import LabelArray, Resources, Segmentation
from training.evaluation.__main__ import first_maps
from training.evaluation.scan import Rendered, unseen_dess
from training.generator.materials import PLATES
from training.generator.space import box_around
from training.knee_unet.agreement import compare, region_means
from training.knee_unet.built_in import built_in
from training.knee_unet.collection import maps_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

REACH_MM: Final = 8.0
MARGIN_MM: Final = 2.0
"""As in the browser: the preset reach, and fixed voxels around it (corrector.js)."""

SEED: Final = 11
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class Place:
    """The middle of an error. positive: the structure is missing there; depth_mm: distance to where it is right."""

    voxel: tuple[int, int, int]
    structure: Structure
    positive: bool
    depth_mm: float


@dataclass(frozen=True, kw_only=True)
class Figures:
    """dice: mean of the plates; thc_rmse_mm: over the regions."""

    dice: float
    thc_rmse_mm: float


def apart(segmentation: Segmentation) -> Segmentation:
    """Medial and lateral tibial cartilage with a label each, as an analysis shows them."""
    return split_compartments(segmentation, align_knee(bone_surface(segmentation, Structure.FEMUR)))


def figures(found: Segmentation, rendered: Rendered) -> Figures:
    """Against the truth. Raises KneeError if the outlines cannot be measured."""
    agreements = compare(found, rendered.truth)
    plates = [one.dice for name, one in agreements.items() if name.endswith("cartilage")]
    ours, true = region_means(found), region_means(rendered.drawn)
    errors = np.array([ours[name] - value for name, value in true.items() if name in ours])
    rmse = float(np.sqrt(np.nanmean(errors**2)))
    return Figures(dice=float(np.mean(plates)), thc_rmse_mm=rmse)


def worst_place(found: LabelArray, truth: LabelArray, spacing_mm: tuple[float, ...], done: LabelArray) -> Place | None:
    """Where an error of cartilage is deepest, outside of what is done; None if there is none."""
    places = []
    for structure in PLATES:
        ours, true = found == structure, truth == structure
        for wrong, positive in ((true & ~ours, True), (ours & ~true, False)):
            box = box_around(wrong & (done == 0), 1)
            if box is None:
                continue
            depth = ndimage.distance_transform_edt(wrong[box], sampling=spacing_mm) * (done[box] == 0)
            inside = np.unravel_index(int(depth.argmax()), depth.shape)
            voxel = tuple(int(part.start + k) for part, k in zip(box, inside, strict=True))
            places.append(
                Place(voxel=voxel, structure=structure, positive=positive, depth_mm=float(depth.max()))  # type: ignore[arg-type]
            )
    return max(places, key=lambda place: place.depth_mm, default=None)


def box_of(voxel: tuple[int, int, int], shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> Box:
    """The voxels that the browser hands to its worker."""
    reach = [int((REACH_MM + MARGIN_MM) / mm) for mm in spacing_mm]
    z, y, x = (slice(max(0, k - r), min(n, k + r + 1)) for k, r, n in zip(voxel, reach, shape, strict=True))
    return z, y, x


def read(page: Page, found: Segmentation, rendered: Rendered, clicks: int) -> Iterator[tuple[Segmentation, str]]:
    """The outlines after each click, and what happened."""
    codes, _ = eight_bits(rendered.scan.anatomical)
    truth, spacing = apart(rendered.truth).labels, found.grid.spacing_mm
    labels, done = found.labels.copy(), np.zeros_like(found.labels)
    for _ in range(clicks):
        place = worst_place(labels, truth, spacing, done)
        if place is None:
            return
        box = box_of(place.voxel, labels.shape, spacing)
        click = tuple(k - part.start for k, part in zip(place.voxel, box, strict=True))
        proposal = corrected(
            page,
            labels[box],
            codes[box],
            spacing,
            click=click,
            label=int(place.structure),
            positive=place.positive,
            reach=REACH_MM,
        )
        gain = int((labels[box] != truth[box]).sum()) - int((proposal != truth[box]).sum())
        if gain > 0:
            labels[box] = proposal
        around = tuple(slice(max(0, k - 2), k + 3) for k in place.voxel)
        done[around] = 1  # a reader does not click again where a click has not helped
        sign = "+" if place.positive else "-"
        verdict = f"{gain} voxels better" if gain > 0 else "rejected"
        yield (
            replace(found, labels=labels.copy()),
            f"{sign} {place.structure.title}, {place.depth_mm:.1f} mm deep: {verdict}",
        )


def main() -> None:
    """Command line."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of held-out label maps, or one with validation/")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--model", default="nnunet_fullres")
    parser.add_argument("--knees", type=int, default=10)
    parser.add_argument("--clicks", type=int, default=5)
    given = parser.parse_args()
    folder = given.maps / "validation"
    model = built_in(given.model)
    pairs = []
    with sync_playwright() as playwright:
        page = launch(playwright).new_page()
        load_modules(page)
        for number, path in first_maps(maps_in(folder if folder.is_dir() else given.maps), given.knees):
            rendered = unseen_dess(path, given.numbering, number, SEED + number)
            found = apart(run(model, rendered.scan, Resources(), lambda _: None))
            before, last = figures(found, rendered), found
            for outlines, line in read(page, found, rendered, given.clicks):
                last = outlines
                print(f"{path.name}: {line}", flush=True)
            after = figures(last, rendered)
            pairs.append((before, after))
            print(f"{path.name}: {_line(before)} -> {_line(after)}", flush=True)
    print(f"mean of {len(pairs)}: {_line(*[k for k, _ in pairs])} -> {_line(*[k for _, k in pairs])}")


def _line(*found: Figures) -> str:
    dice = np.mean([one.dice for one in found])
    rmse = np.sqrt(np.mean([one.thc_rmse_mm**2 for one in found]))
    return f"cartilage Dice {dice:.4f}, ThC RMSE {rmse:.3f} mm"


if __name__ == "__main__":
    main()
