"""The decoder as one .npz file: arrays only, no pickles."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.errors import WeightsCorrupt
from pipeline.shape.built_in.decoder import WAVES, FieldDecoder
from pipeline.shape.built_in.lattice import Lattice

LATTICES: Final = ("fine", "coarse")


def write_decoder(decoder: FieldDecoder, path: Path) -> None:
    """Write atomically, with fields as float16: rounding errors are at most 0.004 mm at a distance of 8 mm."""
    arrays: dict[str, np.ndarray] = {
        "mean": decoder.mean.astype(np.float16),
        "rows": decoder.rows.astype(np.int32),
        "modes": decoder.modes.astype(np.float16),
    }
    for name in LATTICES:
        lattice: Lattice = getattr(decoder, name)
        arrays[f"{name}_box"] = np.array([*lattice.low, lattice.cell_mm], dtype=np.float64)
        arrays[f"{name}_counts"] = np.array(lattice.counts, dtype=np.int32)
    for number, (matrix, bias) in enumerate(decoder.layers):
        arrays |= {f"layer{number}_matrix": matrix, f"layer{number}_bias": bias}
    unfinished = path.with_suffix(".part.npz")
    np.savez_compressed(unfinished, allow_pickle=False, **arrays)
    unfinished.replace(path)


def read_decoder(path: Path) -> FieldDecoder:
    """Read a decoder. Raises WeightsCorrupt if the file is damaged or inconsistent."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        fine, coarse = (
            Lattice(
                low=arrays[f"{name}_box"][:3],
                cell_mm=float(arrays[f"{name}_box"][3]),
                counts=tuple(int(n) for n in arrays[f"{name}_counts"]),  # type: ignore[arg-type]
            )
            for name in LATTICES
        )
        count = sum(name.endswith("_matrix") for name in arrays)
        decoder = FieldDecoder(
            fine=fine,
            mean=arrays["mean"].astype(np.float32),
            coarse=coarse,
            rows=arrays["rows"].astype(np.int64),
            modes=arrays["modes"].astype(np.float32),
            layers=tuple((arrays[f"layer{k}_matrix"], arrays[f"layer{k}_bias"]) for k in range(count)),
        )
        _check(decoder)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise WeightsCorrupt(
            f"The built-in shape model cannot be read: {error}.", hint="Fetch models/ again."
        ) from error
    return decoder


def _check(decoder: FieldDecoder) -> None:
    kept, inputs = len(decoder.rows), decoder.features + 3 + 6 * len(WAVES)
    shapes = [matrix.shape for matrix, _ in decoder.layers]
    chained = all(a[1] == b[0] for a, b in itertools.pairwise(shapes))
    if (
        decoder.mean.shape != (decoder.fine.size, 2)
        or decoder.modes.ndim != 3
        or decoder.modes.shape[1] != kept
        or not shapes
        or (shapes[0][0], shapes[-1][1]) != (inputs, 2)
        or not chained
        or (kept and not 0 <= decoder.rows.min() <= decoder.rows.max() < decoder.coarse.size)
    ):
        raise ValueError("its arrays have inconsistent shapes")
