"""A reader of scene.bin, implemented only from the format's description, to check the writer."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ReadMesh:
    """points (n, 3) LPS mm, faces (m, 3), channels by name: numbers (NaN: none) or labels."""

    header: dict[str, Any]
    points: np.ndarray
    faces: np.ndarray
    channels: dict[str, np.ndarray]


def read_scene(path: Path) -> tuple[dict[str, Any], dict[str, ReadMesh]]:
    """(header, meshes by key)."""
    data = gzip.decompress(path.read_bytes())
    assert data[:4] == b"OKS1"
    length = int.from_bytes(data[4:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = np.frombuffer(data, dtype=np.uint8, offset=8 + length)
    return header, {mesh["key"]: read_mesh(mesh, body) for mesh in header["meshes"]}


def whole(body: np.ndarray, at: int, count: int, size: int) -> np.ndarray:
    """`count` numbers from `size` planes of bytes."""
    return sum(body[at + k * count : at + (k + 1) * count].astype(np.int64) << (8 * k) for k in range(size))


def read_mesh(mesh: dict[str, Any], body: np.ndarray) -> ReadMesh:
    n, m = mesh["vertices"], mesh["triangles"]
    columns = []
    for axis in range(3):
        codes = whole(body, mesh["positions"] + 2 * n * axis, n, 2)
        differences = np.where(codes % 2 == 0, codes // 2, -(codes + 1) // 2)
        columns.append(np.cumsum(differences) % 65536)
    points = np.array(mesh["origin"]) + np.stack(columns, axis=1) @ np.array(mesh["basis"]).reshape(3, 3).T
    faces, following = [], 0
    for back in whole(body, mesh["indices"], 3 * m, 3):
        index = following - int(back)
        faces.append(index)
        following = max(following, index + 1)
    channels = {}
    for name, channel in mesh["channels"].items():
        if "scale" in channel:
            numbers = whole(body, channel["at"], n, 2)
            channels[name] = np.where(numbers == 65535, np.nan, channel["offset"] + channel["scale"] * numbers)
        else:
            channels[name] = body[channel["at"] : channel["at"] + n]
    return ReadMesh(header=mesh, points=points, faces=np.array(faces).reshape(-1, 3), channels=channels)
