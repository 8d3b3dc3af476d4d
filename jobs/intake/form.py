"""The fields of an upload form: AnalysisOptions plus an e-mail address, validated as by FastAPI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Final, Literal, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from jobs.errors import InvalidForm
from jobs.settings import load_settings
from jobs.state.model import Priority
from pipeline.errors import OptionsError
from pipeline.options import CHOICES, ECHO_TIMES, SPIN_LOCK_TIMES, AnalysisOptions, checked_times, read_times
from pipeline.segmentation.registry import model_ids

_EMAIL: Final = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


def _choosable_models() -> tuple[str, ...]:
    return model_ids(load_settings().resources)


def _known_model(model_id: str) -> str:
    """Raises the error of an enumeration whose values depend on MODELS_DIR."""
    known = _choosable_models()
    if model_id not in known:
        listed = " or ".join([", ".join(map(repr, known[:-1])), repr(known[-1])])
        raise PydanticKnownError("literal_error", {"expected": listed})
    return model_id


def _list_models(schema: dict[str, Any]) -> None:
    schema["enum"] = list(_choosable_models())


_Model = Annotated[str, AfterValidator(_known_model), Field(json_schema_extra=_list_models)]


def _times(option: str) -> Any:
    """The type of a field with times, from a form's text or a JSON list."""

    def checked(value: object) -> tuple[float, ...]:
        try:
            return checked_times(read_times(value, option) if isinstance(value, str) else value, option)
        except OptionsError as error:
            raise PydanticCustomError("times", "{reason}", {"reason": error.message}) from None

    return Annotated[
        tuple[float, ...],
        BeforeValidator(checked),
        WithJsonSchema({"type": "string", "examples": ["10, 20, 30"]}),
    ]


def _option_fields() -> dict[str, Any]:
    hints = get_type_hints(AnalysisOptions) | {name: Literal.__getitem__(CHOICES[name]) for name in CHOICES}
    hints |= {"segmentation_model": _Model, **{option: _times(option) for option in (ECHO_TIMES, SPIN_LOCK_TIMES)}}
    return {
        item.name: (
            hints[item.name],
            Field(
                default=item.default,
                title=item.metadata["title"],
                description=item.metadata["help"],
                ge=item.metadata.get("ge"),
                le=item.metadata.get("le"),
                pattern=item.metadata.get("pattern"),
            ),
        )
        for item in fields(AnalysisOptions)
    }


OptionsForm: Final[type[BaseModel]] = create_model(
    "OptionsForm", __config__=ConfigDict(extra="ignore", allow_inf_nan=False), **_option_fields()
)
"""Only the options: the body of a retry."""

UploadForm: Final[type[BaseModel]] = create_model(
    "UploadForm",
    __base__=OptionsForm,
    email=(
        str | None,
        Field(default=None, max_length=254, pattern=_EMAIL, description="Optional; counted, kept until the job ends."),
    ),
    priority=(
        Priority,
        Field(default=Priority.INTERACTIVE, description="Interactive jobs are put before waiting bulk ones."),
    ),
)
"""Every form value of POST /upload except the file."""


@dataclass(frozen=True, kw_only=True)
class JobForm:
    """The values of a form."""

    options: AnalysisOptions
    email: str | None = None
    priority: Priority = Priority.INTERACTIVE


def parse_form(values: Mapping[str, str]) -> JobForm:
    """The values of a form; an empty value counts as absent. Raises InvalidForm."""
    return parse_values({name: value.strip() for name, value in values.items() if value.strip()})


def parse_values(values: Mapping[str, object]) -> JobForm:
    """As `parse_form`, for typed values of a JSON body. Raises InvalidForm."""
    form = _validate(UploadForm, values)
    email, priority = form.pop("email"), form.pop("priority")
    return JobForm(options=AnalysisOptions(**form), email=email, priority=priority)


def parse_options(base: Mapping[str, object], changes: Mapping[str, object]) -> AnalysisOptions:
    """Options of a record with changes. Raises InvalidForm."""
    known = AnalysisOptions.__dataclass_fields__.keys()
    return AnalysisOptions(**_validate(OptionsForm, {k: v for k, v in base.items() if k in known} | dict(changes)))


def _validate(form: type[BaseModel], values: Mapping[str, object]) -> dict[str, Any]:
    try:
        return form.model_validate(dict(values)).model_dump()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise InvalidForm([dict(item) | {"loc": ["body", *item["loc"]]} for item in details]) from None
