"""The tables of `make mutate` fit the tree. The mutants themselves are not part of the tests."""

from __future__ import annotations

from bench.mutation.equivalent import change, not_made, read_equivalent
from bench.mutation.modules import MUST_NOTICE_ALL, PARTS
from tests.support.processes import ROOT


def test_every_module_and_test_of_the_table_exists() -> None:
    for part in PARTS.values():
        for name in (*part.modules, *part.tests, *part.without):
            file, _, test = name.partition("::")
            assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), name
    assert set(MUST_NOTICE_ALL) <= set(PARTS)


def test_every_equivalent_change_is_of_a_line_that_exists_and_has_a_reason() -> None:
    modules = {module for part in PARTS.values() for module in part.modules}
    entries = read_equivalent()
    assert entries
    for entry in entries:
        assert entry.module in modules
        assert entry.reason.endswith(".")
        text = (ROOT / entry.module).read_text(encoding="utf-8")
        assert change("", entry.before, "")[1] in change("", text, "")[1], entry
        assert entry.before not in entry.after


def test_an_entry_whose_change_is_no_longer_made_is_found() -> None:
    (first, *others) = read_equivalent()
    made = set().union(*(entry.changes for entry in others)) | {change(first.module, "a", "b")}
    assert not_made([first, *others], made) == [first]
