"""Triggered EMG: what the nerve under the probe still conducts, and what the published cuts say of it.

Each function gives the class of one published cut, not a prognosis of our own; all come from vestibular
schwannoma surgery and none is an alarm.

References
----------
Taha JM et al. J Neurosurg 1995;83:994 (20 patients). Mandpe AH et al. 1998 (44). Selesnick SH et al.
Laryngoscope 1996;106:633 (49). Percent of maximum: Laryngoscope 2013, doi 10.1002/lary.24083 (78).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """What one published cut says.

    Parameters
    ----------
    source
        Who published it.
    value
        What was measured: a ratio, V or A.
    verdict
        "good", "moderate" or "poor".
    text
        What that meant in the source.
    """

    source: str
    value: float
    verdict: str
    text: str


def proximal_to_distal(proximal: float, distal: float) -> Cut:
    """The amplitude from the brainstem over that from the meatus (Taha 1995).

    Parameters
    ----------
    proximal, distal
        Peak to peak, in V.
    """
    if not distal > 0:
        raise ValueError(f"need a distal response > 0 V, got {distal:g} V")
    ratio = proximal / distal
    if ratio > 2 / 3:
        return Cut("Taha 1995", ratio, "good", "House-Brackmann III or better early, I in the end")
    if ratio >= 1 / 3:
        return Cut("Taha 1995", ratio, "moderate", "III or worse early in 90 %, III or better in the end")
    return Cut("Taha 1995", ratio, "poor", "IV or worse, early and in the end")


def proximal_amplitude(amplitude: float) -> Cut:
    """The absolute amplitude from the brainstem, in V (Mandpe 1998)."""
    if amplitude >= 200e-6:
        return Cut("Mandpe 1998", amplitude, "good", "House-Brackmann I or II in 89 %")
    return Cut("Mandpe 1998", amplitude, "poor", "House-Brackmann I or II in 41 %")


def proximal_threshold(threshold: float) -> Cut:
    """The threshold at the brainstem, in A (Selesnick 1996); it alone misled in 26 % (Mandpe 1998).

    The source gives 0.1, 0.2 and 0.3 mA or more; what lies between belongs to the next higher step.
    """
    if threshold <= 0.1e-3 * STEP:
        return Cut("Selesnick 1996", threshold, "good", "good function in 75 %, after a year in 90 %")
    if threshold <= 0.2e-3 * STEP:
        return Cut("Selesnick 1996", threshold, "moderate", "good function in 42 %, after a year in 58 %")
    return Cut("Selesnick 1996", threshold, "poor", "good function in 18 %, after a year in 41 %")


STEP = 1.0 + 1e-9
"""A current in A is a decimal fraction: its last bit decides nothing."""


def percent_of_maximum(amplitude: float, maximum: float) -> Cut:
    """The proximal amplitude over the largest one from a distal stimulus, both in V; best at 0.3 mA."""
    if not maximum > 0:
        raise ValueError(f"need a maximum > 0 V, got {maximum:g} V")
    share = amplitude / maximum
    if share >= 0.5:
        return Cut("Laryngoscope 2013", share, "good", "House-Brackmann I or II in 90 %")
    return Cut("Laryngoscope 2013", share, "poor", "no promise: the cut predicts good function only")
