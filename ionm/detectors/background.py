"""What the background of one row is like: how loud it is, and what chance makes of it."""

from __future__ import annotations

import math
from collections import deque

from ionm.detectors.swing import Reading
from ionm.quality import NullTail, in_order

TINY = 1e-12
"""Noise that no amplifier falls below, in V; keeps a dead channel from dividing by zero."""

MEMORY = 16
"""Sweeps whose backgrounds are remembered as the neighbours' (our choice: a quarter of a minute at one
stimulus a second). Of their loudness the upper quartile is taken, so that a change is followed after
twelve; of their swings the median."""


class Background:
    """The memory of one row. The compiled form gives the same bits; take it by ``fastest(Background)``."""

    def __init__(self) -> None:
        self._null = NullTail()
        self._variances: deque[float] = deque(maxlen=MEMORY)  # of the band, in V^2
        self._swings: deque[float] = deque(maxlen=MEMORY)  # mean square of the peak to peak, in V^2
        self._variance = 0.0
        self._swing = 0.0

    def noise(self, read: Reading) -> float | None:
        """RMS of the background in the band, in V; what this sweep shows of it is remembered.

        It is that of the sweep or that of its neighbours, whichever is larger: in a background of
        sparse motor unit potentials the sweep's own may be silent by chance. A stretch that serves
        as an example of noise is not part of the noise it is compared with, just as the search
        window is not. None before any background was seen.
        """
        past, count = self._variance, len(read.energies)
        if count == 0:
            return math.sqrt(past) if self._variances else None
        energy = in_order(read.energies)
        examples = []
        for own, size in zip(read.energies, read.swings, strict=True):
            others = (energy - own) / (count - 1) if count > 1 else own
            beside = math.sqrt(max(others, past))
            if size > 0 and beside > TINY:
                examples.append(size / beside)
        self._null.extend(examples)
        variance = energy / count
        self._follow(variance, in_order([size * size for size in read.ranges]) / count)
        return math.sqrt(max(variance, past))

    def _follow(self, variance: float, swing: float) -> None:
        """Take one sweep's background; the first stands for all that came before it."""
        repeat = 1 if self._variances else MEMORY
        self._variances.extend((variance,) * repeat)
        self._swings.extend((swing,) * repeat)
        self._variance = sorted(self._variances)[3 * MEMORY // 4]
        self._swing = sorted(self._swings)[MEMORY // 2]

    def chance(self, statistic: float, share: float) -> float:
        """Chance of a statistic as large in ``share`` stretches of background."""
        return 1.0 - math.pow(1.0 - self._null.p_value(statistic), share)

    def threshold(self, p_value: float, share: float) -> float:
        """The statistic whose chance in ``share`` stretches of background is ``p_value`` (small)."""
        return self._null.threshold(p_value / share)

    def reach(self) -> float:
        """How far the background reaches from its mean within a search window, typically, in V."""
        return math.sqrt(self._swing) / 2

    def amplitude(self, swing: float) -> float:
        """Peak to peak without the background's part, in V."""
        return math.sqrt(max(swing * swing - self._swing, 0.0))
