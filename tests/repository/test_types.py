"""Public signatures say what they take and give: `Any` is the exception, and each one has its reason beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "studies", "jobs", "rest", "ui", "pages")
EDGES = ("app.py", "api.py", "web.py", "worker.py", "serve.py", "kneebox.py")
MOST = 20


def sources() -> list[Path]:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [*files, *(ROOT / name for name in EDGES)]


def names_any(annotation: ast.expr | None) -> bool:
    return annotation is not None and any(
        isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(annotation)
    )


def loose_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of each public function, method and field whose annotation holds `Any`."""

    def visit(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if node.name.startswith("_") and not node.name.startswith("__"):
                    continue
                given = node.args
                arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
                found = [a.annotation for a in arguments if a is not None] + [node.returns]
                if any(names_any(annotation) for annotation in found):
                    yield node.lineno, node.name
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from visit(node.body)
            elif (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and not node.target.id.startswith("_")
                and names_any(node.annotation)
            ):
                yield node.lineno, node.target.id

    yield from visit(ast.parse(path.read_text(encoding="utf-8")).body)


def has_reason(path: Path, line: int) -> bool:
    """A comment `Any: …` on one of the lines of the signature, or on the line above it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((k for k in range(line - 1, len(lines)) if lines[k].rstrip().partition("  #")[0].endswith(":")), line)
    return any("# Any: " in text for text in lines[max(0, line - 2) : end + 1])


LOOSE = [(path, line, name) for path in sources() for line, name in loose_lines(path)]


def test_few_public_signatures_hold_any() -> None:
    named = [f"{path.relative_to(ROOT)}:{line} {name}" for path, line, name in LOOSE]
    assert len(named) <= MOST, "\n".join(named)


def test_each_any_has_its_reason() -> None:
    assert not [f"{path.relative_to(ROOT)}:{line} {name}" for path, line, name in LOOSE if not has_reason(path, line)]


def test_an_unexplained_any_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("class Public:\n    def method(self, value: Any) -> None: ...\n    known: dict[str, Any]\n")
    assert [name for _, name in loose_lines(module)] == ["method", "known"]
    assert not has_reason(module, 2)
