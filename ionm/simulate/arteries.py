"""Arteries at the root of the facial nerve, and the probe that stimulates their walls.

An artery that presses on the nerve conducts the stimulus to it, and facial muscles answer: the Z-L
response (Zheng 2012). One that does not touch the nerve answers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ionm.simulate.facial_nerve import LateralSpread, Recruitment


def usual_zlr() -> dict[str, LateralSpread]:
    """What muscles answer: onset 6 to 8 ms, a current of 0.2 to 2 mA (facial.md 2.2, of low confidence).

    Its form is taken for that of an LSR without after-discharges; nothing is published of it.
    """
    recruitment = Recruitment(half=0.4, slope=0.02)
    return {
        "OrbOculi": LateralSpread(6.9e-3, 180e-6, after_discharge=0.0, form=11, recruitment=recruitment),
        "OrbOris": LateralSpread(7.3e-3, 140e-6, after_discharge=0.0, form=12, recruitment=recruitment),
        "Mentalis": LateralSpread(7.6e-3, 220e-6, after_discharge=0.0, form=13, recruitment=recruitment),
    }


@dataclass(frozen=True, slots=True)
class Artery:
    """An artery near the nerve.

    Parameters
    ----------
    name
        "AICA" ...
    answers
        What each muscle answers while it conducts.
    until
        When it ceases to conduct, in s: it is off the nerve, and nothing else of it touches the nerve.
    """

    name: str
    answers: Mapping[str, LateralSpread] = field(default_factory=usual_zlr)
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Probe:
    """A run of stimuli on one place of an artery's wall, with one current.

    Parameters
    ----------
    begin
        Of the first stimulus, in s.
    target
        The artery.
    ma
        Current, in mA.
    count
        Number of stimuli.
    rate
        In Hz; 1 to 2 Hz are usual (general knowledge), 1.7 does not divide the mains.
    place
        Where on the artery; None if nobody marks it.
    """

    begin: float
    target: str
    ma: float
    count: int = 5
    rate: float = 1.7
    place: str | None = None

    @property
    def marks(self) -> dict[str, str]:
        """What the marks say beside the current."""
        return {"target": self.target, **({"site": self.place} if self.place else {})}


def probe_series(
    begin: float, target: str, currents: tuple[float, ...], *, count: int = 5, place: str | None = None
) -> tuple[Probe, ...]:
    """One run after another with rising currents, a pause of a second between them."""
    runs, at = [], begin
    for ma in currents:
        run = Probe(at, target, ma, count, place=place)
        runs.append(run)
        at += count / run.rate + 1.0
    return tuple(runs)
