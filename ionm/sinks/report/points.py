"""Every response of a derivation as numbers, and how strong its stimuli were."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from ionm.events import Response
from ionm.stream import Trigger

STRENGTHS = {"mA": "mA", "V": "V", "intensity": ""}
"""Attributes that say how strong a stimulus was, with their units."""

FEWEST_STRENGTHS = 5
"""Different strengths from which a recording can be a titration (our choice: a threshold search of
three or four steps at the begin of a case is none)."""

TITRATED = 0.2
"""Share of the sweeps that then have a strength of their own (our choice: sweeps are repeated up to
five times a step)."""


def strength(trigger: Trigger) -> tuple[float, str]:
    """How strong a stimulus was and in which unit; NaN where its mark does not say."""
    for key, unit in STRENGTHS.items():
        value = trigger.number(key)
        if value is not None:
            return value, unit
    return float("nan"), ""


class Points:
    """Every response of a derivation as numbers: 41 bytes each."""

    def __init__(self) -> None:
        self._triggers, self._present = array("q"), array("b")
        self._values: tuple[array[float], ...] = tuple(array("d") for _ in range(4))
        self._onsets = array("f")
        self._unit = ""

    def push(self, response: Response) -> None:
        """Take one response."""
        m = response.measurement
        given, unit = strength(response.trigger)
        self._unit = unit or self._unit
        self._triggers.append(response.trigger.sample)
        self._present.append(-1 if m.present is None else int(m.present))
        numbers = (m.amplitude, response.percent_of_baseline, m.peak_latency, given)
        for column, number in zip(self._values, numbers, strict=True):
            column.append(float("nan") if number is None else number)
        self._onsets.append(float("nan") if m.latency is None else m.latency)

    @property
    def triggers(self) -> NDArray[np.int64]:
        """Sample of each stimulus."""
        return np.array(self._triggers, dtype=np.int64)

    @property
    def present(self) -> NDArray[np.int8]:
        """1 = a response, 0 = none, -1 = cannot be judged."""
        return np.array(self._present, dtype=np.int8)

    @property
    def amplitudes(self) -> NDArray[np.float64]:
        """In V; NaN without a response."""
        return np.array(self._values[0])

    @property
    def percents(self) -> NDArray[np.float64]:
        """In percent of the baseline of that moment; NaN without a response or a baseline."""
        return np.array(self._values[1])

    @property
    def peaks(self) -> NDArray[np.float64]:
        """Latency of the largest peak, in s; NaN without a response."""
        return np.array(self._values[2])

    @property
    def onsets(self) -> NDArray[np.float64]:
        """Latency of the onset, in s; NaN without a response."""
        return np.array(self._onsets, dtype=np.float64)

    @property
    def strengths(self) -> NDArray[np.float64]:
        """Strength of each stimulus, in `unit`; NaN where its mark does not say."""
        return np.array(self._values[3])

    @property
    def unit(self) -> str:
        """Unit of the strengths; empty if unknown."""
        return self._unit

    @property
    def titrated(self) -> bool:
        """Whether the stimulus varied from sweep to sweep."""
        given = self.strengths
        different = len(np.unique(given[np.isfinite(given)]))
        return different >= FEWEST_STRENGTHS and different >= TITRATED * len(given)
