"""The bodies of requests that make a version of an analysis, validated as by FastAPI."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from jobs.errors import InvalidForm
from jobs.intake.form_receiver import FormKind
from jobs.intake.parts import FilePart
from pipeline.anatomy import AUTO
from pipeline.options import CHOICES
from pipeline.review_state import ReviewState

MOST_BODY_BYTES: Final = 8 * 1024 * 1024
"""Of a correction: 50 strokes of a brush need some 100 KB."""

LONGEST_NOTE: Final = 1000
LONGEST_INITIALS: Final = 20


def _printable(text: str) -> str:
    """Without control characters; line ends stay."""
    return "".join(c for c in text if c.isprintable() or c == "\n").strip()


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "expected base64") from None
    return text


class VersionNote(BaseModel):
    """What a reader says about a version; the body of a restoration."""

    model_config = ConfigDict(extra="ignore")

    newest: Annotated[
        int | None,
        Field(ge=1, description="Number of the newest version that the client knows; absent: it is not checked."),
    ] = None
    note: Annotated[str, Field(max_length=LONGEST_NOTE), AfterValidator(_printable)] = ""
    initials: Annotated[str, Field(max_length=LONGEST_INITIALS), AfterValidator(_printable)] = ""


class VersionForm(VersionNote):
    """A correction in the browser."""

    runs: Annotated[
        str,
        Field(
            min_length=1,
            description="Base64 of gzip of little-endian uint32 triples (gap, length, label): voxels since the end of "
            "the run before, in C order of the (z, y, x) labels of the viewer; voxels of the run; their new label.",
        ),
        AfterValidator(_base64),
    ]

    @property
    def packed(self) -> bytes:
        """The runs, still compressed."""
        return base64.b64decode(self.runs)


class LabelMapForm(VersionNote):
    """A correction as a label map from another program."""

    numbering: Literal.__getitem__(CHOICES["numbering"]) = AUTO  # type: ignore[valid-type]  # from the table
    resample_labels: bool = False


class ReviewForm(BaseModel):
    """A reader's judgement of a result."""

    model_config = ConfigDict(extra="ignore")

    state: Annotated[ReviewState | Literal[""], Field(description="Empty: not reviewed.")]
    reason: Annotated[str, Field(max_length=LONGEST_NOTE), AfterValidator(_printable)] = ""


F = TypeVar("F", bound=BaseModel)

NOTE_FIELDS: Final = tuple(VersionNote.model_fields)
VERSION_FIELDS: Final = tuple(VersionForm.model_fields)
REVIEW_FIELDS: Final = tuple(ReviewForm.model_fields)


def parse_body(form: type[F], values: Mapping[str, object]) -> F:
    """Raises InvalidForm."""
    try:
        return form.model_validate(dict(values))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise InvalidForm([dict(item) | {"loc": ["body", *item["loc"]]} for item in details]) from None


LABEL_MAP_FORM: Final = FormKind[LabelMapForm](
    files=(FilePart.LABELS,),
    missing="Field required: a label map",
    fields=(FilePart.LABELS, *LabelMapForm.model_fields),
    parse=lambda values: parse_body(LabelMapForm, {name: value for name, value in values.items() if value.strip()}),
)
"""The form of POST /jobs/{job_id}/labels."""
