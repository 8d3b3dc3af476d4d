"""Every operation that pages and routes can call is checked, or is known to be about no data of users."""

from __future__ import annotations

import inspect

import pytest

from jobs import service
from jobs.access.rules import CHECKED

OPEN = {
    *("accept_pass", "issue_pass", "revoke_pass", "revoke_passes", "refusals", "viewer"),
    *("activity", "health", "metrics", "stats", "model_picture", "models", "shape_models", "validations"),
    *("longest_expiry", "mine", "may_change_job", "may_change_study"),
    *("data_folders", "manifest_text", "rows_of_names", "table_meanings"),
}
"""About the whole service, or about what the caller sends."""

NAMES = ("job_id", "first_id", "second_id", "job_ids", "study_id", "scan_id", "project_id", "link_id")
"""Parameters that name something that belongs to somebody."""

EVERY = [
    (module, name)
    for module in (service, service.studies)
    for name in module.__all__
    if inspect.isfunction(getattr(module, name))
]


@pytest.mark.parametrize(("module", "name"), EVERY, ids=lambda value: value if isinstance(value, str) else "")
def test_every_operation_is_checked(module: object, name: str) -> None:
    operation = getattr(module, name)
    if name in OPEN:
        return
    checked = getattr(operation, CHECKED, None)
    assert checked is not None, f"{name} is not given to `permitted` (jobs/access/rules.py)"
    given = inspect.signature(operation).parameters
    named = set(NAMES) & set(given) | {key for key, item in given.items() if item.annotation == "StudyRequest"}
    assert named <= checked, f"{name}: {named - checked} is not checked"
