"""The grammar of marks in a recording: ``stim/<site>[/key=value]...`` and ``note/<event>[/key=value]...``.

Slash style is MNE's own, so any EDF+, BDF+, FIF or BrainVision file can carry the marks.
``note/text/...`` keeps everything behind it as free text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SITES = (
    "zygomatic",
    "temporal",
    "buccal",
    "mandibular",
    "trunk",
    "supraorbital",
    "click",
    "tes",
    "probe",
    "tof",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A parsed mark.

    Parameters
    ----------
    kind
        "stim" or "note".
    name
        The site or the event.
    attributes
        The ``key=value`` parts, as text; for ``note/text/...`` the single key "text".
    """

    kind: str
    name: str
    attributes: Mapping[str, str]


def parse(text: str) -> Mark | None:
    """Read one annotation text.

    Returns None for a text that is not a mark of this grammar: another device's mark, or a
    ``stim`` or ``note`` without a name. A part without "=" becomes an attribute whose value is
    empty, so nothing a person wrote is dropped.
    """
    kind, _, rest = text.strip().partition("/")
    name, _, tail = rest.partition("/")
    if kind not in ("stim", "note") or not name:
        return None
    if kind == "note" and name == "text":
        return Mark(kind, name, {"text": tail})
    attributes = {}
    for part in filter(None, tail.split("/")):
        key, _, value = part.partition("=")
        attributes[key] = value
    return Mark(kind, name, attributes)


def format_mark(kind: str, name: str, attributes: Mapping[str, object] | None = None) -> str:
    """Write one annotation text, the inverse of `parse`.

    Raises
    ------
    ValueError
        If it would not read back: a name that is empty or holds a "/", a key or value that holds
        a "/", a key that holds a "=".
    """
    if not name or "/" in name:
        raise ValueError(f'a mark needs a name without "/", got {name!r}')
    if kind == "note" and name == "text":
        return f"note/text/{(attributes or {}).get('text', '')}"
    parts = [kind, name]
    for key, value in (attributes or {}).items():
        part = f"{key}={value}"
        if "/" in part:
            raise ValueError(f'a mark cannot hold "/" in a key or value, got {part!r}')
        if "=" in key:
            raise ValueError(f'a mark cannot hold "=" in a key, got {key!r}')
        parts.append(part)
    return "/".join(parts)
