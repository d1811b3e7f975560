"""The few forms that the document is made of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Node = dict[str, Any]
"""A part of the document."""


def ref(kind: str, name: str) -> Node:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> Node:
    """A reference to a schema."""
    return ref("schemas", name)


def record(properties: Node, *, optional: Collection[str] = (), **more: object) -> Node:
    """An object that has all these properties, save perhaps the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, **more}


def listing(item: str, most: int | None = None) -> Node:
    """An array of one schema."""
    return {"type": "array", "items": schema(item), **({"maxItems": most} if most else {})}


def text(low: int, high: int, **more: object) -> Node:
    """A string of so many characters."""
    return {"type": "string", "minLength": low, "maxLength": high, **more}


def pattern(regex: str, **more: object) -> Node:
    """A string of one form."""
    return {"type": "string", "pattern": regex, **more}


def whole(low: int | None = None, high: int | None = None, **more: object) -> Node:
    """An integer within bounds, where there are any."""
    bounds = {"minimum": low, "maximum": high}
    return {
        "type": "integer",
        **{name: bound for name, bound in bounds.items() if bound is not None},
        **more,
    }


def nullable(form: Node) -> Node:
    """This, or null."""
    if "$ref" in form:
        reference, *about = form.items()
        return {"anyOf": [dict([reference]), {"type": "null"}], **dict(about)}
    if isinstance(form["type"], list):
        return form
    return {**form, "type": [form["type"], "null"]}
