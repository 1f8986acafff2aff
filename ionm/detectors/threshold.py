"""The lowest stimulus that still evokes a response: of the facial MEP, of the nerve under the probe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold and how well it is known, in the stimulus's unit.

    Parameters
    ----------
    at
        Lowest strength that evokes a response, None if none did.
    below
        Highest strength under it that was tried and evoked none; None if none was tried, and then the
        threshold is at most ``at``.
    """

    at: float | None
    below: float | None

    @property
    def bracketed(self) -> bool:
        """Whether it is known from both sides."""
        return self.at is not None and self.below is not None


@dataclass(frozen=True, slots=True)
class ThresholdSearch:
    """Settings of the search.

    Parameters
    ----------
    share
        Share of the sweeps of one strength that must show a response: half, as thresholds are defined
        (general knowledge).
    least
        Sweeps a strength needs to count.
    """

    share: float = 0.5
    least: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.share <= 1 and self.least >= 1):
            raise ValueError(f"need 0 < share <= 1 and least >= 1, got {self.share:g} and {self.least}")

    def __call__(self, trials: Iterable[tuple[float, bool | None]]) -> Threshold:
        """The threshold of some sweeps.

        From the strongest stimulus downwards, the last strength before the first that fails: a lucky response
        further down, an involuntary twitch say, does not count.

        Parameters
        ----------
        trials
            Strength and whether a response was there; None (cannot be judged) is passed over.
        """
        counts: dict[float, list[bool]] = {}
        for strength, present in trials:
            if present is not None:
                counts.setdefault(strength, []).append(present)
        tried = {
            s: seen.count(True) >= self.share * len(seen)
            for s, seen in counts.items()
            if len(seen) >= self.least
        }
        at: float | None = None
        for strength in sorted(tried, reverse=True):
            if not tried[strength]:
                return Threshold(at, strength)
            at = strength
        return Threshold(at, None)
