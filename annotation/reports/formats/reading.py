"""The JSON document -> the report: the inverse of `document.as_document`, by the types of the frozen values."""

import types
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints


def from_document(kind: Any, value: Any) -> Any:
    """A value of the type `kind` from what JSON made of it.

    Dataclasses by their fields, tuples of one type or of several, times, and values that may be None.
    """
    if value is None or kind is Any:
        return value
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]  # a class, not an instance
        return kind(**{name: from_document(hint, value[name]) for name, hint in hints.items()})  # type: ignore[operator]
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return from_document(next(part for part in parts if part is not types.NoneType), value)
    if origin is tuple:
        inner = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(from_document(part, item) for part, item in zip(inner, value, strict=True))
    return datetime.fromisoformat(value) if kind is datetime else value


@lru_cache(maxsize=256)
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
