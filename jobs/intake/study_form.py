"""The bodies of requests about studies, validated as by FastAPI."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.intake.version_form import LONGEST_INITIALS
from pipeline.review_state import ReviewState
from studies.maps.request import FIGURES

MOST_MANIFEST_BYTES: Final = 16 * 1024 * 1024
MOST_BODY_BYTES: Final = 2 * MOST_MANIFEST_BYTES
"""JSON needs more characters than the text in it."""

MOST_SCANS: Final = 10_000

Manifest = Annotated[
    str,
    Field(
        max_length=MOST_MANIFEST_BYTES,
        description="CSV text with a header line; its columns are those of `kneebox study` (docs/how-to/study.md).",
    ),
]
Code = Annotated[str, Field(max_length=64)]
Codes = Annotated[
    list[Code], Field(max_length=64, description="Codes of doubts with which rows are analysed nevertheless.")
]


Days = Annotated[
    float,
    Field(
        ge=0,
        le=36_600,
        allow_inf_nan=False,
        description="Days from now after which the study is deleted; 0: by the limit of the operator, else it is kept.",
    ),
]


class StudyScan(BaseModel):
    """An uploaded scan (POST /scans) and the columns of its row; further columns are kept."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[str, Field(max_length=200)]]

    scan_id: Annotated[str, Field(max_length=64)]
    subject: Annotated[str, Field(max_length=200)]


class StudyForm(BaseModel):
    """One of: `manifest` with `folder`; `folder` alone, whose names make the rows; `scans`."""

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(max_length=200)]
    manifest: Manifest = ""
    folder: Annotated[
        str, Field(max_length=1000, description="A folder that the operator allows (GET /studies), or one below it.")
    ] = ""
    layout: Annotated[str, Field(max_length=20, description="bids, image03 or pattern; empty: recognised.")] = ""
    pattern: Annotated[str, Field(max_length=200, description="Of the names: {subject}_{visit}_{side}")] = ""
    only: Annotated[str, Field(max_length=200, description="Only scans whose path matches: *DESS*")] = ""
    scans: Annotated[list[StudyScan], Field(max_length=MOST_SCANS)] | None = None
    options: Annotated[
        dict[str, object], Field(description="Options of the analyses, as in the form of POST /upload.")
    ] = {}
    accepted: Codes = []
    compact: Annotated[bool, Field(description="Keep of each knee only what the tables need.")] = False
    run: Annotated[bool, Field(description="Start as soon as the check has ended.")] = False
    expiry_days: Days = 0


class StartForm(BaseModel):
    """What is accepted when a study starts."""

    model_config = ConfigDict(extra="ignore")

    accepted: Codes = []


class RowsForm(BaseModel):
    """Further rows, with the header of the first manifest."""

    model_config = ConfigDict(extra="ignore")

    manifest: Manifest


class MapsForm(BaseModel):
    """Which mean maps are made: of one group, or of two and their difference."""

    model_config = ConfigDict(extra="ignore")

    figure: Annotated[str, Field(max_length=40, description=f"One of {', '.join(FIGURES)}.")]
    visit: Annotated[str, Field(max_length=200, description="Needed where rows have several visits.")] = ""
    column: Annotated[str, Field(max_length=200, description="sex, or a column of the manifest; empty: all rows.")] = ""
    first: Annotated[str, Field(max_length=200, description="Value of the column in the first group.")] = ""
    second: Annotated[str, Field(max_length=200, description="In the second group; empty: no difference.")] = ""


class ExpiryForm(BaseModel):
    """When a study is deleted."""

    model_config = ConfigDict(extra="ignore")

    days: Days


class RowReviewForm(BaseModel):
    """A reader's judgement of one knee."""

    model_config = ConfigDict(extra="ignore")

    state: Annotated[ReviewState | Literal[""], Field(description="Empty: not reviewed.")]
    note: Annotated[str, Field(max_length=1000)] = ""
    initials: Annotated[
        str, Field(max_length=LONGEST_INITIALS, description="Of the reader, for the agreement of several readers.")
    ] = ""


STUDY_FIELDS: Final = tuple(StudyForm.model_fields)
START_FIELDS: Final = tuple(StartForm.model_fields)
ROWS_FIELDS: Final = tuple(RowsForm.model_fields)
MAPS_FIELDS: Final = tuple(MapsForm.model_fields)
EXPIRY_FIELDS: Final = tuple(ExpiryForm.model_fields)
ROW_REVIEW_FIELDS: Final = tuple(RowReviewForm.model_fields)
