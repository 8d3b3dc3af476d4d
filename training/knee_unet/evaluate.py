"""make evaluate: measure the built-in network on synthetic scans of held-out knees, and write the figures to its card.

    python -m training.knee_unet.evaluate MAPS [--model knee_unet] [--weights FILE] [--edges FILE] [--card] [--knees N]
    python -m training.knee_unet.evaluate MAPS --training-renderer [--model nnunet_cascade] [--card]

MAPS/validation, or MAPS itself, contains expert label maps not used in training. Every map is rendered as DESS with
parameters outside the training ranges (scans.UNSEEN, in turn) by a second renderer, which renders bones and cartilage
differently from training. With --training-renderer the training renderer is used, to show how much of an error is due
to the second renderer. Segmentation, post-processing and measurement are those of the pipeline. Does not need torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.anatomy import Plate
from pipeline.segmentation import run
from pipeline.segmentation.card import CARD_NAME
from pipeline.segmentation.limits import holds_for
from pipeline.types import Resources, Scan, Segmentation
from pipeline.validation.agreement import Agreement
from training.knee_unet.agreement import compare, region_means
from training.knee_unet.built_in import BuiltIn, built_in, read_card, with_edges, with_first_pass
from training.knee_unet.collection import maps_in
from training.knee_unet.rendered_scan import rendered_scan
from training.knee_unet.scans import UNSEEN, Protocol, dess_scan
from training.knee_unet.specimen import read_expert_map
from training.knee_unet.thick import FACTORS, ThickKnee, examine_thick, thick_figures

SEED: Final = 70_000
Segmenter = Callable[[Scan], Segmentation]
Draw = Callable[[Segmentation, Protocol, int], tuple[Scan, Segmentation]]
"""(knee, protocol, seed) -> a rendered scan and the labels on its grid."""
TRAINING_RENDERER: Final = (
    "the same maps and protocols, rendered with the training renderer: shows how much of an error is due to the "
    "second renderer; not accuracy on real scans"
)


@dataclass(frozen=True, kw_only=True)
class Knee:
    """Results for one synthetic scan. Mean ThC by region, the expert's and ours, mm."""

    name: str
    protocol: str
    parts: dict[str, Agreement]
    true_mm: dict[str, float]
    found_mm: dict[str, float]


def segmenter(model: BuiltIn) -> Segmenter:
    """The pipeline's segmentation with the weights of a model."""
    return lambda scan: run(model, scan, Resources(), lambda _: None)


def rendered(knee: Segmentation, protocol: Protocol, seed: int) -> tuple[Scan, Segmentation]:
    """Rendered with the second renderer, on the map's grid."""
    return dess_scan(knee, protocol, seed), knee


def examine(path: Path, number: int, numbering: str, segment: Segmenter, draw: Draw = rendered) -> Knee:
    """Render, segment and compare one map."""
    protocol = UNSEEN[number % len(UNSEEN)]
    scan, truth = draw(read_expert_map(path, numbering), protocol, SEED + number)
    found = segment(scan)
    return Knee(
        name=path.name.split(".")[0],
        protocol=protocol.name,
        parts=compare(found, truth),
        true_mm=region_means(truth),
        found_mm=region_means(found),
    )


def structures_of(knees: list[Knee]) -> dict[str, dict[str, float | None]]:
    """The card's figures per structure: means over the knees, and the lowest Dice."""
    result = {}
    for name in knees[0].parts:
        rows = [knee.parts[name] for knee in knees if name in knee.parts]
        dice = np.array([row.dice for row in rows])
        bias = float(np.mean([row.volume_bias_percent for row in rows]))
        result[name] = {
            "dice": round(float(dice.mean()), 3),
            "dice_sd": round(float(dice.std(ddof=1)), 3) if len(rows) > 1 else None,
            "dice_worst": round(float(dice.min()), 3),
            "mean_surface_distance_mm": round(float(np.mean([row.mean_surface_distance_mm for row in rows])), 2),
            "hausdorff95_mm": round(float(np.mean([row.hausdorff95_mm for row in rows])), 1),
            "volume_bias_percent": round(bias, 1) if name in tuple(Plate) else None,
        }
    return result


def thickness_of(knees: list[Knee]) -> dict[str, dict[str, float]]:
    """Mean ThC of each region compared with the expert's map: bias and RMSE over the knees, mm."""
    result = {}
    for region in knees[0].true_mm:
        pairs = [(k.found_mm.get(region, np.nan), k.true_mm.get(region, np.nan)) for k in knees]
        errors = np.array([found - true for found, true in pairs])
        errors = errors[np.isfinite(errors)]
        if len(errors):
            result[region] = {
                "bias_mm": round(float(errors.mean()), 3),
                "rmse_mm": round(float(np.sqrt((errors**2).mean())), 3),
                "knees": len(errors),
            }
    return result


def measured_on(knees: list[Knee]) -> str:
    """Description of the test set for the card."""
    return (
        f"{len(knees)} held-out expert maps ({len({k.name.split('_')[0] for k in knees})} knees), synthetic DESS "
        "images with parameters outside the training ranges, full resolution, post-processed; the soft tissues are "
        "rendered by the same code as in training: optimistic, and not accuracy on real scans"
    )


