"""The blink reflex R1 under anaesthesia: single stimuli, trains, double trains; and when not to stimulate.

R1 comes at 11.6 +- 5.0 ms (Ying 2021) in orbicularis oculi. Awake one stimulus is enough; under anaesthesia a
train of 4 to 7 (recordable in 23 of 27, Deletis 2009) or two trains 40 to 60 ms apart (80 % and 87.5 %,
Aydinlar 2022). On the side of a hemifacial spasm a single one is enough and a synkinetic R1 appears in
mentalis, the hallmark of the disease (Møller 1991).

The latency counts from the last pulse: that one evokes what the earlier ones facilitate.

References
----------
Deletis V et al. 2009. doi 10.1002/mus.21257. Aydinlar EI et al. 2022. doi 10.1097/WNP.0000000000000777.
Ying T et al. 2021. doi 10.1080/01616412.2021.1900705. Møller AR 1991. doi 10.1016/0022-510x(91)90025-3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ionm.errors import SetupError
from ionm.events import Measurement
from ionm.stream import Trigger


@dataclass(frozen=True, slots=True)
class Pulses:
    """When the pulses of one stimulus fall, in s after the first.

    Parameters
    ----------
    count
        Pulses in a train; 1 for a single stimulus.
    interval
        Between them, in s: 2.5 ms in Aydinlar 2022.
    second_train
        Begin of a second train after the first one's begin, in s; None for one train.
    """

    count: int = 1
    interval: float = 2.5e-3
    second_train: float | None = None

    def __post_init__(self) -> None:
        if not (self.count >= 1 and self.interval > 0):
            raise ValueError(f"need count >= 1 and interval > 0 s, got {self.count} and {self.interval:g} s")
        if self.second_train is not None and not self.second_train > self.length:
            raise ValueError(
                f"need a second train later than {self.length:g} s, got second_train={self.second_train:g} s"
            )

    @property
    def length(self) -> float:
        """From the first to the last pulse of one train, in s."""
        return (self.count - 1) * self.interval

    @property
    def last(self) -> float:
        """The pulse from which the latency of R1 counts, in s after the first."""
        return self.length + (self.second_train or 0.0)

    @property
    def kind(self) -> str:
        """What the stimulus is: "single", "train" or "double_train"."""
        if self.second_train is not None:
            return "double_train"
        return "train" if self.count > 1 else "single"


WINDOW = (8e-3, 20e-3)
"""Where R1 may begin after the last pulse, in s: 11.6 ms on average, and R2 comes beyond 25 ms (known)."""


@dataclass(frozen=True, slots=True)
class BlinkReflex:
    """What one stimulus shows.

    Parameters
    ----------
    r1
        Whether there is an R1 in orbicularis oculi; None when it cannot be judged.
    latency
        Its onset after the last pulse, in s.
    synkinesis
        The muscles of other branches that take part.
    """

    r1: bool | None
    latency: float | None = None
    synkinesis: tuple[str, ...] = ()


def blink_reflex(measured: Mapping[str, Measurement], pulses: Pulses) -> BlinkReflex:
    """Read the sweeps of one stimulus.

    Parameters
    ----------
    measured
        By muscle (without its side); the latencies after the *first* pulse.
    pulses
        Of the stimulus.

    Raises
    ------
    SetupError
        If orbicularis oculi was not recorded.
    """
    if "OrbOculi" not in measured:
        raise SetupError(f"the blink reflex needs OrbOculi, got {', '.join(measured) or 'nothing'}")
    late = {name: _r1(m, pulses) for name, m in measured.items()}
    own = measured["OrbOculi"]
    others = tuple(name for name, at in late.items() if at is not None and name != "OrbOculi")
    if own.present is None:
        return BlinkReflex(None, synkinesis=others)
    return BlinkReflex(late["OrbOculi"] is not None, late["OrbOculi"], others)


def _r1(measurement: Measurement, pulses: Pulses) -> float | None:
    """The onset after the last pulse if it is an R1's."""
    if not measurement.present or measurement.latency is None:
        return None
    onset = measurement.latency - pulses.last
    return onset if WINDOW[0] <= onset <= WINDOW[1] else None


LEAST_DISTANCE = 0.1
"""Seconds between a supraorbital stimulus and one for the LSR, which it suppresses (Møller 1991)."""

BETTER_DISTANCE = 0.5
"""What is better (general knowledge)."""


def collisions(
    triggers: Sequence[Trigger], fs: float, sites: Iterable[str], least: float = LEAST_DISTANCE
) -> list[tuple[Trigger, Trigger]]:
    """Pairs of a supraorbital stimulus and one for the LSR that come too close to each other.

    Parameters
    ----------
    triggers
        In order of their sample.
    fs
        In Hz.
    sites
        Where the LSR is evoked.
    least
        Smallest distance, in s.
    """
    wanted = set(sites)
    found = []
    for i, first in enumerate(triggers):
        for second in triggers[i + 1 :]:
            if second.sample - first.sample >= least * fs:
                break
            pair = {first.site, second.site}
            if "supraorbital" in pair and pair & wanted:
                found.append((first, second))
    return found
