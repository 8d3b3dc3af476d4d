"""What the flags of one analysis say about the places that pages, charts and reports show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pipeline.anatomy import Place, Structure
from pipeline.flags import FLAGS, FlagCode, QualityFlag, Use, deciding_flag, summary_of, use_of
from pipeline.quantities import Quantity

_WORDS: Final = {Use.NO: "Do not use", Use.CAUTION: "Use with caution"}
_BOTH: Final = {Use.NO: "Do not use values in grey", Use.CAUTION: "Use the others with caution"}
"""Where a table has both."""


@dataclass(frozen=True, kw_only=True)
class Uses:
    """The flags of one analysis, or of both in a comparison."""

    flags: tuple[QualityFlag, ...]

    def summaries(self) -> list[str]:
        """The points to check in this scan, one short line per cause: its reason, then what to do."""
        found = _reasons(flag for flag in self.flags if not FLAGS[flag.code].statement).items()
        return [summary_of(code, reason) for code, reasons in found for reason in reasons]

    def use(self, quantity: Quantity, region: Place) -> Use:
        """Whether this number of this region may be used."""
        return use_of(quantity.id, region.plate, region.name, self.flags)[0]

    def usable(self, quantity: Quantity, region: Place) -> bool:
        """False: the number must not be used."""
        return self.use(quantity, region) is not Use.NO

    def note(self, quantity: Quantity, region: Place) -> str:
        """`Do not use: slices of 4 mm`; empty where the number may be used."""
        return next(iter(self.notes([(quantity.id, region.plate, region.name)])), "")

    def ban(self, quantity: Quantity, regions: Iterable[Place]) -> str:
        """`Do not use: ...` with each reason that excludes one of the regions; empty where all may be used."""
        excluded = [region for region in regions if not self.usable(quantity, region)]
        return next(iter(self.notes([(quantity.id, region.plate, region.name) for region in excluded])), "")

    def notes(self, rows: Iterable[tuple[str, str, str]]) -> list[str]:
        """At most two lines: the reasons not to use some of these rows, and those to use others with caution.

        rows: quantity (its id), structure, region
        """
        found: dict[Use, dict[QualityFlag, None]] = {}
        for row in rows:
            flag = deciding_flag(*row, self.flags)
            if flag is not None:
                found.setdefault(flag.use_of(*row), {})[flag] = None
        words = _BOTH if len(found) > 1 else _WORDS
        texts = {use: "; ".join(chain.from_iterable(_reasons(flags).values())) for use, flags in found.items()}
        return [f"{words[use]}: {texts[use]}" for use in (Use.NO, Use.CAUTION) if use in texts]


_TITLES: Final = {structure.key: structure.title.lower() for structure in Structure}


def _reasons(flags: Iterable[QualityFlag]) -> dict[FlagCode, list[str]]:
    """The reasons of flags by their code; one line for the structures of which a code says the same."""
    said: dict[FlagCode, dict[str, list[str]]] = {}
    for flag in flags:
        title = _TITLES.get(flag.structure, "")
        of_one = bool(title) and flag.reason.startswith(f"{title} ")
        text = flag.reason[len(title) :] if of_one else flag.reason
        titles = said.setdefault(flag.code, {}).setdefault(text, [])
        titles += [title] if of_one and title not in titles else []
    return {code: [f"{_together(titles)}{text}" for text, titles in texts.items()] for code, texts in said.items()}


def _together(titles: list[str]) -> str:
    """`femoral, medial tibial and lateral tibial cartilage`."""
    *others, last = titles or [""]
    noun = last.rpartition(" ")[2]
    others = [title.removesuffix(f" {noun}") for title in others]
    return f"{', '.join(others)} and {last}" if others else last
