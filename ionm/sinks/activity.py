"""Free-run EMG in words: single findings, and what a case's activity came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ionm.detectors.traintime import CLUSTER
from ionm.events import Finding

PATTERNS = {
    "spike": "spike",
    "burst": "burst",
    "a_train": "A-train",
    "b_train": "B-train",
    "c_train": "C-train",
    "tonic": "tonic firing",
    "spasm": "spasm",
    "artefact": "artefact",
}
"""Every pattern as people say it."""

NO_RISK = (
    "Traintime is shown without a risk: the data that tie it to palsy come from schwannoma surgery "
    "(Prell 2007), and even there others found no tie (Hendriks 2020)."
)
"""What must stand beside traintime in other operations."""

RISK = (
    "The place on the curve (a quarter at 0.5 s, three quarters at 10 s, after Prell 2007 and 2014) is no "
    "probability of a palsy; Hendriks 2020 found no tie between A-trains and palsy."
)
"""What must stand beside a place on the curve of the risk."""


def told(finding: Finding, fs: float) -> str:
    """One finding, as it begins or when it is over."""
    name = PATTERNS[finding.pattern]
    if finding.elements is not None:
        name += f" of {finding.elements}"
    text = f"{name} goes on" if finding.active else name
    if finding.offset is not None:
        if finding.offset <= finding.onset:
            return f"{name} withdrawn: it was an artefact"
        text += f", {_length((finding.offset - finding.onset) / fs)}"
    if finding.frequency is not None:
        text += f", {finding.frequency:.0f} Hz"
    text += f", peak {finding.peak * 1e6:.0f} µV"
    if finding.traintime is not None and not finding.active:
        text += f"; traintime {finding.traintime:.2f} s"
    return text


def lines(tally: Mapping[str, Any] | None) -> list[str]:
    """What the case's activity came to; empty where it was not followed."""
    if tally is None:
        return []
    said = [f"Free-run EMG: {counts(tally['findings'])}. {traintime(tally)}"]
    if tally["traintime_s"] > 0:
        said.append(caveat(tally))
    return said


def traintime(tally: Mapping[str, Any]) -> str:
    """The sentence on traintime, with what it lacks."""
    each = [
        f"{name} {facts['traintime_s']:.2f} s"
        for name, facts in tally["muscles"].items()
        if facts["traintime_s"] > 0
    ]
    text = f"Traintime {tally['traintime_s']:.2f} s" + (f" ({', '.join(each)})" if each else "")
    if tally["traintime_risk"] is not None:
        text += f", {100 * tally['traintime_risk']:.0f} % of the way up the curve of the risk"
    apart = 0.0
    for facts in tally["muscles"].values():
        apart += facts["traintime_clustered_s"]
    if apart > 0:
        text += f"; apart from it {apart:.2f} s on most muscles within {CLUSTER:g} s (Rampp 2019)"
    shares = [facts["blind_share"] for facts in tally["muscles"].values()]
    known = [share for share in shares if share is not None]
    if known:
        text += f"; {span(min(known), max(known))} of the time could not be seen"
    return f"{text}."


def caveat(tally: Mapping[str, Any]) -> str:
    """What must stand beside the traintime."""
    return NO_RISK if tally["traintime_risk"] is None else RISK


def counts(findings: Mapping[str, int]) -> str:
    """How often each pattern was found: "2 A-trains, 5 bursts"."""
    said = []
    for pattern, name in PATTERNS.items():
        n = findings.get(pattern, 0)
        if n:
            plural = "stretches of tonic firing" if pattern == "tonic" else f"{name}s"
            one = "stretch of tonic firing" if pattern == "tonic" else name
            said.append(f"{n} {one if n == 1 else plural}")
    return ", ".join(said) or "nothing was found"


def span(low: float, high: float) -> str:
    """Two shares as percent, one if they look the same."""
    texts = [f"{100 * share:.0f}" for share in (low, high)]
    return f"{texts[0]} %" if texts[0] == texts[1] else f"{texts[0]} to {texts[1]} %"


def _length(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
