"""Text from outside, as every database can keep it."""

from __future__ import annotations

from typing import Any


def storable(value: Any) -> Any:
    """Return a value of JSON without what no database keeps: NUL, and halves of characters."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(one) for key, one in value.items()}
    return [storable(one) for one in value] if isinstance(value, list) else value
