"""A job's record holds an e-mail address. It is serialised by JobRecord.public(), and by to_json() for Redis alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.test_architecture import ROOT, name_of, sources

RECORD = "JobRecord"
WRITERS_TO_REDIS = {"jobs/state/queue.py", "jobs/state/store.py"}
OWN_MODULE = "jobs/state/model.py"
EMAIL_READERS = {
    "jobs/intake/submission.py",  # counts users by a keyed digest
    "jobs/state/lifecycle.py",  # keeps it in a record that is queued again
    "jobs/state/store.py",  # forgets it when a job ends
    # of people who sign in, which is in no record of a job
    *("rest/sign_in.py", "jobs/access/people.py", "jobs/access/projects.py", "jobs/control/sharing.py"),
    *("pages/account.py", "ui/account/projects.py"),
}
SERIALISERS = {"asdict", "astuple", "vars", "str", "repr", "format", "dumps", "write_json", "jsonable_encoder"}
LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}


def parsed(paths: list[Path]) -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def producers(trees: dict[str, ast.Module]) -> set[str]:
    """Names of the functions that return records."""
    functions = (node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {
        function.name
        for function in functions
        if function.returns is not None
        and RECORD in ast.unparse(function.returns)
        and "Callable" not in ast.unparse(function.returns)
    } | {RECORD}


def called(node: ast.AST) -> str:
    """Name of the called function or method; "" for other expressions."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def records_in(function: ast.AST, makers: set[str]) -> set[str]:
    """Names that are records or contain them: annotated so, or assigned from a function that returns them."""
    names: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation) if RECORD in ast.unparse(annotation):
                names |= set() if "Callable" in ast.unparse(annotation) else {name}
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if RECORD in ast.unparse(annotation):
                names.add(name)
            case ast.Assign(targets=[target], value=value) if called(value) in makers:
                names |= {item.id for item in ast.walk(target) if isinstance(item, ast.Name)}
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if called(value) in makers:
                names.add(name)
            case ast.For() | ast.comprehension() if called(node.iter) in makers:
                names |= {item.id for item in ast.walk(node.target) if isinstance(item, ast.Name)}
    return names


def leaks(tree: ast.AST, makers: set[str]) -> Iterator[str]:
    """Every expression that serialises a whole record other than by public()."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for scope in [tree, *functions]:
        names = records_in(scope, makers) if scope is not tree else set()

        def is_record(node: ast.AST, names: set[str] = names) -> bool:
            return (isinstance(node, ast.Name) and node.id in names) or called(node) in makers

        for node in ast.walk(scope):
            match node:
                case ast.Call(args=args) if called(node) in SERIALISERS | LOGGING and any(map(is_record, args)):
                    yield ast.unparse(node)
                case ast.Attribute(value=value, attr="__dict__" | "to_dict" | "_stored" | "extra") if is_record(value):
                    yield ast.unparse(node)
                case ast.FormattedValue(value=value) if is_record(value):
                    yield ast.unparse(node)


def readers(trees: dict[str, ast.Module], attribute: str) -> set[str]:
    return {
        name
        for name, tree in trees.items()
        if any(isinstance(node, ast.Attribute) and node.attr == attribute for node in ast.walk(tree))
    }


@pytest.mark.slow
def test_a_record_leaves_the_process_in_its_public_form_only() -> None:
    trees = parsed(sources())
    makers = producers(trees)
    assert {"load", "recent", "from_json", "finished"} <= makers
    found = {name: set(leaks(tree, makers)) for name, tree in trees.items() if name != OWN_MODULE}
    assert not {name: texts for name, texts in found.items() if texts}


def test_the_form_with_the_address_is_written_to_redis_only() -> None:
    assert readers(parsed(sources()), "to_json") == WRITERS_TO_REDIS


def test_the_address_is_read_where_it_is_counted_kept_and_forgotten_only() -> None:
    assert readers(parsed(sources()), "email") == EMAIL_READERS


@pytest.mark.parametrize(
    "body",
    [
        "record = store.load(job_id); return asdict(record)",
        "return [vars(item) for item in store.recent(5)]",
        "return json.dumps(store.load(job_id), default=str)",
        "if (found := store.load(job_id)): log.info('%s', found)",
        "record: JobRecord = other(); raise ValueError(f'{record} is damaged')",
        "for item in store.recent(5): yield item.__dict__",
    ],
)
def test_a_new_leak_would_be_found(body: str) -> None:
    source = "def shown(job_id):\n" + "".join(f"    {line.strip()}\n" for line in body.split(";"))
    assert list(leaks(ast.parse(source), {"load", "recent", RECORD}))
    assert not list(leaks(ast.parse("def shown(record: JobRecord):\n    return record.public()\n"), {RECORD}))


def test_the_public_form_has_no_address() -> None:
    from jobs.state.clock import now
    from jobs.state.model import JobRecord, Status

    record = JobRecord(id="x", status=Status.QUEUED, created_at=now(), email="one@example.com")
    assert "one@example.com" in record.to_json()
    assert "one@example.com" not in str(record.public())


def test_only_modules_that_exist_are_listed() -> None:
    assert all((ROOT / name).is_file() for name in WRITERS_TO_REDIS | EMAIL_READERS | {OWN_MODULE})
