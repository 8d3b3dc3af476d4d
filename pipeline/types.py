"""Data types passed between the stages. They are frozen and validate themselves on construction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.acquisition import Acquisition, PulseSequence
from pipeline.anatomy import Side, Structure
from pipeline.flags import QualityFlag, Use, use_of
from pipeline.grid import NO_PLANES, Box, FloatArray, Grid, Planes
from pipeline.oai_variables import variable_of
from pipeline.progress import StepRecord
from pipeline.quantities import Method, Quantity, Statistic
from pipeline.relaxation import Relaxation, relaxation_of

LabelArray = NDArray[np.uint8]

_UNDIVIDED = np.zeros(0, dtype=np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """One MR series.

    echoes         (e, z, y, x) float32; a single-echo scan has e == 1
    echo_times_ms  one time per echo, ascending; empty if the file has none (NIfTI, NRRD)
    side           from the header or the user; None: determined later by anatomy
    """

    echoes: NDArray[np.float32]
    grid: Grid
    sequence: PulseSequence = PulseSequence.UNKNOWN
    echo_times_ms: tuple[float, ...] = ()
    side: Side | None = None
    modality: str = "MR"
    acquisition: Acquisition = field(default_factory=Acquisition)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.echoes.ndim != 4 or self.echoes.shape[1:] != self.grid.shape:
            raise ValueError(f"echoes must be (e, z, y, x) on the grid {self.grid.shape}, found {self.echoes.shape}")
        if self.echoes.dtype != np.float32:
            raise ValueError(f"echoes must be float32, found {self.echoes.dtype}")
        if self.echo_times_ms and len(self.echo_times_ms) != len(self.echoes):
            raise ValueError(f"{len(self.echoes)} echoes but {len(self.echo_times_ms)} echo times")

    @property
    def anatomical(self) -> NDArray[np.float32]:
        """(z, y, x): the image to segment; root mean square of the echoes, which has the best signal to noise."""
        if len(self.echoes) == 1:
            only: NDArray[np.float32] = self.echoes[0]
            return only
        return np.asarray(np.sqrt(np.mean(np.square(self.echoes), axis=0)), dtype=np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap:
    """A label map as stored in a file.

    labels    (z, y, x) uint16
    names     label -> its name in the file, or in a description beside it; empty if there are none
    left_out  per axis, slices of background that the file left out before and after its own
    warnings  assumptions made while reading
    """

    labels: NDArray[np.uint16]
    grid: Grid
    names: Mapping[int, str] = field(default_factory=dict)
    left_out: Planes = NO_PLANES
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """Canonical labels (anatomy.Structure) on a grid.

    compartments_apart is False while medial and lateral structures still share the medial one's label (LATERAL_OF).
    confidence            structure -> mean foreground probability, 0 to 1, if the model provides it
    surface_entropy_bits  structure -> mean entropy within a voxel of its surface, 0 to 1 bit, likewise

    Both are model outputs before post-processing, uncalibrated (segmentation/confidence.py).
    marrow_contrast       how bright its cartilage is in the image, relative to marrow (segmentation/contrast.py); None:
                          not known
    flags, warnings       found while a given label map was read; empty for the output of a model
    padding               planes of the scan that the grid leaves out: padding, and another knee (pipeline/padding.py)
    edited                structures that a reader corrected (pipeline/edits.py)
    """

    labels: LabelArray
    grid: Grid
    model_id: str
    compartments_apart: bool = True
    confidence: dict[Structure, float] = field(default_factory=dict)
    surface_entropy_bits: dict[Structure, float] = field(default_factory=dict)
    marrow_contrast: float | None = None
    flags: tuple[QualityFlag, ...] = ()
    warnings: tuple[str, ...] = ()
    padding: Planes = NO_PLANES
    edited: frozenset[Structure] = frozenset()

    def __post_init__(self) -> None:
        if self.labels.shape != self.grid.shape or self.labels.dtype != np.uint8:
            raise ValueError(f"labels must be uint8 {self.grid.shape}, found {self.labels.dtype} {self.labels.shape}")
        if (top := int(self.labels.max(initial=0))) > max(Structure):
            raise ValueError(f"labels must be canonical (0 to {max(Structure)}), found {top}")

    @property
    def scan_grid(self) -> Grid:
        """The grid with the padding."""
        return self.grid.extended(self.padding)

    @cached_property
    def boxes(self) -> dict[Structure, Box]:
        """The smallest box (z, y, x) around each structure that is present."""
        from scipy import ndimage  # imported here because web processes use this module but not scipy

        found = ndimage.find_objects(self.labels, max_label=max(Structure))
        return {Structure(k + 1): box for k, box in enumerate(found) if box is not None}

    def mask(self, *structures: Structure) -> NDArray[np.bool_]:
        """(z, y, x): True where any of the structures is."""
        table = np.zeros(256, dtype=bool)
        table[list(structures)] = True
        return table[self.labels]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A triangulated boundary.

    points_mm (n, 3) float64 LPS; faces (m, 3) int64, outward by the right-hand rule; normals (n, 3) float64 unit,
    outward; vertex_areas_mm2 (n,) the area each vertex stands for, which sums to the surface's.
    """

    points_mm: FloatArray
    faces: NDArray[np.int64]
    normals: FloatArray
    vertex_areas_mm2: FloatArray
    structure: Structure

    def __post_init__(self) -> None:
        n = len(self.points_mm)
        if self.points_mm.shape != (n, 3) or self.normals.shape != (n, 3) or self.vertex_areas_mm2.shape != (n,):
            raise ValueError("points_mm and normals must be (n, 3), vertex_areas_mm2 (n,)")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ValueError("faces must be (m, 3)")


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Where a knee lies in the frame of the reference knee (a right knee: +x medial, +y posterior, +z superior, mm).

    matrix (4, 4): homogeneous LPS mm -> reference mm, similarity; a left knee's matrix holds the mirror image
    structure: the bone that was fitted; the femur where there is one
    residual_mm, residual_other_mm: mean distance to the reference for the side found and for the other one
    """

    matrix: FloatArray
    side: Side
    residual_mm: float
    residual_other_mm: float
    structure: Structure = Structure.FEMUR

    def to_reference(self, points_mm: FloatArray) -> FloatArray:
        """(n, 3) LPS mm -> (n, 3) in the reference frame."""
        points: FloatArray = points_mm @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return points


@dataclass(frozen=True, kw_only=True, eq=False)
class ThicknessMap:
    """Cartilage thickness on a bone.

    thickness_mm (n,) at the surface's vertices: NaN outside the cartilage plate, 0 where the plate is denuded
    region       (n,) uint8, label of anatomy.REGIONS; 0 outside the plate
    subregion    (n,) uint8, label of anatomy.SUBREGION_SCHEME; 0 outside the plate, and everywhere before it is divided
    worn         (n,) uint8, label of anatomy.REGIONS of bone outside the plate that lost its cartilage from the rim
                 inwards (pipeline/plate_outline.py); 0 elsewhere; None: not known
    method       the thickness estimator
    """

    surface: Surface
    thickness_mm: FloatArray
    region: LabelArray
    method: Method
    subregion: LabelArray = field(default_factory=lambda: _UNDIVIDED)
    worn: LabelArray | None = None

    def __post_init__(self) -> None:
        n = len(self.surface.points_mm)
        if self.subregion is _UNDIVIDED:
            object.__setattr__(self, "subregion", np.zeros(n, dtype=np.uint8))
        given = (self.thickness_mm, self.region, self.subregion, *(() if self.worn is None else (self.worn,)))
        if {values.shape for values in given} != {(n,)}:
            raise ValueError(f"thickness_mm, region, subregion and worn must be ({n},)")

    @property
    def in_plate(self) -> NDArray[np.bool_]:
        """(n,): the vertices of the plate, covered or denuded."""
        return np.isfinite(self.thickness_mm) & (self.region > 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class RelaxationMap:
    """A relaxation time in every voxel: T2 or T1rho.

    time_ms (z, y, x) float32, NaN where no fit was made; r2 (z, y, x) float32 fit quality, NaN where the method has
    none; method: MULTI_ECHO and SPIN_LOCK (weighted Gauss-Newton), or one of the qDESS estimators
    """

    time_ms: NDArray[np.float32]
    r2: NDArray[np.float32]
    method: Method
    grid: Grid

    @property
    def relaxation(self) -> Relaxation:
        """Which relaxation time it is."""
        return relaxation_of(self.method)


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapeFit:
    """A knee in the coordinates of a shape model.

    model, kind      name of the model's folder; `bone_only` or `bone_and_cart`
    sha256           digest of its weights
    latent           (d,)
    icp_transform    (4, 4) homogeneous LPS mm -> the model's mean shape, similarity; a left knee's mirrors as well
    center, scale    (3,) and one number: (icp_transform x - center) / scale are the model's own coordinates
    reconstructions  the shape that the latent vector stands for, in LPS mm: bone, then cartilage where the model has it
    assd_mm          of each of them, the mean distance to the patient's surface and back, averaged
    bscore           None where no B-score is installed beside the model, or the reconstruction is far off
    """

    model: str
    kind: str
    sha256: str
    latent: FloatArray
    icp_transform: FloatArray
    center: FloatArray
    scale: float
    reconstructions: tuple[Surface, ...]
    assd_mm: tuple[float, ...]
    bscore: float | None

    def __post_init__(self) -> None:
        if self.icp_transform.shape != (4, 4) or self.center.shape != (3,) or self.latent.ndim != 1:
            raise ValueError("icp_transform must be (4, 4), center (3,), latent (d,)")
        if len(self.reconstructions) != len(self.assd_mm):
            raise ValueError("one assd_mm a reconstruction")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One row of the tidy table.

    e.g. ThC, union, femoral_cartilage, medial_weight_bearing, mean, 1.99, mm, 5175
    value is NaN where the region holds nothing to measure (n == 0). use: yes, caution or no; flag: the code of the flag
    that decides it, empty for yes. oai_variable: its name in the tables of the Osteoarthritis Initiative; empty:
    none.
    """

    quantity: str
    method: str
    structure: str
    region: str
    statistic: str
    value: float
    unit: str
    n: int
    flag: str = ""
    use: str = Use.YES.value
    oai_variable: str = ""

    def judged(self, flags: Iterable[QualityFlag]) -> Measurement:
        """The same row with the use that the flags leave it."""
        use, code = use_of(self.quantity, self.structure, self.region, flags)
        return replace(self, flag=code, use=use.value)

    @classmethod
    def of(
        cls,
        quantity: Quantity,
        *,
        method: Method,
        structure: str,
        region: str,
        statistic: Statistic,
        value: float,
        n: int,
    ) -> Measurement:
        """A row of this quantity, in its unit. Raises ValueError for a statistic that the quantity does not declare."""
        if statistic not in quantity.statistics:
            raise ValueError(f"{quantity.id} reports {', '.join(quantity.statistics)}, found {statistic}")
        return cls(
            quantity=quantity.id,
            method=method.value,
            structure=str(structure),
            region=region,
            statistic=statistic.value,
            value=value,
            unit=quantity.unit.value,
            n=n,
            oai_variable=variable_of(quantity, method, str(structure), region, statistic),
        )


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What the host lends to an analysis.

    models_dir  extra weights beside the built-in ones, or None
    device      auto, cpu or cuda
    threads     for inference; None: every core
    """

    models_dir: Path | None = None
    device: str = "auto"
    threads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """The input of one analysis; names are relative to the workspace's input folder.

    input_name  the user's name of the input (its stem names the results zip)
    scan        file or folder of the scan; None for a label map without a scan
    labels      a label map used instead of a network; it may be in the same file or folder as the scan
    corrected   a reader corrected the outlines: the workspace has the correction (pipeline/correction.py)
    """

    input_name: str
    scan: str | None = None
    labels: str | None = None
    corrected: bool = False

    def __post_init__(self) -> None:
        if self.scan is None and self.labels is None:
            raise ValueError("a request needs a scan, a label map, or both")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How the numbers came about.

    program       version, and commit where it runs from a repository
    steps         version of each step: it changes with the step's results
    model         what made the segmentation
    shape_models  id, kind, weights_sha256 of each
    edits         corrections of the outlines by readers, from version 1 to this one, as in edits.json
    """

    program: dict[str, str]
    steps: dict[str, int]
    input_sha256: str
    options: dict[str, object]
    model: dict[str, object]
    shape_models: tuple[dict[str, str], ...]
    packages: dict[str, str]
    host: dict[str, object]
    seconds: dict[str, float]
    edits: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalysisResult:
    """All that one analysis found; the report is written from this and nothing else.

    scan is None where a label map was measured alone. subregions (z, y, x) uint8 on the segmentation's grid: every
    cartilage voxel carries the label of its region (anatomy.REGIONS). divided: the same with anatomy.SUBREGION_SCHEME.
    thickness: one map per bone and method.
    """

    input_name: str
    scan: Scan | None
    segmentation: Segmentation
    subregions: LabelArray
    divided: LabelArray
    alignment: Alignment
    thickness: tuple[ThicknessMap, ...]
    t2: RelaxationMap | None
    shapes: tuple[ShapeFit, ...]
    measurements: tuple[Measurement, ...]
    flags: tuple[QualityFlag, ...]
    warnings: tuple[str, ...]
    steps: tuple[StepRecord, ...]
    provenance: Provenance
