"""Mutants of a module: copies with one small change, made by the operators of Cosmic Ray.

A change that no test can or should notice is not generated: see `_Behaviour`.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.operators.provider import OperatorProvider

_PARTNERS: Final = {
    "ReplaceBinaryOperator": "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul BitOr_BitAnd BitAnd_BitOr "
    "BitXor_BitAnd RShift_LShift LShift_RShift",
    "ReplaceComparisonOperator": "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot "
    "IsNot_Is",
    "ReplaceUnaryOperator": "USub_UAdd Delete_Not Delete_Invert",
}
"""Each operator is replaced by its opposites only. Cosmic Ray replaces it by every other one, such as `+` by `<<`."""

OPERATORS: Final = (
    *(f"{family}_{pair}" for family, pairs in _PARTNERS.items() for pair in pairs.split()),
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ZeroIterationForLoop",
)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one module.

    before, after: the changed lines without indentation; nth: which of several equal changes of the module, from 0;
    place: the same for all changes of one operator at one position; source: the whole changed module
    """

    module: str
    line: int
    before: str
    after: str
    nth: int
    place: str
    source: str

    @property
    def name(self) -> str:
        """The same as long as the changed lines are, wherever they are in the module."""
        return digest(self.module, self.before, self.after, str(self.nth))


def digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    known = {_behaviour(source)}
    repeats: Counter[tuple[str, str]] = Counter()
    mutants = []
    for line, column, family, changed in sorted(_changes(source)):
        behaviour = _behaviour(changed)
        if behaviour is None or behaviour in known:
            continue
        known.add(behaviour)
        before, after = _changed_lines(source, changed)
        nth = repeats[before, after]
        repeats[before, after] += 1
        place = digest(module, before, family, str(column), str(nth))
        mutants.append(
            Mutant(module=module, line=line, before=before, after=after, nth=nth, place=place, source=changed)
        )
    return mutants


def _changes(source: str) -> Iterator[tuple[int, int, str, str]]:
    """(line, column, operator family, changed source)."""
    provider = OperatorProvider()
    tree = get_ast(source)
    nodes = list(ast_nodes(tree))
    for name in OPERATORS:
        operator = provider[name]()
        for node in nodes:
            try:
                spans = list(operator.mutation_positions(node))
            except (AttributeError, IndexError):  # `except a.B`: the operator expects a plain name
                continue
            for index, ((line, column), _) in enumerate(spans):
                with _restored(node):
                    _change(operator, node, index)
                    yield line, column, name.split("_", maxsplit=1)[0], tree.get_code()


def _change(operator: Any, node: Any, index: int) -> None:
    changed = operator.mutate(node, index)
    if changed is not node:
        place = next(k for k, child in enumerate(node.parent.children) if child is node)
        node.parent.children[place : place + 1] = [] if changed is None else [changed]


@contextlib.contextmanager
def _restored(node: Any) -> Iterator[None]:
    """Undo what an operator does to a node, its parts and its parent."""
    parts = list(ast_nodes(node))
    values = [(part, part.value) for part in parts if hasattr(part, "value")]
    children = [(part, list(part.children)) for part in [node.parent, *parts] if hasattr(part, "children")]
    try:
        yield
    finally:
        for part, value in values:
            part.value = value
        for part, those in children:
            part.children = those


def _changed_lines(old: str, new: str) -> tuple[str, str]:
    """The lines from the first different one to the last, without indentation."""
    ours, theirs = old.splitlines(), new.splitlines()
    while ours and theirs and ours[0] == theirs[0]:
        ours, theirs = ours[1:], theirs[1:]
    while ours and theirs and ours[-1] == theirs[-1]:
        ours, theirs = ours[:-1], theirs[:-1]
    before, after = ("\n".join(line.strip() for line in lines).strip() for lines in (ours, theirs))
    return before, after


def _behaviour(source: str) -> str | None:
    """What a module does, as text: equal for sources that differ only in what is not tested. None: invalid source."""
    try:
        return ast.dump(_Behaviour().visit(ast.parse(source)))
    except SyntaxError:
        return None


class _Behaviour(ast.NodeTransformer):
    """Removes what is no behaviour, or is checked by other means.

    - annotations, which arguments are given by name, the settings of @dataclass and zip(strict=...): mypy and the
      linter check them
    - docstrings, messages of the log and loops of them
    - assertions, which are there for mypy, and blocks for type checkers
    - caches, which change the speed only
    """

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return ast.Assign(targets=[node.target], value=node.value or ast.Constant(None), lineno=0)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *(default for default in node.kw_defaults if default is not None)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        node.decorator_list = [d for d in node.decorator_list if _called(d) not in ("lru_cache", "cache")]
        return self.generic_visit(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if isinstance(call, ast.Constant) or (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "log"
        ):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        return ast.Pass() if all(isinstance(part, ast.Pass) for part in node.body) else node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:  # noqa: ARG002 -- the name and arguments are ast's
        return ast.Pass()

    def visit_If(self, node: ast.If) -> ast.AST:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _called(node) == "dataclass":
            node.keywords = []
        node.keywords = [keyword for keyword in node.keywords if keyword.arg != "strict"]
        return self.generic_visit(node)


def _called(node: ast.expr) -> str:
    """The name of a function that is called, or of a decorator."""
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
