"""The map of stimulated arteries as a table of plain values, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ionm.detectors.zlr import Answer, Current
from ionm.zlr_map import Record

CAVEAT = (
    "A ZLR tags a vessel that conducts to the nerve; it is no criterion of adequacy: with the LSR abolished "
    "in 19 of 19, the ZLR was gone in 13 only (Son 2018)."
)
"""What must stand beside every map."""


def entry(record: Record) -> dict[str, Any]:
    """One record of the map.

    Returns
    -------
    dict
        ``target site decompressed threshold_ma responses sweeps latency_ms earliest_ms latest_ms
        muscles largest_ma judged currents``: responses, sweeps and latency are those at the threshold, of
        the muscle that answers most often; ``muscles`` answer some current; ``judged`` sweeps of a
        muscle could be judged; ``currents`` hold ``ma`` and what each muscle showed.
    """
    lowest = record.threshold
    best = lowest.best if lowest is not None else None
    tried = [current.ma for current in record.currents if current.ma is not None]
    answering = [muscle for current in record.currents for muscle in current.muscles]
    return {
        "target": record.target,
        "site": record.place,
        "decompressed": record.after,
        "threshold_ma": None if lowest is None else lowest.ma,
        **_answer(best),
        "muscles": list(dict.fromkeys(answering)),
        "largest_ma": max(tried, default=None),
        "judged": sum(max((a.sweeps for a in c.answers), default=0) for c in record.currents),
        "currents": [_current(current) for current in record.currents],
    }


def _current(current: Current) -> dict[str, Any]:
    found = {
        a.muscle: {"present": a.present, **_answer(a), "amplitude_uv": _micro(a)} for a in current.answers
    }
    return {"ma": current.ma, "muscles": found}


def _answer(answer: Answer | None) -> dict[str, Any]:
    if answer is None:
        return dict.fromkeys(("responses", "sweeps", "latency_ms", "earliest_ms", "latest_ms"))
    return {
        "responses": answer.responses,
        "sweeps": answer.sweeps,
        "latency_ms": _milli(answer.latency),
        "earliest_ms": _milli(answer.earliest),
        "latest_ms": _milli(answer.latest),
    }


def _micro(answer: Answer) -> float | None:
    return None if answer.amplitude is None else answer.amplitude * 1e6


def _milli(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def title(record: Mapping[str, Any]) -> str:
    """Which artery, where on it, and whether it was still on the nerve: one entry's name."""
    place = f" ({record['site']})" if record["site"] else ""
    return f"{record['target']}{place}, {'after' if record['decompressed'] else 'before'} decompression"


def sentence(record: Mapping[str, Any]) -> str:
    """What one entry says."""
    if record["muscles"]:
        at = "" if record["threshold_ma"] is None else f" from {record['threshold_ma']:g} mA"
        text = f"ZLR{at} ({record['responses']} of {record['sweeps']})"
        if record["latency_ms"] is not None:
            text += f", onset {record['latency_ms']:.1f} ms"
            text += f" ({record['earliest_ms']:.1f} to {record['latest_ms']:.1f})"
        return f"{text}, in {', '.join(record['muscles'])}."
    if not record["judged"]:
        return "cannot be judged: no valid sweep."
    upto = "" if record["largest_ma"] is None else f" up to {record['largest_ma']:g} mA"
    return f"no ZLR{upto} ({record['judged']} sweeps)."


def lines(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The whole map, with its caveat; empty without one."""
    said = [f"{title(record)}: {sentence(record)}" for record in records]
    return [*said, CAVEAT] if said else []
