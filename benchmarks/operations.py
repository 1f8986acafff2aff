"""Operations drawn at random: what the surgeon does, what the LSR does, and what gets written down.

Times are in s. Each kind plots an `Operation` with its truth: the vessels whose decompression took the LSR of
a derivation away, and whether the rules permit to name them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

VESSELS = ("AICA", "PICA", "VA", "vein", "SCA")
BASELINE = 70.0  # s: 20 sweeps at the slowest rate, and some
LAGS = (-10.0, 25.0)  # s: how much later than the act its note lies


@dataclass
class Written:
    """A note as it reaches the session: ``sample`` and ``accepted`` as times in s."""

    at: float
    accepted: float
    event: str
    attributes: dict[str, str]


@dataclass
class Operation:
    """One operation.

    ``truth``: by derivation index, None where no vessel took it. ``gains``: (time, derivation index, None for
    all, gain of the LSR, ramp). ``controls``: (time, share of the muscle that answers, ramp). ``faults``:
    (begin, end, reason), "missed" for stimuli that do not arrive, "pause" for none. ``currents``: (time, mA).
    """

    kind: str
    seconds: float
    truth: dict[int, frozenset[str] | None] = field(default_factory=dict)
    attributable: bool = False
    acts: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    notes: list[Written] = field(default_factory=list)
    gains: list[tuple[float, int | None, float, float]] = field(default_factory=list)
    controls: list[tuple[float, float, float]] = field(default_factory=list)
    faults: list[tuple[float, float, str]] = field(default_factory=list)
    currents: list[tuple[float, float]] = field(default_factory=list)


class Plot:
    """Draws one operation."""

    def __init__(self, kind: str, rng: np.random.Generator, derivations: int) -> None:
        self.rng = rng
        self.n = derivations
        self.op = Operation(kind, 0.0)
        self.now = BASELINE

    def wait(self, least: float, most: float) -> float:
        """Let time pass; the time it then is."""
        self.now += self.rng.uniform(least, most)
        return self.now

    def do(self, event: str, vessel: str | None = None, **attributes: str) -> float:
        """An act, now; it will be written down."""
        named = {"vessel": vessel} if vessel else {}
        self.op.acts.append((self.now, event, {**named, **attributes}))
        return self.now

    def opening(self) -> None:
        for event in ("dura-open", "csf-drained", "arachnoid-open"):
            self.wait(5, 40)
            self.do(event)
        self.wait(70, 140)

    def lose(
        self, vessels: frozenset[str] | None, *, gain: float = 0.0, late: float = 6.0, spared: bool = True
    ) -> None:
        """The LSR goes within ``late`` s, at once or over some seconds; now and then one derivation stays."""
        ramp = float(self.rng.choice([0.0, 0.0, 0.0, self.rng.uniform(0, 8)]))
        begin = self.now + self.rng.uniform(0, late)
        for d in range(self.n):
            if spared and d and self.rng.random() < 0.15:
                continue
            self.op.gains.append((begin + self.rng.uniform(0, 1.5), d, gain, ramp))
            self.op.truth[d] = vessels
        self.now += late + ramp + 1.5

    def vessel(self, *others: str) -> str:
        return str(self.rng.choice([v for v in VESSELS if v not in others]))

    def finish(self) -> Operation:
        """Write the acts down as a busy person does."""
        for at, event, attributes in self.op.acts:
            if attributes.pop("lost", None):
                continue
            lag = float(self.rng.uniform(*LAGS))
            sample = accepted = at + lag
            if self.rng.random() < 0.15:  # entered late, and set back to the time of the act
                sample = at + float(self.rng.uniform(-3, 3))
                accepted = sample + float(self.rng.uniform(3, 90))
            self.op.notes.append(Written(sample, accepted, event, attributes))
        self.op.notes.append(Written(BASELINE, BASELINE, "baseline", {"modality": "lsr"}))
        self.op.notes.sort(key=lambda n: n.accepted)
        self.op.seconds = self.now + 100.0
        return self.op


def _persisted(p: Plot, vessel: str) -> None:
    """Another vessel first, without effect."""
    p.do("vessel-lifted", vessel)
    p.wait(10, 40)
    p.do("teflon-in", vessel)
    p.wait(105, 200)


def _teflon(p: Plot, vessel: str) -> None:
    p.wait(15, 60)
    p.do("teflon-in", vessel)
    p.wait(20, 120)


def one_vessel(p: Plot) -> None:
    """Lifted, and gone."""
    vessel = p.vessel()
    p.opening()
    if p.rng.random() < 0.3:
        _persisted(p, p.vessel(vessel))
    p.do("vessel-lifted" if p.rng.random() < 0.7 else "teflon-in", vessel)
    p.lose(frozenset({vessel}))
    _teflon(p, vessel)
    p.op.attributable = True


def tandem(p: Plot) -> None:
    """VA and AICA moved together."""
    p.opening()
    vessel = str(p.rng.choice(["VA+AICA", "VA+PICA"]))
    p.do("vessel-lifted", vessel)
    p.lose(frozenset(vessel.split("+")))
    _teflon(p, vessel)
    p.op.attributable = True


def additive(p: Plot) -> None:
    """Part with the first vessel, the rest with the second."""
    first = p.vessel()
    second = p.vessel(first)
    p.opening()
    p.do("vessel-lifted", first)
    p.lose(frozenset({first}), gain=float(p.rng.uniform(0.35, 0.65)), spared=False)
    if p.rng.random() < 0.6:
        p.wait(5, 30)
        p.do("teflon-in", first)
    p.wait(110, 240)
    p.do("vessel-lifted", second)
    p.lose(frozenset({first, second}), spared=False)
    _teflon(p, second)
    p.op.attributable = True


def two_close(p: Plot) -> None:
    """Two vessels within a minute: the rules forbid to choose."""
    first = p.vessel()
    second = p.vessel(first)
    p.opening()
    p.do("vessel-lifted", first)
    p.wait(5, 30)
    p.do("vessel-lifted", second)
    p.lose(frozenset({second}))
    _teflon(p, second)


def early(p: Plot) -> None:
    """Gone while dura, fluid or arachnoid are opened."""
    vessel = p.vessel()
    at = int(p.rng.integers(3))
    for number, event in enumerate(("dura-open", "csf-drained", "arachnoid-open")):
        p.wait(5, 40)
        p.do(event)
        if number == at:
            p.lose(None, late=20.0)
    p.wait(60, 140)
    p.do("vessel-lifted", vessel)
    _teflon(p, vessel)


def early_part(p: Plot) -> None:
    """Most of it goes early, the rest when a vessel is lifted."""
    vessel = p.vessel()
    p.wait(5, 40)
    p.do("csf-drained")
    p.lose(None, gain=float(p.rng.uniform(0.1, 0.3)), late=15.0, spared=False)
    p.wait(70, 140)
    p.do("vessel-lifted", vessel)
    p.lose(None, spared=False)
    _teflon(p, vessel)


def delayed(p: Plot) -> None:
    """Gone minutes after the last act, with nothing done."""
    vessel = p.vessel()
    p.opening()
    p.do("vessel-lifted", vessel)
    p.wait(15, 40)
    p.do("teflon-in", vessel)
    p.wait(88, 300)  # the latest note of that act then lies a minute back
    p.lose(None)
    p.wait(60, 100)


def missing_note(p: Plot) -> None:
    """The act that did it is not written down; others may be."""
    vessel = p.vessel()
    p.opening()
    if p.rng.random() < 0.5:
        _persisted(p, p.vessel(vessel))
    p.op.acts.append((p.now, "vessel-lifted", {"vessel": vessel, "lost": "x"}))
    p.lose(frozenset({vessel}))
    if p.rng.random() < 0.5:
        p.wait(0, 60)
        p.do("teflon-in", vessel)
        p.wait(10, 60)
    elif p.rng.random() < 0.3:
        p.wait(35, 90)  # the next vessel
        p.do("vessel-lifted", p.vessel(vessel))
        p.wait(30, 60)
    p.op.attributable = True  # where another note of that vessel lies near enough


def wrong_order(p: Plot) -> None:
    """Notes of the same vessel in the wrong order, and an act without its vessel."""
    vessel = p.vessel()
    p.opening()
    p.wait(5, 20)
    p.op.acts.append((p.now + p.rng.uniform(5, 20), "vessel-lifted", {"vessel": vessel}))
    p.do("teflon-in", vessel if p.rng.random() < 0.5 else None)
    p.lose(frozenset({vessel}))
    p.wait(30, 90)
    p.op.attributable = True


def relaxant(p: Plot) -> None:
    """A relaxant takes M-wave and LSR; a vessel is lifted meanwhile."""
    vessel = p.vessel()
    p.opening()
    p.do("relaxant", drug="rocuronium")
    if p.rng.random() < 0.3:
        p.op.acts[-1][2]["lost"] = "x"
    left = float(p.rng.uniform(0.02, 0.6))
    p.op.controls.append((p.now, left, float(p.rng.uniform(20, 90))))
    p.wait(5, 120)
    p.do("vessel-lifted", vessel)
    if p.rng.random() < 0.5:
        for d in range(p.n):  # what was left was too little for the LSR
            p.op.gains.append((p.now + p.rng.uniform(0, 30), d, 0.0, 20.0))
            p.op.truth[d] = None
    _teflon(p, vessel)


def mac(p: Plot) -> None:
    """A volatile agent lowers the LSR while vessels are lifted in vain."""
    vessel = p.vessel()
    p.opening()
    p.do("mac", value="0.8")
    ramp = float(p.rng.uniform(60, 300))
    p.op.gains.append((p.now, None, float(p.rng.choice([0.0, 0.2, 0.4])), ramp))
    p.op.truth = dict.fromkeys(range(p.n))
    p.wait(20, 200)
    p.do("vessel-lifted", vessel)
    _teflon(p, vessel)
    p.wait(ramp, ramp + 30)


def bolus(p: Plot) -> None:
    """A bolus takes the LSR for some minutes; a vessel is lifted meanwhile."""
    vessel = p.vessel()
    p.opening()
    p.do("bolus", drug="propofol")
    p.op.gains.append((p.now + p.rng.uniform(10, 60), None, 0.0, 20.0))
    p.op.truth = dict.fromkeys(range(p.n))
    p.wait(10, 90)
    p.do("vessel-lifted", vessel)
    p.wait(100, 200)
    if p.rng.random() < 0.5:
        p.op.gains.append((p.now, None, 1.0, 60.0))
        p.wait(60, 90)


def intensity(p: Plot) -> None:
    """The current is changed; the LSR goes at the lower one, or while nobody can see it."""
    vessel = p.vessel()
    p.opening()
    p.op.currents.append((p.now, float(p.rng.choice([6.0, 8.0, 12.0, 14.0]))))
    p.wait(3, 40)
    p.do("vessel-lifted", vessel)
    if p.rng.random() < 0.6:
        p.lose(frozenset({vessel}))
    p.wait(5, 40)
    p.op.currents.append((p.now, 10.0))
    p.wait(60, 120)


def fault(p: Plot) -> None:
    """Stimuli are missed, stop, or cannot be judged around the act that may take the LSR."""
    vessel = p.vessel()
    p.opening()
    begin, kind = (
        p.now,
        str(p.rng.choice(["missed", "pause", "cautery", "foreign_stimulus", "electrode_off"])),
    )
    p.wait(12, 30)
    p.do("vessel-lifted", vessel)
    if p.rng.random() < 0.6:
        p.lose(frozenset({vessel}))
    p.wait(2, 20)
    p.op.faults.append((begin, p.now, kind))
    p.wait(60, 120)


def reversal(p: Plot) -> None:
    """Gone, back when the vessel is let go, gone again with the Teflon."""
    vessel = p.vessel()
    p.opening()
    p.do("vessel-lifted", vessel)
    p.lose(frozenset({vessel}), spared=False)
    p.wait(40, 120)
    p.do("vessel-released", vessel)
    p.op.gains.append((p.now + p.rng.uniform(0, 4), None, float(p.rng.uniform(0.6, 1.0)), 3.0))
    p.wait(105, 200)
    p.do("teflon-in", vessel)
    p.lose(frozenset({vessel}), spared=False)
    p.wait(65, 120)
    p.op.attributable = True


def returned(p: Plot) -> None:
    """Gone, and back for good."""
    vessel = p.vessel()
    p.opening()
    p.do("vessel-lifted", vessel)
    p.lose(frozenset({vessel}))
    p.wait(10, 120)
    p.op.gains.append((p.now, None, float(p.rng.uniform(0.6, 1.0)), 3.0))
    p.op.truth = dict.fromkeys(range(p.n))
    p.wait(60, 120)


def persisting(p: Plot) -> None:
    """Whatever is done, it stays; at some time or other it gets smaller by itself."""
    p.opening()
    begin = p.now
    _persisted(p, p.vessel())
    _persisted(p, p.vessel())
    fade = float(p.rng.uniform(begin - 60.0, p.now))
    p.op.gains.append((fade, None, float(p.rng.uniform(0.5, 1.0)), float(p.rng.uniform(20, 200))))
    p.op.truth = dict.fromkeys(range(p.n))


def on_the_way(p: Plot) -> None:
    """A busy approach: retractor, irrigation and further dissection around the act that does it."""
    vessel = p.vessel()
    p.opening()
    p.do("retractor-on")
    p.wait(2, 20)
    p.do("irrigation")
    p.wait(2, 20)
    p.do("vessel-lifted", vessel)
    p.lose(frozenset({vessel}))
    p.wait(2, 20)
    p.do("irrigation")
    _teflon(p, vessel)
    p.op.attributable = True


KINDS: tuple[Callable[[Plot], None], ...] = (
    one_vessel, tandem, additive, two_close, early, early_part, delayed, missing_note, wrong_order, relaxant,
    mac, bolus, intensity, fault, reversal, returned, persisting, on_the_way,
)  # fmt: skip


def draw(number: int, seed: int, derivations: int) -> Operation:
    """Operation ``number`` of a seed: the kinds in turn."""
    kind = KINDS[number % len(KINDS)]
    plot = Plot(kind.__name__, np.random.default_rng([seed, number]), derivations)
    kind(plot)
    return plot.finish()