def caution_of(knees: list[Knee]) -> str:
    """Error of the cartilage volume, as text for the card."""
    plates = [name for name in knees[0].parts if name in tuple(Plate)]
    biases = {name: [k.parts[name].volume_bias_percent for k in knees if name in k.parts] for name in plates}
    rounded = {name.replace("_cartilage", ""): round(float(np.mean(values))) for name, values in biases.items()}
    means = ", ".join(f"{value:+d} % ({name})" if value else f"0 % ({name})" for name, value in rounded.items())
    worst = max(abs(value) for values in biases.values() for value in values)
    return (
        f"Synthetic validation only; cartilage volume {means} compared with the experts' maps, "
        f"and up to {worst:.0f} % off in single knees."
    )


def write_card(path: Path, knees: list[Knee], thick: list[ThickKnee], digests: Mapping[str, str]) -> None:
    """Write the figures into the card, without names of knees.

    digests: of the measured networks (ModelIdentity). Raises ValueError if the card's digest differs from that of
    the measured weights.
    """
    content = read_card(path, digests)
    content["caution"] = caution_of(knees)
    training_renderer = content.get("accuracy", {}).get("training_renderer")
    content["accuracy"] = {
        "made_by": "make evaluate",
        "measured_on": measured_on(knees),
        "structures": structures_of(knees),
        "thickness": thickness_of(knees),
        "thick_slices": thick_figures(thick) if thick else None,
    }
    if training_renderer and holds_for(training_renderer, digests):
        content["accuracy"]["training_renderer"] = training_renderer
    _write(path, content)


def write_training_renderer(path: Path, knees: list[Knee], digests: Mapping[str, str]) -> None:
    """Write the figures for the training renderer into the card. Raises as write_card does."""
    content = read_card(path, digests)
    content.setdefault("accuracy", {})["training_renderer"] = {
        "measured_on": TRAINING_RENDERER,
        "digests": dict(digests),
        "structures": structures_of(knees),
        "thickness": thickness_of(knees),
    }
    _write(path, content)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def show(knees: list[Knee]) -> None:
    """Print the figures as a table."""
    print(f"{'':22}{'Dice':>7}{'SD':>7}{'worst':>7}{'MSD mm':>8}{'HD95 mm':>9}{'volume %':>10}")
    for name, row in structures_of(knees).items():
        cells = [row[key] for key in row]
        print(
            f"{name:22}"
            + "".join(f"{'-' if c is None else c:>{w}}" for c, w in zip(cells, (7, 7, 7, 8, 9, 10), strict=True))
        )
    print(f"\n{'ThC compared with expert':44}{'bias mm':>9}{'RMSE mm':>9}")
    for region, figures in thickness_of(knees).items():
        print(f"{region:44}{figures['bias_mm']:>9}{figures['rmse_mm']:>9}")


def show_thick(knees: list[ThickKnee]) -> None:
    """Print the figures for thick slices."""
    if knees:
        figures = thick_figures(knees)
        print("\nSlices, bright fat", *figures["rows"], sep="\n")
        print(f"cartilage usable up to {figures['usable_slice_mm']} mm")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("maps", type=Path, help="folder of held-out label maps, or one with validation/")
    parser.add_argument("--numbering", default="oai")
    parser.add_argument("--weights", type=Path, help="first pass to measure: a file, or a folder with card.json")
    parser.add_argument("--edges", type=Path, help="file of edge networks to measure instead of the built-in one")
    parser.add_argument(
        "--model", default="nnunet_fullres", help="nnunet_fullres, nnunet_cascade, or knee_unet: the first pass alone"
    )
    parser.add_argument("--knees", type=int, help="maximum number of maps")
    parser.add_argument("--thick", type=int, default=3, help="number of maps also rendered with thick slices")
    parser.add_argument("--training-renderer", action="store_true", help="use the training renderer")
    parser.add_argument("--card", action="store_true", help="write the figures to the model's card.json")
    parser.add_argument("--json", type=Path, help="write the figures of every knee to this file")
    given = parser.parse_args()
    folder = given.maps / "validation"
    paths = maps_in(folder if folder.is_dir() else given.maps)[: given.knees]
    model = with_edges(with_first_pass(built_in(given.model), given.weights), given.edges)
    segment = segmenter(model)
    path_of_card = model.card.folder / CARD_NAME
    knees = []
    render = rendered_scan if given.training_renderer else rendered
    for number, path in enumerate(paths):
        knees.append(examine(path, number, given.numbering, segment, render))
        dice = ", ".join(f"{name} {row.dice:.3f}" for name, row in knees[-1].parts.items())
        print(f"{knees[-1].name} ({knees[-1].protocol}): {dice}", flush=True)
    show(knees)
    thick = [
        examine_thick(path, number, given.numbering, segment, factor)
        for number, path in enumerate(paths[: 0 if given.training_renderer else given.thick])
        for factor in FACTORS
    ]
    show_thick(thick)
    if given.json:
        given.json.write_text(json.dumps([asdict(knee) for knee in knees], indent=1) + "\n", encoding="utf-8")
    if given.card and given.training_renderer:
        write_training_renderer(path_of_card, knees, model.identity().digests)
    elif given.card:
        write_card(path_of_card, knees, thick, model.identity().digests)


if __name__ == "__main__":
    main()
