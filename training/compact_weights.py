"""python -m training.compact_weights NETWORK.onnx WEIGHTS.onnx: store a network's weights in half the size.

Each initializer of more than 256 numbers is kept as float16 behind a Cast node to float32, which the runtime folds when
it loads the file: everything is computed in float32. Prints the SHA-256 for the card. Needs the package `onnx`, which
nothing else here does: pip install onnx.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

SMALL: Final = 256
"""Numbers; scales and shifts of the normalisation are smaller and stay as they are."""


def compact(model: Any) -> None:
    """Change an onnx.ModelProto in place. Raises ValueError where a weight does not fit into float16."""
    from onnx import TensorProto, helper, numpy_helper

    casts, kept = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= SMALL:
            kept.append(tensor)
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{tensor.name} has values beyond float16")
        kept.append(numpy_helper.from_array(half, f"{tensor.name}_h"))
        casts.append(helper.make_node("Cast", [f"{tensor.name}_h"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def main() -> None:
    """Read, change, check, write."""
    import onnx

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    model = onnx.load(given.network)
    compact(model)
    onnx.checker.check_model(model)
    onnx.save(model, given.weights)
    data = given.weights.read_bytes()
    print(f"{len(data) / 1e6:.1f} MB, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
