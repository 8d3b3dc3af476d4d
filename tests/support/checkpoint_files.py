"""Checkpoints in the format of torch.save, written without torch."""

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np


class _Storage:
    def __init__(self, key, array):
        self.key, self.array = key, array


class _Tensor:
    def __init__(self, key, array):
        self.key, self.array = key, array

    def __reduce__(self):
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        storage = _Storage(self.key, self.array)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (storage, 0, self.array.shape, strides, False, OrderedDict())


class Device:
    """Stands for torch.device("cuda", 0)."""

    def __reduce__(self):
        return sys.modules["torch"].device, ("cuda", 0)


def write_checkpoint(path, content, *, extra=None, numpy_1=False):
    """Write the format of torch.save for dictionaries of tensors; `extra` is pickled unchanged.

    numpy_1: with numpy's numbers as version 1 of numpy names them
    """
    storage_kind = type("FloatStorage", (), {"__module__": "torch"})
    utils = types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_):
        raise AssertionError("only its name is written")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    torch = types.ModuleType("torch")
    torch.FloatStorage, torch._utils = storage_kind, utils
    torch.device = types.FunctionType((lambda *_: None).__code__, {}, "device")
    torch.device.__module__, torch.device.__qualname__ = "torch", "device"
    arrays = {}

    def wrapped(value):
        if isinstance(value, dict):
            return type(value)((name, wrapped(item)) for name, item in value.items())
        if isinstance(value, np.ndarray):
            arrays[str(len(arrays))] = np.ascontiguousarray(value, dtype="<f4")
            return _Tensor(str(len(arrays) - 1), arrays[str(len(arrays) - 1)])
        return value

    class Writer(pickle.Pickler):
        def persistent_id(self, item):
            if isinstance(item, _Storage):
                return ("storage", storage_kind, item.key, "cpu", item.array.size)
            return None

    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        with zipfile.ZipFile(path, "w") as archive:
            stream = io.BytesIO()
            Writer(stream, protocol=2).dump(wrapped(content) | ({"extra": extra} if extra is not None else {}))
            described = stream.getvalue()
            if numpy_1:
                described = described.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            archive.writestr("model/data.pkl", described)
            archive.writestr("model/byteorder", b"little")
            for key, array in arrays.items():
                archive.writestr(f"model/data/{key}", array.tobytes())
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
    return path
