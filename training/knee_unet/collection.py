"""The label maps of a training run: the split into training and validation, and prepared specimens on disk."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path

from training.knee_unet.specimen import Specimen, make_specimen, read_expert_map, read_specimen, write_specimen

WHERE = """Expert label maps of knees of the Osteoarthritis Initiative (3D DESS, 160 x 384 x 384) are available from
  - the Zuse Institute Berlin: OAI-ZIB, https://pubdata.zib.de, on request (Ambellan et al., Med. Image Anal. 52, 2019)
  - the authors of arXiv:2211.16696 (Woo et al.), whose maps the built-in weights were trained from
The scans themselves are not needed. Give the folder: make train MAPS=FOLDER, with FOLDER/train and FOLDER/validation,
or all maps in FOLDER; files KNEE_VISIT.nii.gz in the numbering `oai`."""
SAMPLE = Path("samples/sample_knee_labels.nii.gz")
"""The label map used without such a folder; canonical numbering."""
SUFFIXES = (".nii.gz", ".nii", ".nrrd")


def knee_of(path: Path) -> str:
    """The knee's number: the file name up to the first underscore. All visits of a knee share it."""
    return path.name.split(".")[0].split("_")[0]


def maps_in(folder: Path) -> list[Path]:
    """Label maps of a folder, sorted by name. Raises FileNotFoundError if there are none."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES)) if folder.is_dir() else []
    if not found:
        raise FileNotFoundError(f"no label map in {folder}; expected files that end in {', '.join(SUFFIXES)}")
    return found


def split_maps(folder: Path) -> tuple[list[Path], list[Path]]:
    """(training, validation) maps of a folder: FOLDER/train and FOLDER/validation, or all of FOLDER and none.

    All visits of a knee in the validation folder are excluded from training.
    """
    if not (folder / "train").is_dir():
        return maps_in(folder), []
    held = maps_in(folder / "validation") if (folder / "validation").is_dir() else []
    kept = {knee_of(path) for path in held}
    return [path for path in maps_in(folder / "train") if knee_of(path) not in kept], held


@dataclass(kw_only=True, eq=False)
class Collection:
    """Specimens of label maps, prepared on first use (about 4 s each) and kept in a cache folder."""

    maps: list[Path]
    numbering: str
    cache: Path
    held: dict[Path, Specimen] = field(default_factory=dict)

    def specimen(self, path: Path) -> Specimen:
        """The specimen of one map, memory-mapped."""
        if path not in self.held:
            folder = self.cache / path.name.split(".")[0]
            if not folder.is_dir():
                seed = zlib.crc32(path.name.encode())
                write_specimen(make_specimen(read_expert_map(path, self.numbering), folder.name, seed), folder)
            self.held[path] = read_specimen(folder)
        return self.held[path]
