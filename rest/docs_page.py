"""/docs: the OpenAPI document as a readable page, without scripts and without content from other servers."""

from __future__ import annotations

from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}"
    "code{background:#8882;padding:0 .3em}h2{margin-top:2.5rem;font-size:1.1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8884}"
)


def docs_page(document: dict[str, Any]) -> str:
    """The whole page as HTML."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}: REST interface</title>",
        f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1><p>{escape(info.get('description', ''))}</p>",
        "<p>For programs: <a href=openapi.json>openapi.json</a></p>",
    ]
    for path, methods in document["paths"].items():
        parts += [_operation(document, method, path, operation) for method, operation in methods.items()]
    return "\n".join(parts) + "</html>\n"


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('description', ''))}</p>"]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(document, content["schema"])
        rows = [(name, _summary(_resolved(document, field))) for name, field in schema.get("properties", {}).items()]
        parts.append(_table(("field", f"in {kind}"), rows))
    answers = [(code, answer.get("description", "")) for code, answer in sorted(operation["responses"].items())]
    parts.append(_table(("status", "when"), answers))
    return "".join(parts)


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    name = reference.rsplit("/", 1)[-1]
    found: dict[str, Any] = document.get("components", {}).get("schemas", {}).get(name, schema) if reference else schema
    return found


def _summary(field: dict[str, Any]) -> str:
    said = [str(field.get("description", ""))]
    if "enum" in field:
        said.append(f"One of {', '.join(map(str, field['enum']))}.")
    if "minimum" in field or "maximum" in field:
        said.append(f"From {field.get('minimum', '')} to {field.get('maximum', '')}.")
    if field.get("default") is not None:
        said.append(f"Default: {field['default']}.")
    return " ".join(item for item in said if item)


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = "".join(f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in rows)
    return f"<table><tr><th>{escape(head[0])}<th>{escape(head[1])}{lines}</table>"
