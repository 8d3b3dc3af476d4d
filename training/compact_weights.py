"""python -m training.compact_weights NETWORK.onnx WEIGHTS.onnx: store a network's weights as float16.

Each initializer of more than 256 numbers is stored as float16 and followed by a Cast node to float32. The runtime folds
the cast when it loads the file, so all computation is float32. Prints the SHA-256 for the card. Needs the package
`onnx`: pip install onnx.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

SMALL: Final = 256
"""Number of values up to which an initializer stays float32: scales and shifts of the normalisation."""


def compact(model: Any) -> None:
    """Convert an onnx.ModelProto in place. Raises ValueError if a weight does not fit into float16."""
    from onnx import TensorProto, helper, numpy_helper

    casts, kept = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size <= SMALL:
            kept.append(tensor)
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{tensor.name} has values outside the range of float16")
        kept.append(numpy_helper.from_array(half, f"{tensor.name}_h"))
        casts.append(helper.make_node("Cast", [f"{tensor.name}_h"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def main() -> None:
    """Read, convert, check, write."""
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
