"""The figures of all conditions as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.anatomy import BONES, Plate
from training.evaluation.conditions import Condition
from training.evaluation.examine import MENISCI_TOGETHER, Examined, Group
from training.evaluation.figures import Bar, Figures, Outcome, as_json, figures_of, outcome

DICE_OF = {bone.key: bone.key for bone in BONES} | {
    Plate.FEMORAL.value: "fem.cart.",
    Plate.TIBIAL.value: "tib.cart.",
    Plate.PATELLAR.value: "pat.cart.",
    MENISCI_TOGETHER: "menisci",
}
"""Name of a figure -> head of its column."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A condition with the results of its knees."""

    condition: Condition
    knees: list[Examined]

    @property
    def measured(self) -> list[Examined]:
        return [one for one in self.knees if not one.failed]

    @property
    def figures(self) -> Figures:
        return figures_of(self.measured)

    @property
    def outcomes(self) -> list[Outcome]:
        """Of every bar; none if no knee could be measured."""
        failed = len(self.knees) - len(self.measured)
        return [outcome(bar, self.figures, failed) for bar in self.condition.bars] if self.measured else []


def limit(bar: Bar) -> str:
    """The bar in words, e.g. `dice >= 0.84`."""
    sign, value = (">=", bar.least) if bar.least is not None else ("<=", bar.most)
    return f"{bar.group} ({bar.statistic}) {sign} {value:g}"


def lines(rows: list[Row]) -> list[str]:
    """The Dice of every condition, then its thickness errors and bars."""
    heads = "".join(f"{head:>17}" for head in DICE_OF.values())
    found = [f"{'Dice: mean (worst knee)':25}{'knees':>6}{heads}"]
    for row in rows:
        dice = row.figures[Group.DICE]
        cells = "".join(f"{f'{dice[n].mean:.3f} ({dice[n].worst:.3f})' if n in dice else '-':>17}" for n in DICE_OF)
        found.append(f"{row.condition.id:25}{len(row.measured):>6}{cells}")
    found += ["", f"{'':25}{'requirement':38}{'furthest from it':42}{'found':>9}{'worst':>9}  worst knee"]
    for row in rows:
        found += [
            f"{row.condition.id:25}{limit(one.bar):38}{one.name:42}{one.value:>9.3f}{one.worst:>9.3f}  "
            f"{one.worst_knee:14}{'met' if one.met else 'NOT MET'}"
            for one in row.outcomes
        ]
        found += [f"{row.condition.id:25}FAILED {one.knee}: {one.failed}" for one in row.knees if one.failed]
    met = [one.met for row in rows for one in row.outcomes]
    return [*found, "", f"{sum(met)} of {len(met)} requirements met. All scans are synthetic (training/render.py)."]


def content(rows: list[Row], model: str, digests: Mapping[str, str]) -> dict[str, object]:
    """For JSON: figures, bars and single knees of every condition."""
    return {
        "made_by": "make evaluate-conditions",
        "measured_on": "synthetic scans of held-out expert maps, rendered by the second renderer; not real scans",
        "model": model,
        "digests": dict(digests),
        "conditions": {
            row.condition.id: {
                "title": row.condition.title,
                "knees": len(row.measured),
                "failed": {one.knee: one.failed for one in row.knees if one.failed},
                "figures": as_json(row.figures),
                "requirements": [
                    {
                        "requirement": limit(one.bar),
                        "name": one.name,
                        "value": round(one.value, 4),
                        "worst": round(one.worst, 4),
                        "worst_knee": one.worst_knee,
                        "met": one.met,
                    }
                    for one in row.outcomes
                ],
                "single": {one.knee: one.values for one in row.measured},
            }
            for row in rows
        },
    }
