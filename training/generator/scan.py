"""Whole scans and training patches of an anatomy: image, target labels, and what they contain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from pipeline.grid import FloatArray, Grid
from pipeline.segmentation.sampling import linear_matrix, positions
from pipeline.types import LabelArray
from training.generator.acquisition import SLICE_AXIS, Artefact, Geometry, acquire, look_up
from training.generator.anatomy import Anatomy, Finding
from training.generator.families import FAMILIES, Protocol, draw_protocol
from training.generator.materials import MENISCI, PLATES
from training.generator.space import is_any
from training.knee_unet.fields import Shape, along, blurred
from training.knee_unet.patches import SUB_VOXEL, Patch, draw_matrix
from training.knee_unet.specimen import CLASS_COUNT, CLASS_OF, MENISCUS_CLASS, NETWORK_CLASS_COUNT, RESOLUTION_MM
from training.limb import Field

TILT_DEG: Final = 8.0
CUT: Final = 0.4
"""Probability that the field of view is smaller than the anatomy."""
ARTEFACTS: Final = {Artefact.METAL: 0.02, Artefact.WRAP: 0.04, Artefact.MOTION: 0.08}
LEAST_PATCH_VOXEL_MM: Final = 0.42
"""Finer images are rendered with this voxel in patches, which have RESOLUTION_MM."""
BEND_MM: Final = (0.0, 2.0)
"""Largest displacement of the elastic deformation."""
BLUR_MM: Final = (0.3, 1.1)
OFTEN_BLURRED: Final = 0.15
"""SD of additional blur and its probability: averages of scans, interpolated and filtered images."""
MASK_MM: Final = (-10.0, 20.0)
OFTEN_MASKED: Final = 0.06
"""Distance around bones and cartilage outside which an image is 0, as in templates (up to 0: nothing else is seen), and
its probability."""
ELSEWHERE: Final = 0.15
"""Probability that a patch is centred anywhere in the anatomy instead of near cartilage."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GeneratedScan:
    """image, labels (z, y, x), slices first; labels: canonical, at the voxel centres, with menisci if asked for."""

    image: Field
    labels: LabelArray
    grid: Grid
    protocol: Protocol
    contains: tuple[Finding, ...]


def draw_artefacts(rng: np.random.Generator) -> tuple[Artefact, ...]:
    """Artefacts of a random scan, mostly none."""
    return tuple(artefact for artefact, chance in ARTEFACTS.items() if rng.random() < chance)


def make_scan(
    anatomy: Anatomy,
    protocol: Protocol,
    seed: int,
    *,
    menisci: bool = True,
    whole: bool = False,
    artefacts: tuple[Artefact, ...] | None = None,
) -> GeneratedScan:
    """A scan of the anatomy; deterministic. whole: cover all of it without tilt; artefacts: None draws some."""
    place, receiver, drawn = np.random.default_rng(seed).spawn(3)
    extent = np.array(anatomy.grid.extent_mm)
    cut = whole or place.random() > CUT
    share = np.ones(3) if cut else place.uniform(0.55, 1.0, 3)
    tilt = np.zeros(3) if whole else place.uniform(-TILT_DEG, TILT_DEG, 3)
    middle = 0.5 * extent + (0.0 if whole else 1.0) * place.uniform(-0.5, 0.5, 3) * (1.0 - share) * extent
    axis = SLICE_AXIS[protocol.plane]
    step = [protocol.in_plane_mm] * 3
    step[axis] = protocol.step_mm
    a, b, c = (max(4, int(side * part / mm)) for side, part, mm in zip(extent, share, step, strict=True))
    geometry = Geometry(
        shape=(a, b, c),
        step_mm=(step[0], step[1], step[2]),
        slice_axis=axis,
        slice_mm=protocol.slice_mm,
        matrix=Rotation.from_euler("xyz", tilt, degrees=True).as_matrix(),
        centre_mm=middle,
    )
    artefacts = draw_artefacts(drawn) if artefacts is None else artefacts
    image = acquire(anatomy, protocol, geometry, receiver, artefacts)
    labels = look_up(anatomy.labels, geometry.index(anatomy.grid.spacing_mm[0], np.zeros(3)))
    if not menisci:
        labels[is_any(labels, MENISCI)] = 0
    order = (axis, *(k for k in (2, 1, 0) if k != axis))
    first = geometry_origin(geometry, anatomy)
    columns = (anatomy.grid.direction[:, ::-1] @ geometry.matrix)[:, order]
    grid = Grid(
        shape=tuple(geometry.shape[k] for k in order),  # type: ignore[arg-type]
        spacing_mm=tuple(geometry.step_mm[k] for k in order),  # type: ignore[arg-type]
        origin_mm=first,
        direction=columns[:, ::-1],
    )
    return GeneratedScan(
        image=np.ascontiguousarray(image.transpose(order)),
        labels=np.ascontiguousarray(labels.transpose(order)),
        grid=grid,
        protocol=protocol,
        contains=(*anatomy.contains, *(Finding(name=artefact) for artefact in artefacts)),
    )


