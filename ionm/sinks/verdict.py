"""What a case came to, in sentences that are read in half a minute.

The words are taken from the summary alone. They say when something was seen and which note came
before it, not why; what may be said of a vessel is put into words in `ionm.sinks.naming`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

REASONS = {
    "no_baseline": "no baseline",
    "m_control_lost": "M-control below half its baseline",
    "no_stimulus": "no valid sweep",
    "cautery": "cautery",
    "drill": "drill",
    "electrode_off": "electrode off",
    "saturation": "amplifier saturated",
    "relaxant": "muscle relaxant",
    "bolus": "anaesthetic bolus",
    "intensity_low": "stimulus weaker than at baseline",
    "noise": "noise: half the baseline LSR could be missed",
    "foreign_stimulus": "another stimulus falls into the sweep",
    "gap": "samples missing",
}
"""Every reason code of a hold in words."""

UNREMARKED = (
    "case",
    "baseline",
    "tof",
    "mac",
    "temperature",
    "ear-check",
    "told-surgeon",
    "surgeon-replied",
    "text",
)
"""Notes that record a reading or a talk, not an act: a loss is not timed against them."""

LONG_AGO = 300.0
"""A note older than this is not named beside a loss, in s (our choice: the design's 5 min for a bolus)."""


def clock(seconds: float) -> str:
    """Time of the case as m:ss, or h:mm:ss from an hour on.

    Examples
    --------
    >>> clock(100.5), clock(3725)
    ('1:40', '1:02:05')
    """
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"


def in_words(reasons: Sequence[str]) -> str:
    """Reason codes as people say them."""
    return " and ".join(REASONS.get(reason, reason) for reason in reasons)


def briefly(reason: str) -> str:
    """A reason code where there is little room: "M-control lost"."""
    return reason.replace("m_control", "M-control").replace("_", " ")


def note_in_words(event: str, attributes: Mapping[str, str]) -> str:
    """A note with its attributes: "vessel-lifted (AICA)", "tof (count=3)"."""
    said = ", ".join(
        value if key in ("vessel", "drug", "text") else f"{key}={value}" for key, value in attributes.items()
    )
    return f"{event} ({said})" if said else event


def elicited(facts: Mapping[str, Any]) -> bool:
    """Whether one derivation of the summary ever showed an LSR to follow."""
    baseline = facts["baseline"]
    return baseline is not None and (baseline["elicited"] or facts["final_state"] != "NOT_ELICITED")


def overall(summary: Mapping[str, Any]) -> str:
    """The sentence for the whole case: resolved only if the LSR is gone in every elicited branch."""
    courses: Mapping[str, Mapping[str, Any]] = summary["derivations"]
    followed = {name: facts for name, facts in courses.items() if elicited(facts)}
    unknown = [name for name, facts in courses.items() if facts["baseline"] is None]
    if not followed:
        if unknown or not courses:
            return "Cannot be judged: no derivation has a baseline with an LSR."
        return "No LSR was elicited at baseline in any branch: there was nothing to follow."
    judged = {name: facts for name, facts in followed.items() if not facts["held_at_end"]}
    unjudged = [name for name in followed if name not in judged]
    there = [name for name, facts in judged.items() if facts["final_state"] != "ABSENT"]
    stronger = [name for name, facts in judged.items() if _answers_when_stronger(facts)]
    if there:
        text = f"Not resolved: LSR present at the end in {', '.join(there)}; the surgeon decides."
        if unjudged:
            text += f" Cannot be judged at the end: {', '.join(unjudged)}."
    elif unjudged:
        absent = all(facts["final_state"] == "ABSENT" for facts in followed.values())
        which = "no derivation" if len(unjudged) == len(followed) else ", ".join(unjudged)
        could = "could" if len(unjudged) == len(followed) else "could not"
        text = f"Cannot be said: {which} {could} be judged at the end"
        text += "; the LSR was gone in every elicited branch when last judged." if absent else "."
    elif stronger:
        text = f"Gone at the baseline's stimulus, but a stronger one is answered in {', '.join(stronger)}."
    else:
        text = f"Resolved: the LSR is gone in every elicited branch ({_count(len(followed), 'derivation')})."
    if unknown:
        text += f" Never judged, for want of a baseline: {', '.join(unknown)}."
    return f"{text} {_reappearances(courses)}"


def _answers_when_stronger(facts: Mapping[str, Any]) -> bool:
    """Whether the newest stimuli above the baseline's current were answered."""
    return bool(facts.get("present_above_baseline")) and facts.get("confirmed_at_ma") is None


def _reappearances(courses: Mapping[str, Mapping[str, Any]]) -> str:
    back = {
        name: len(facts["reappearances_s"]) for name, facts in courses.items() if facts["reappearances_s"]
    }
    if not back:
        return "No reappearance was seen."
    each = ", ".join(f"{name} {times}" for name, times in back.items())
    return f"Reappeared {_count(sum(back.values()), 'time')} during the case ({each})."


def course(facts: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> str:
    """The sentence for one derivation.

    Parameters
    ----------
    facts
        Its entry in the summary's ``derivations``.
    notes
        The summary's ``notes``.
    """
    baseline = facts["baseline"]
    if baseline is None:
        refused = f" (refused: {facts['baselines_refused'][-1]})" if facts["baselines_refused"] else ""
        return f"no baseline{refused}; cannot be judged."
    if baseline["elicited"]:
        text = f"LSR present at baseline ({baseline['amplitude_uv']:.0f} µV)"
    elif facts["final_state"] == "NOT_ELICITED":
        held = facts["held_at_end"]
        end = f"cannot be judged at the end: {in_words(held)}" if held else "none appeared"
        return f"LSR not elicited at baseline; {end}."
    else:
        text = "LSR not elicited at baseline, a response appeared later"
    turns = [(t, "lost", "lost again") for t in facts["losses_s"]]
    turns += [(t, "back", "back again") for t in facts["reappearances_s"]]
    turns.sort()
    if len(turns) > 4:
        first, last = turns[0], turns[-1]
        losses, returns = (
            _count(len(facts["losses_s"]), "time"),
            _count(len(facts["reappearances_s"]), "time"),
        )
        text += f", lost {losses} (first at {_at(first[0])}{_after(first[0], notes)})"
        text += f" and back {returns}, last {last[1]} at {_at(last[0])}"
    else:
        for k, (t, once, again) in enumerate(turns):
            text += f", {again if k > 1 else once} at {_at(t)}{_after(t, notes)}"
    return f"{text}{_end(facts)}"


def _end(facts: Mapping[str, Any]) -> str:
    if facts["held_at_end"]:
        last = facts["last_valid_s"]
        when = "" if last is None else f"; last judged at {_at(last)}: {_state(facts)}"
        return f"; cannot be judged at the end: {in_words(facts['held_at_end'])}{when}."
    if facts["final_state"] == "ABSENT":
        return f", absent at the end; {_limit(facts)}."
    again = "again" if facts["final_state"] == "REAPPEARED" else "still"
    return f"; LSR {again} present ({_percent(facts)}); the surgeon decides."


def _state(facts: Mapping[str, Any]) -> str:
    if facts["final_state"] == "ABSENT":
        return f"absent; {_limit(facts)}"
    return f"{facts['final_state'].lower().replace('_', ' ')} ({_percent(facts)})"


def _limit(facts: Mapping[str, Any]) -> str:
    limit = facts["detection_limit_percent"]
    if limit is None:
        return "its detection limit is not known in percent of baseline"
    return f"a response above {limit:.0f} % of baseline would have been seen"


def _percent(facts: Mapping[str, Any]) -> str:
    if facts["percent_of_baseline"] is not None:
        return f"{facts['percent_of_baseline']:.0f} % of baseline, {facts['amplitude_uv']:.0f} µV"
    if facts["amplitude_uv"] is not None:
        return f"{facts['amplitude_uv']:.0f} µV"
    return "in fewer than half of the last five sweeps"


def _at(seconds: float) -> str:
    return f"{clock(seconds)} ({seconds:.1f} s)"


def _after(seconds: float, notes: Sequence[Mapping[str, Any]]) -> str:
    """The newest act noted before a moment: ", 1.5 s after note vessel-lifted (AICA)"."""
    before = [n for n in notes if n["t"] <= seconds and n["event"] not in UNREMARKED]
    newest = max(before, key=lambda note: note["t"], default=None)
    if newest is None or seconds - newest["t"] > LONG_AGO:
        return ""
    return (
        f", {seconds - newest['t']:.1f} s after note {note_in_words(newest['event'], newest['attributes'])}"
    )


def titration(strengths: Sequence[float], amplitudes: Sequence[float | None], unit: str) -> str:
    """The sentence for a derivation whose stimulus strength varies from sweep to sweep.

    Parameters
    ----------
    strengths
        Strength of each judged sweep, in ``unit``.
    amplitudes
        Amplitude of each, in V; None without a response.
    unit
        Unit of the strengths.
    """
    hits = [(a, s) for a, s in zip(amplitudes, strengths, strict=True) if a is not None]
    if not hits:
        return f"no response in {_count(len(strengths), 'judged sweep')}."
    largest, at = max(hits)
    where = sorted(s for _, s in hits)
    spread = f"{where[0]:.3g}" if where[0] == where[-1] else f"{where[0]:.3g} to {where[-1]:.3g}"
    text = f"a response in {len(hits)} of {_count(len(strengths), 'judged sweep')}, at {spread}"
    return f"{text} {unit}".rstrip() + f"; largest {largest * 1e6:.0f} µV at {at:.3g} {unit}".rstrip() + "."


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
