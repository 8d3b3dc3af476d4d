"""Export trained parameters as ONNX weights, and read them back. Needs torch and onnx (requirements-train.txt).

    python -m training.knee_unet.export data/training/best.pt models/knee_unet/weights.onnx
    python -m training.knee_unet.export data/one/state.pt data/other/state.pt models/knee_unet/weights.onnx

writes the average of the parameters as compact ONNX (training/compact_weights.py), checks that the file gives the same
result as the network, and writes its digest to the card.json in the same folder. Runs that branched from one state
(with different seeds) are combined into one network with the mean of their parameters (M. Wortsman et al., Model soups,
Proc. ICML 162, 2022).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np
import torch

from training.compact_weights import compact
from training.knee_unet.network import KneeUNet

OPSET: Final = 17
SIDE: Final = 64
LARGEST_DIFFERENCE: Final = 0.02
"""Maximum difference of a probability between the network and its stored form (float16 weights), on noise."""


def read_parameters(path: Path) -> dict[str, torch.Tensor]:
    """Parameters by name from stored weights; names of float16 ones have the suffix `_h`."""
    import onnx
    from onnx import numpy_helper

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    wanted = KneeUNet().state_dict()
    found = {name: stored.get(name, stored.get(f"{name}_h")) for name in wanted}
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in found.items() if values is not None}


def mean_parameters(runs: list[Path]) -> dict[str, torch.Tensor]:
    """Mean of the averaged parameters of several runs.

    Raises ValueError if the runs are of different networks.
    """
    kept: list[dict[str, torch.Tensor]] = [torch.load(run, weights_only=True)["average"] for run in runs]
    shapes = [{name: tuple(values.shape) for name, values in average.items()} for average in kept]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("the runs trained different networks; expected runs of the same network")
    return {name: torch.stack([average[name] for average in kept]).mean(0) for name in kept[0]}


def write_weights(network: KneeUNet, path: Path) -> str:
    """Store the network; returns the SHA-256 of the file. Raises ValueError if the file gives other results."""
    import onnx
    import onnxruntime

    network.eval()
    noise = torch.randn(1, 1, SIDE, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    whole = path.with_suffix(".float32.onnx")
    torch.onnx.export(
        network,
        (noise,),
        str(whole),
        input_names=["x"],
        output_names=["y"],
        opset_version=OPSET,
        dynamic_axes={name: {2: "d", 3: "h", 4: "w"} for name in ("x", "y")},
        dynamo=False,
    )
    model = onnx.load(whole)
    whole.unlink()
    compact(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    answer = torch.softmax(torch.from_numpy(session.run(None, {"x": noise.numpy()})[0]), 1)
    with torch.no_grad():
        difference = float((answer - torch.softmax(network(noise), 1)).abs().max())
    if difference > LARGEST_DIFFERENCE:
        raise ValueError(
            f"stored weights differ by {difference:.3f} from the network; expected at most {LARGEST_DIFFERENCE}"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, maximum difference {difference:.4f}, sha256 {digest}")
    return digest


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="best.pt or state.pt of one or more training runs")
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    average = mean_parameters(given.runs)
    network = KneeUNet()
    network.load_state_dict(average)
    digest = write_weights(network, given.weights)
    card = given.weights.with_name("card.json")
    if card.is_file():
        content = json.loads(card.read_text(encoding="utf-8"))
        content["sha256"] = digest
        card.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{card}: digest written; its figures are still those of the previous weights: make evaluate MAPS=FOLDER")


if __name__ == "__main__":
    main()