def geometry_origin(geometry: Geometry, anatomy: Anatomy) -> FloatArray:
    """(3,) LPS mm of the centre of voxel (0, 0, 0)."""
    corner = -0.5 * (np.array(geometry.shape) - 1) * np.array(geometry.step_mm)
    index = (geometry.matrix @ corner + geometry.centre_mm) / anatomy.grid.spacing_mm[0] - 0.5
    return np.asarray(anatomy.grid.to_mm([index])[0])


def make_patch(
    anatomy: Anatomy,
    rng: np.random.Generator,
    shape: Shape = (96, 96, 96),
    family: str | None = None,
) -> Patch:
    """A patch of the network: a random pose, protocol and acquisition, interpolated as the pipeline does."""
    family = family or str(rng.choice(list(FAMILIES)))
    protocol = draw_protocol(rng, family)
    axis = SLICE_AXIS[protocol.plane]
    fine = max(protocol.in_plane_mm, LEAST_PATCH_VOXEL_MM)
    step = [fine] * 3
    step[axis] = max(protocol.step_mm, LEAST_PATCH_VOXEL_MM)
    matrix, centre = draw_matrix(rng), _centre(anatomy, rng)
    a, b, c = (max(4, int(np.ceil(n * RESOLUTION_MM / mm))) for n, mm in zip(shape, step, strict=True))
    strength = float(rng.uniform(*BEND_MM))
    nodes = [int(seed) for seed in rng.integers(2**31, size=3)]
    acquired = Geometry(
        shape=(a, b, c),
        step_mm=(step[0], step[1], step[2]),
        slice_axis=axis,
        slice_mm=min(protocol.slice_mm, step[axis]),
        matrix=matrix,
        centre_mm=centre,
        bend_mm=_bend((a, b, c), (step[0], step[1], step[2]), strength, nodes),
    )
    image = acquire(anatomy, protocol, acquired, rng, draw_artefacts(rng))
    for k, n in enumerate(shape):
        length = image.shape[k]
        start = 0.5 * (length * step[k] - n * RESOLUTION_MM)  # both grids share their centre
        image = along(image, k, linear_matrix(positions(n, RESOLUTION_MM, step[k]) + start / step[k], length))
    target = Geometry(
        shape=shape,
        step_mm=(RESOLUTION_MM,) * 3,
        slice_axis=axis,
        slice_mm=RESOLUTION_MM,
        matrix=matrix,
        centre_mm=centre,
        bend_mm=_bend(shape, (RESOLUTION_MM,) * 3, strength, nodes),
    )
    targets = _targets(anatomy, target)
    image = _processed(image, targets, (RESOLUTION_MM,) * 3, rng)
    return Patch(image=_standardised(image, rng)[None], targets=targets, family=family)


def _processed(image: Field, targets: Field, spacing_mm: tuple[float, float, float], rng: np.random.Generator) -> Field:
    """Mostly as acquired; sometimes blurred, and sometimes masked to the joint or to bones and cartilage alone."""
    masked = rng.random() < OFTEN_MASKED
    if masked:
        seen = targets[1:CLASS_COUNT].sum(0)
        around_mm = float(rng.uniform(*MASK_MM))
        if around_mm > 0.0:
            wide = [2 * round(around_mm / mm) + 1 for mm in spacing_mm]
            seen = (ndimage.uniform_filter(seen, wide, mode="constant") > 1e-4).astype(np.float32)
        image = image * seen
    if masked or rng.random() < OFTEN_BLURRED:
        sd_mm = float(rng.uniform(*BLUR_MM))
        for k, mm in enumerate(spacing_mm):
            image = blurred(image, k, sd_mm / mm)
    return image


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """image (a, b, c) as acquired, in the network's axes; targets (classes, a, b, c): the fraction of each class."""

    image: Field
    targets: Field
    spacing_mm: tuple[float, float, float]


def make_view(
    anatomy: Anatomy,
    protocol: Protocol,
    rng: np.random.Generator,
    extent_mm: tuple[float, float, float],
    matrix: FloatArray,
    centre_mm: FloatArray,
) -> View:
    """A part of the anatomy on the scan's own voxels, deformed, blurred and masked as patches are."""
    axis = SLICE_AXIS[protocol.plane]
    step = [protocol.in_plane_mm] * 3
    step[axis] = protocol.step_mm
    a, b, c = (max(4, round(side / mm)) for side, mm in zip(extent_mm, step, strict=True))
    spacing = (step[0], step[1], step[2])
    strength = float(rng.uniform(*BEND_MM))
    nodes = [int(seed) for seed in rng.integers(2**31, size=3)]
    geometry = Geometry(
        shape=(a, b, c),
        step_mm=spacing,
        slice_axis=axis,
        slice_mm=protocol.slice_mm,
        matrix=matrix,
        centre_mm=centre_mm,
        bend_mm=_bend((a, b, c), spacing, strength, nodes),
    )
    image, targets = acquire(anatomy, protocol, geometry, rng, draw_artefacts(rng)), _targets(anatomy, geometry)
    image = _processed(image, targets, spacing, rng)
    return View(image=_standardised(image, rng), targets=targets, spacing_mm=spacing)


