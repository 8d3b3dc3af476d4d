"""Runs a network file with onnxruntime: selection of the provider, and translation of its errors."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.digest import sha256_of
from pipeline.errors import DeviceMissing, ModelError, OutOfMemory, WeightsCorrupt, WeightsMissing
from pipeline.segmentation.sampling import FloatVolume
from pipeline.types import Resources

CUDA: Final = "CUDAExecutionProvider"
OPENVINO: Final = "OpenVINOExecutionProvider"
CPU: Final = "CPUExecutionProvider"

MOST_AT_ONCE: Final = 4
"""Windows; each takes 0.26 GB of memory. A scan of usual size has 8."""

_OTHER_FILES: Final = (b"location", b"EPContext")
"""Words of ONNX files whose tensors, or whose network compiled for a device, are in another file."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A loaded network.

    provider  what runs it
    threads   for the steps around it, such as upsampling
    at_once   windows that can be evaluated at the same time, each by one thread. With more threads for a window, its
              sums would have other last bits for each number of cores (seen: 0.004 in a logit).
    """

    session: Any  # Any: onnxruntime has no types
    provider: str
    threads: int
    at_once: int
    classes: int

    def __call__(self, window: FloatVolume) -> FloatVolume:
        """(1, d, h, w) float32 -> class probabilities (classes, d, h, w).

        Raises OutOfMemory if there is not enough memory for a window, ModelError for any other error.
        """
        from onnxruntime.capi import onnxruntime_pybind11_state as faults

        name = self.session.get_inputs()[0].name
        try:
            logits: FloatVolume = self.session.run(None, {name: window[None]})[0][0]
        except (MemoryError, faults.RuntimeException, faults.Fail) as error:
            # input type and rank were checked on loading, so the remaining cause of a kernel error is memory, which
            # onnxruntime reports as one of these (seen with a limited address space)
            raise _out_of_memory(window) from error
        except _faults() as error:
            raise ModelError(f"The network failed: {type(error).__name__}.") from error
        if logits.shape != (self.classes, *window.shape[1:]):
            # seen: without enough memory, OpenVINO's provider returns an empty array and raises no error
            raise _out_of_memory(window)
        return softmax(logits)


@dataclass(frozen=True, kw_only=True, eq=False)
class BothSides:
    """A network that sees every window twice, the second time mirrored, and answers with the mean of both.

    axis: of a window (d, h, w), from left to right of the body. In training half of the knees were mirrored along it.
    """

    network: Network
    axis: int

    @property
    def classes(self) -> int:
        return self.network.classes

    @property
    def at_once(self) -> int:
        return self.network.at_once

    def __call__(self, window: FloatVolume) -> FloatVolume:
        """As Network."""
        answer = self.network(window)
        answer += np.flip(self.network(np.ascontiguousarray(np.flip(window, self.axis + 1))), self.axis + 1)
        answer *= np.float32(0.5)
        return answer


Look = Network | BothSides


def _out_of_memory(window: FloatVolume) -> OutOfMemory:
    return OutOfMemory(
        f"The network ran out of memory in a window of {' x '.join(map(str, window.shape[1:]))} voxels; "
        "expected 2 GB to be free.",
        hint="Run fewer analyses at once, or set DEVICE=cpu if the GPU memory is full.",
    )


def softmax(logits: FloatVolume) -> FloatVolume:
    """Over axis 0; overwrites its argument."""
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits


def thread_count(resources: Resources) -> int:
    """Threads for inference: as given, else all cores available to this process."""
    if resources.threads is not None:
        return max(1, resources.threads)
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


_AHEAD: Final[dict[tuple[Path, str, Resources], Network]] = {}
"""The last network that was loaded ahead of its use."""

_kept = False


def keep_network() -> None:
    """From now on, this process keeps the last network after its use: for processes that analyse one scan after
    another. The next analysis then does not load it, and has less memory.
    """
    global _kept  # noqa: PLW0603 -- a property of the process, like _AHEAD
    _kept = True


def load_ahead(path: Path, sha256: str, resources: Resources) -> Network:
    """As `load_network`, whose next call returns the same network: loading takes 0.7 s of processor time."""
    network = load_network(path, sha256, resources)  # the kept one, if it is the same
    _AHEAD.clear()
    _AHEAD[path, sha256, resources] = network
    return network


def load_network(path: Path, sha256: str, resources: Resources) -> Network:
    """Check the weights against their digest and load them, unless `load_ahead` has.

    Raises WeightsMissing; WeightsCorrupt, also if it refers to other files; OutOfMemory; DeviceMissing if the requested
    device is unavailable.
    """
    import onnxruntime

    key = (path, sha256, resources)
    ahead = _AHEAD.get(key) if _kept else _AHEAD.pop(key, None)  # popped: it is released after its use
    if ahead is not None:
        return ahead
    if not path.is_file():
        raise WeightsMissing(f"The weights file {path.name} is not installed.", hint="Fetch models/ again.")
    if (found := sha256_of(path)) != sha256:
        raise WeightsCorrupt(
            f"The weights file {path.name} has SHA-256 {found[:12]}…; its card expects {sha256[:12]}….",
            hint="Fetch models/ again, or write the digest of the new weights into card.json.",
        )
    if not _is_whole(path):
        raise WeightsCorrupt(
            f"The weights file {path.name} refers to data in other files, which its digest does not cover.",
            hint="Save the network as one file: onnx.save_model(network, FILE, save_as_external_data=False).",
        )
    threads = thread_count(resources)
    at_once = min(threads, MOST_AT_ONCE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the thread that asks: see Network.at_once
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the core to other processes
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=_providers(resources, at_once))
    except MemoryError as error:
        raise OutOfMemory("No memory to load the network; expected 2 GB to be free.") from error
    except _faults() as error:
        raise WeightsCorrupt(f"The weights file {path.name} cannot be loaded: {type(error).__name__}.") from error
    provider = session.get_providers()[0]
    if resources.device == "cuda" and provider != CUDA:
        raise DeviceMissing(f"DEVICE is cuda, but the network would run on {provider}.")
    classes = _check_signature(session, path)
    at_once = 1 if provider == CUDA else at_once  # the card has enough to do with one
    return Network(session=session, provider=provider, threads=threads, at_once=at_once, classes=classes)


def _is_whole(path: Path) -> bool:
    """Whether a network file names no other file. A tensor in another file has an entry with the key `location`."""
    content = path.read_bytes()
    return not any(word in content for word in _OTHER_FILES)


def _faults() -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime, which have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    names = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented")
    return (faults.RuntimeException, ValueError, RuntimeError, *(getattr(faults, name) for name in names))


def _providers(resources: Resources, at_once: int) -> list[Any]:
    """Providers, best first; onnxruntime skips a provider that cannot start."""
    import onnxruntime

    offered = onnxruntime.get_available_providers()
    chosen: list[Any] = []
    if CUDA in offered and resources.device in {"auto", "cuda"}:
        chosen.append((CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}))
    if OPENVINO in offered:
        # pinned threads wait for cores used by other processes: 3.3 s per window, compared with 0.9 s unpinned
        streams = json.dumps({"CPU": {"ENABLE_CPU_PINNING": "NO", "NUM_STREAMS": str(at_once)}})
        settings = {"precision": "FP32", "num_of_threads": str(at_once), "load_config": streams}
        chosen.append((OPENVINO, {"device_type": "CPU", **settings}))
    return [*chosen, CPU]


def _check_signature(session: Any, path: Path) -> int:
    """Number of classes. Raises WeightsCorrupt if input and output do not match models/README.md."""
    given, answer = session.get_inputs(), session.get_outputs()
    fits = len(given) == len(answer) == 1 and len(given[0].shape) == 5 and given[0].type == "tensor(float)"
    if not fits or (isinstance(given[0].shape[1], int) and given[0].shape[1] != 1):
        raise WeightsCorrupt(f"The network in {path.name} does not take one float image (1, 1, d, h, w).")
    classes = answer[0].shape[1]
    if not isinstance(classes, int):  # a dynamic axis: determine by a run
        probe = session.run(None, {given[0].name: np.zeros((1, 1, 32, 32, 32), dtype=np.float32)})
        classes = probe[0].shape[1]
    return int(classes)


def facts(network: Network) -> dict[str, object]:
    """The runtime of the network, for provenance."""
    import onnxruntime

    version = str(onnxruntime.__version__)
    return {"runtime": f"onnxruntime {version}", "provider": network.provider, "threads": network.threads}
