"""Anatomies of many knees on disk: each map in several conditions, drawn on first use and then memory-mapped."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.grid import Grid
from training.generator.anatomy import VOXEL_MM, Anatomy, Condition, Finding, draw_condition, make_anatomy
from training.knee_unet.specimen import read_expert_map

HEALTHY_FIRST: Final = 1
"""The first anatomy of every map is a healthy extended knee: the shape that the expert drew."""
FILES: Final = ("materials", "labels")


@dataclass(kw_only=True, eq=False)
class AnatomyPool:
    """Numbered anatomies of label maps: number n is of map n % len(maps), in its condition n // len(maps).

    An anatomy takes 3 to 9 s and 40 MB. The same numbers of the same maps give the same anatomies.
    """

    maps: list[Path]
    numbering: str
    folder: Path
    voxel_mm: float = VOXEL_MM
    held: dict[int, Anatomy] = field(default_factory=dict)

    def anatomy(self, number: int) -> Anatomy:
        """The anatomy with this number. Raises the errors of specimen.read_expert_map and make_anatomy."""
        if number not in self.held:
            path = self.maps[number % len(self.maps)]
            turn = number // len(self.maps)
            folder = self.folder / f"{path.name.split('.')[0]}_{turn:03d}"
            if not folder.is_dir():
                write_anatomy(self._drawn(path, turn), folder)
            self.held[number] = read_anatomy(folder)
        return self.held[number]

    def _drawn(self, path: Path, turn: int) -> Anatomy:
        seed = [zlib.crc32(path.name.encode()), turn]
        rng = np.random.default_rng(seed)
        condition = Condition() if turn < HEALTHY_FIRST else draw_condition(rng)
        knee = read_expert_map(path, self.numbering)
        name = path.name.split(".")[0]
        return make_anatomy(knee, condition, int(rng.integers(2**31)), name=name, voxel_mm=self.voxel_mm)


def write_anatomy(anatomy: Anatomy, folder: Path) -> None:
    """Write a folder of plain arrays. It appears complete; if another process was faster, its folder is kept."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    partial.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        np.save(partial / f"{name}.npy", getattr(anatomy, name), allow_pickle=False)
    grid = anatomy.grid
    described = {
        "name": anatomy.name,
        "spacing_mm": grid.spacing_mm[0],
        "origin_mm": np.asarray(grid.origin_mm).tolist(),
        "direction": np.asarray(grid.direction).tolist(),
        "contains": [asdict(finding) for finding in anatomy.contains],
    }
    (partial / "anatomy.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)


def read_anatomy(folder: Path) -> Anatomy:
    """Read a folder written by write_anatomy, memory-mapped."""
    described = json.loads((folder / "anatomy.json").read_text(encoding="utf-8"))
    materials, labels = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in FILES)
    a, b, c = labels.shape
    grid = Grid(
        shape=(a, b, c),
        spacing_mm=(described["spacing_mm"],) * 3,
        origin_mm=np.array(described["origin_mm"]),
        direction=np.array(described["direction"]),
    )
    return Anatomy(
        name=described["name"],
        materials=materials,
        labels=labels,
        grid=grid,
        contains=tuple(Finding(**finding) for finding in described["contains"]),
    )
