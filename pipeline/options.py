"""The options of one analysis. Form, REST, command line and record are generated from this class.

Deployment settings are in jobs/settings.py; constants of a method are in the module of the method.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any, Final, Literal, get_args

from pipeline.anatomy import AUTO, NUMBERINGS, Side
from pipeline.errors import OptionsError

NsmType = Literal["bone_and_cart", "bone_only", "both"]
SideChoice = Literal["auto", "left", "right"]
KneeChoice = Literal["", "1", "2"]
WeightBearingChoice = Literal["60", "75"]
# fmt: off
TurnChoice = Literal[
    "",
    "LPS", "LAI", "RPI", "RAS", "LSA", "LIP", "RSP", "RIA", "PLI", "PRS", "ALS", "ARI",
    "PSL", "PIR", "ASR", "AIL", "SLP", "SRA", "ILA", "IRP", "SPR", "SAL", "IPL", "IAR",
]
# fmt: on
AS_STATED: Final = "LPS"
"""The turn of a header that is right: it calls left left, posterior posterior, and superior superior."""

DEFAULT_MODEL: Final = "nnunet_fullres"

READING_OPTIONS: Final = ("side", "series", "echo_times_ms")
"""Used while the upload is read: to change one of them, the upload is needed again."""

OUTLINE_OPTIONS: Final = ("segmentation_model", "menisci", "numbering", "resample_labels", "knee", "turn")
"""They decide the outlines, or the grid that these are on: fixed once a reader has corrected them."""

MAX_ECHO_TIME_MS: Final = 10_000.0
ECHO_TIMES: Final = "echo_times_ms"
SPIN_LOCK_TIMES: Final = "spin_lock_times_ms"
INVALID_TIMES: Final = "{option} are not valid; expected numbers in ms such as 10, 20, 30."


def _option(
    default: Any,
    title: str,
    help: str,
    *,
    flag: str,
    advanced: bool = False,
    preflight: bool = False,
    value: str = "",
    **bounds: Any,
) -> Any:
    """flag: on the command line, empty for none; value: the name of its value there.

    advanced: collapsed on the form; preflight: asked only if the content of the upload requires it
    """
    metadata = {
        "title": title,
        "help": help,
        "flag": flag,
        "advanced": advanced,
        "preflight": preflight,
        "value": value,
        **bounds,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """Options of one analysis. Raises OptionsError if a value is out of bounds.


    Whether segmentation_model exists depends on MODELS_DIR: segmentation.registry.model decides.
    """

    segmentation_model: str = _option(
        DEFAULT_MODEL,
        "Segmentation model",
        "Which model outlines bones and cartilage.",
        flag="--model",
        value="ID",
    )
    side: SideChoice = _option(
        "auto", "Side", "Left or right knee; auto takes it from the header, else from the anatomy.", flag="--side"
    )
    menisci: bool = _option(
        True,
        "Menisci",
        "Keep the menisci that the model outlines. The built-in models outline none.",
        flag="--no-menisci",
        advanced=True,
    )
    perform_nsm: bool = _option(True, "Shape model", "Fit a statistical shape model of the femur.", flag="--no-nsm")
    nsm_type: NsmType = _option(
        "bone_and_cart",
        "Shape model type",
        "Fit bone with cartilage, bone alone, or both.",
        flag="--nsm-type",
        advanced=True,
    )
    retain_results: bool = _option(
        True,
        "Keep for research",
        "Keep labels, surfaces and measurements (never voxels) for research, where the operator allows it.",
        flag="",
    )
    cartilage_smoothing: float = _option(
        0.3125,
        "Cartilage smoothing (mm²)",
        "Variance of the Gaussian on the cartilage label in the two_crossing thickness estimator; "
        "the primary estimator (union) does not use it.",
        flag="--cartilage-smoothing",
        value="MM2",
        advanced=True,
        ge=0.0,
        le=4.0,
    )
    series: str = _option(
        "",
        "Series",
        "Which series of a DICOM upload that holds several: its number, with the letter where one is listed; "
        "empty for the only one.",
        flag="--series",
        value="NUMBER",
        preflight=True,
        pattern=r"^(-?[0-9]{1,10}[A-Za-z]{0,3})?$",
    )
    knee: KneeChoice = _option(
        "",
        "Knee",
        "Which knee of an image that shows two, counted from the patient's right: 1 or 2; empty for the only one.",
        flag="--knee",
        advanced=True,
    )
    turn: TurnChoice = _option(
        "",
        "Turn",
        "For a header with a wrong orientation: where its left, posterior and superior really point, such as RPI for a "
        "knee that is upside down. LPS: the header is right. Empty: it is checked.",
        flag="--turn",
        value="CODE",
        advanced=True,
    )
    weight_bearing: WeightBearingChoice = _option(
        "60",
        "Weight-bearing femur (%)",
        "Where the weight-bearing femur of the subregions (cMF, cLF) ends: after 60 or 75 % of the way from the notch "
        "to the posterior end of its condyle.",
        flag="--weight-bearing",
        advanced=True,
    )
    skip_first_echo: bool = _option(
        False,
        "T2: skip the first echo",
        "Leave the first echo out of the T2 fit (stimulated echoes).",
        flag="--skip-first-echo",
        advanced=True,
    )
    numbering: str = _option(
        AUTO,
        "Numbering of the label map",
        "Which structure each number of a label map means; auto recognises it from the anatomy. Names in the file have "
        "priority.",
        flag="--numbering",
        preflight=True,
    )
    resample_labels: bool = _option(
        False,
        "Resample the label map",
        "Resample a label map whose voxels do not coincide with those of its scan, with nearest neighbour.",
        flag="--resample-labels",
        preflight=True,
    )
    echo_times_ms: tuple[float, ...] = _option(
        (),
        "Echo times (ms)",
        "Echo times of a multi-echo scan whose file has none, one per echo in ascending order: 10, 20, 30. They "
        "replace those in the file.",
        flag="--echo-times-ms",
        value="MS,MS,...",
        preflight=True,
    )
    spin_lock_times_ms: tuple[float, ...] = _option(
        (),
        "T1rho: spin-lock times (ms)",
        "Spin-lock times of the images of a T1rho scan, one per image in ascending order: 0, 10, 40, 80. T1rho is then "
        "measured instead of T2.",
        flag="--spin-lock-times-ms",
        value="MS,MS,...",
        preflight=True,
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            value, choices = getattr(self, item.name), CHOICES.get(item.name)
            if choices is not None and value not in choices:
                raise OptionsError(f"{item.name} is {value!r}; expected one of {', '.join(choices)}.", option=item.name)
            if isinstance(item.default, bool) and not isinstance(value, bool):
                raise OptionsError(f"{item.name} is {value!r}; expected true or false.", option=item.name)
            if isinstance(item.default, str) and not isinstance(value, str):
                raise OptionsError(f"{item.name} is {value!r}; expected text.", option=item.name)
            if isinstance(item.default, tuple):
                object.__setattr__(self, item.name, checked_times(value, item.name))
            pattern = item.metadata.get("pattern")
            if pattern is not None and not (isinstance(value, str) and re.search(pattern, value)):
                raise OptionsError(f"{item.name} is not valid; expected a number such as 5 or 5a.", option=item.name)
            low, high = item.metadata.get("ge"), item.metadata.get("le")
            if low is not None and high is not None:
                number = isinstance(value, (int, float)) and not isinstance(value, bool)
                if not number or not low <= value <= high:
                    raise OptionsError(f"{item.name} is {value!r}; expected {low} to {high}.", option=item.name)
        if self.echo_times_ms and self.spin_lock_times_ms:
            raise OptionsError(
                f"{ECHO_TIMES} and {SPIN_LOCK_TIMES} were both given; expected one of them.",
                hint="An analysis measures T2 or T1rho. Give echo times for T2, spin-lock times for T1rho.",
                option=SPIN_LOCK_TIMES,
            )

    @property
    def weight_bearing_share(self) -> float:
        """The end of the weight-bearing femur, 0 to 1."""
        return int(self.weight_bearing) / 100

    @property
    def chosen_side(self) -> Side | None:
        """The side chosen by the user; None for auto."""
        return None if self.side == "auto" else Side(self.side)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> AnalysisOptions:
        """From a record; unknown keys (of other versions or programs) are ignored, missing ones get their defaults."""
        known = {item.name for item in fields(cls)}
        values: dict[str, Any] = {key: value for key, value in data.items() if key in known}
        return cls(**values)


def read_times(text: str, option: str = ECHO_TIMES) -> tuple[float, ...]:
    """Times in ms from text: `10, 20, 30`, or with a decimal comma `10,5; 21`. Raises OptionsError."""
    parts = text.replace(",", ".").split(";") if ";" in text else re.split(r"[,\s]+", text.strip(" ,"))
    try:
        return tuple(float(part) for part in parts if part.strip())
    except ValueError:
        raise OptionsError(INVALID_TIMES.format(option=option), option=option) from None


def checked_times(value: object, option: str = ECHO_TIMES) -> tuple[float, ...]:
    """A list of times in ms as a tuple. Raises OptionsError if they are not ascending positive numbers; a spin-lock
    time may be 0.
    """
    values = value if isinstance(value, (list, tuple)) else [value]
    times = tuple(float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool))
    if len(times) < len(values):
        raise OptionsError(INVALID_TIMES.format(option=option), option=option)
    ascending = all(a < b for a, b in pairwise(times))
    without_lock = times[1:] if option == SPIN_LOCK_TIMES and times[:1] == (0.0,) else times
    if not ascending or not all(0 < time <= MAX_ECHO_TIME_MS for time in without_lock):
        raise OptionsError(
            f"{option} are {', '.join(f'{time:g}' for time in times)}; expected ascending times above 0 ms.",
            option=option,
        )
    return times


def check_times(times_ms: tuple[float, ...], images: int, option: str = ECHO_TIMES) -> None:
    """Raise OptionsError if times were given and there is not one per echo or image."""
    if times_ms and len(times_ms) != images:
        what = "echo" if option == ECHO_TIMES else "image"
        plural = "es" if option == ECHO_TIMES else "s"
        raise OptionsError(
            f"{option} has {len(times_ms)} entries; the scan has {images} {what}{plural * (images > 1)}.",
            hint=f"Give one time per {what}, or none.",
            option=option,
        )


CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "side": get_args(SideChoice),
    "knee": get_args(KneeChoice),
    "nsm_type": get_args(NsmType),
    "numbering": (AUTO, *NUMBERINGS),
    "turn": get_args(TurnChoice),
    "weight_bearing": get_args(WeightBearingChoice),
}
"""The closed vocabularies, by option name."""