def plate_centre(anatomy: Anatomy) -> FloatArray:
    """(3,) mm from the anatomy's lower edges: the middle of all cartilage. Raises ValueError if there is none."""
    points = list(_landmarks(anatomy).values())
    if not points:
        raise ValueError(f"{anatomy.name or 'the anatomy'} has no cartilage; expected at least one plate")
    low, high = np.percentile(np.concatenate(points), (1, 99), axis=0)
    return np.asarray(0.5 * (low + high) * anatomy.grid.spacing_mm[0])


def _bend(shape: Shape, step_mm: tuple[float, float, float], strength: float, seeds: list[int]) -> tuple[Field, ...]:
    """The same elastic deformation, in mm, on grids of different steps that share their centre."""
    half = [0.5 * (n - 1) * mm for n, mm in zip(shape, step_mm, strict=True)]
    return tuple(np.float32(strength) * _waves(shape, step_mm, half, seed) for seed in seeds)


def _waves(shape: Shape, step_mm: tuple[float, float, float], half: list[float], seed: int) -> Field:
    """Product of three sinusoids, one along each axis, of wavelengths of 50 to 110 mm."""
    rng = np.random.default_rng(seed)
    parts = [
        np.sin(2.0 * np.pi * ((np.arange(n) * mm - h) / rng.uniform(50.0, 110.0) + rng.random())).astype(np.float32)
        for n, mm, h in zip(shape, step_mm, half, strict=True)
    ]
    x, y, z = np.ix_(*parts)
    return np.asarray(0.5 * (x + y) * z + 0.5 * x * y, np.float32)


def _centre(anatomy: Anatomy, rng: np.random.Generator) -> FloatArray:
    """(3,) mm from the anatomy's lower edges: near cartilage, every plate equally often, or anywhere."""
    extent, landmarks = np.array(anatomy.grid.extent_mm), _landmarks(anatomy)
    if rng.random() < ELSEWHERE or not landmarks:
        return np.asarray(rng.uniform(0.15, 0.85, 3) * extent)
    points = landmarks[int(rng.choice(list(landmarks)))]
    return np.asarray(points[rng.integers(len(points))] * anatomy.grid.spacing_mm[0] + rng.uniform(-16.0, 16.0, 3))


def _landmarks(anatomy: Anatomy) -> dict[int, FloatArray]:
    """Plate -> (n, 3) some of its voxels."""
    known: dict[int, FloatArray] = anatomy.__dict__.setdefault("landmarks", {})
    if not known:
        thin = anatomy.labels[::4, ::4, ::4]
        known.update({int(p): np.argwhere(thin == p).astype(np.float64) * 4.0 for p in PLATES if (thin == p).any()})
    return known


def _targets(anatomy: Anatomy, geometry: Geometry) -> Field:
    """(classes, a, b, c): the fraction of every class at four positions of each voxel."""
    table = CLASS_OF.copy()
    table[list(MENISCI)] = MENISCUS_CLASS
    targets = np.zeros((NETWORK_CLASS_COUNT, *geometry.shape), np.float32)
    for offset in SUB_VOXEL * np.array(geometry.step_mm):
        here = table[look_up(anatomy.labels, geometry.index(anatomy.grid.spacing_mm[0], offset))]
        for k in range(1, NETWORK_CLASS_COUNT):
            targets[k] += np.float32(1.0 / len(SUB_VOXEL)) * (here == k)
    targets[0] = 1.0 - targets[1:].sum(0)
    return targets


def _standardised(image: Field, rng: np.random.Generator) -> Field:
    """Mean 0, SD 1, with a random gamma, gain and offset, as in training/knee_unet/acquisition.py."""
    image = np.clip(image / (np.float32(np.quantile(image.reshape(-1)[::37], 0.99)) + np.float32(1e-6)), 0.0, 2.5)
    image = image ** np.float32(np.exp(rng.uniform(-0.3, 0.3)))
    image = (image - image.mean()) / (image.std() + np.float32(1e-6))
    return np.asarray(image * np.float32(rng.uniform(0.7, 1.4)) + np.float32(rng.uniform(-0.4, 0.4)), np.float32)
