"""The naming of a vessel in words: what is named, on what evidence, or why nothing is.

The words are taken from the keys of an attribution alone (`ionm.events.Attribution`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ionm.sinks.verdict import REASONS

WHY = {
    "before_decompression": "it went before any decompression was noted",
    "no_manoeuvre": "no act on a vessel was noted near it",
    "gradual": "it faded, without a step",
    "reappeared": "the LSR is back",
    "returned": "the LSR has grown back",
    "m_control": "the M-control fell too",
    "intensity_change": "the stimulus was changed",
    "bolus": "an anaesthetic bolus was given",
    "relaxant": "a muscle relaxant was given",
    "tof": "the train-of-four had changed",
    "mac": "the volatile agent was changed",
    "opening": "an opening act lies nearer than the act on a vessel",
}
"""Every reason of a role without a name, beside those of a hold."""


def sentence(attribution: Mapping[str, Any]) -> str:
    """What one attribution says.

    Parameters
    ----------
    attribution
        Its keys: ``vessel``, ``manoeuvre``, ``role``, ``score``, ``evidence``.
    """
    evidence = attribution["evidence"]
    reason = evidence["reason"]
    if reason == "two_vessels":
        acts = evidence["steps"][-1]["acts"]
        vessels = dict.fromkeys(act["vessel"] for act in acts if act["vessel"] is not None)
        return f"Vessel inconclusive: acts on {' and '.join(vessels)} lie near the change."
    if reason is not None:
        kind = "inconclusive" if attribution["role"] == "inconclusive" else "not attributable"
        why = WHY.get(reason) or f"it lies in or near a hold ({REASONS.get(reason, reason)})"
        return f"Vessel {kind}: {why}."
    parts = [
        f"{_level(step['before_percent'])} to {_level(step['after_percent'])} % with {_act(step)}"
        for step in evidence["steps"]
    ]
    text = f"{attribution['vessel'] or 'A manoeuvre'}, {attribution['role']}: {', then '.join(parts)}"
    text += f"; {_noted(evidence['lag_s'])}, {_control(evidence)}"
    if evidence["reversed"]:
        text += ", reversed when it was let go"
    if not evidence["sustained"]:
        text += ", not yet seen to last 60 s"
    return f"{text}; score {attribution['score']:.2f}, unattributable {evidence['unattributable']:.2f}."


def _level(percent: float | None) -> str:
    return "0" if percent is None else f"{percent:.0f}"


def _act(step: Mapping[str, Any]) -> str:
    if step["manoeuvre"] is None:
        return "nothing that can be named"
    return f"{step['manoeuvre']} ({step['vessel']})" if step["vessel"] else str(step["manoeuvre"])


def _noted(lag: float | None) -> str:
    if not lag:
        return "noted at the change"
    return f"noted {abs(lag):.0f} s {'before' if lag > 0 else 'after'} it"


def _control(evidence: Mapping[str, Any]) -> str:
    before, after = evidence["m_before_percent"], evidence["m_after_percent"]
    if before is None or after is None:
        return "no M-control"
    return f"M-control {before:.0f} to {after:.0f} %"
