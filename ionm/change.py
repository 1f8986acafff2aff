"""When a response changed: the most likely sweep, and an interval that holds the moment."""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.9
"""Of the interval."""


def change_point(
    before: Sequence[float], after: Sequence[float], triggers: Sequence[int]
) -> tuple[int, tuple[int, int]]:
    """The stimulus of the first changed sweep, and the samples between which the change lies.

    Every sweep but the oldest may be the first changed one, all alike before the data are seen. Of them
    the likeliest are taken until they hold nine tenths of the probability. A response shows at its
    stimulus how the nerve was then, so the change lies after the stimulus before the first of
    these sweeps, and not after that of the last.

    Parameters
    ----------
    before, after
        Logarithms of the likelihood of each sweep if the change had not, or had, happened; two or more.
    triggers
        Their stimuli, in samples.
    """
    weights, running = [], math.fsum(after)
    for b, a in zip(before, after, strict=True):
        running += b - a
        weights.append(running)
    weights = weights[:-1]  # the change comes behind sweep i
    most = max(weights)
    chances = [math.exp(w - most) for w in weights]
    whole = math.fsum(chances)
    found, held = [], 0.0
    for i in sorted(range(len(chances)), key=lambda i: -chances[i]):
        found.append(i)
        held += chances[i]
        if held >= CONFIDENCE * whole:
            break
    likeliest = found[0]
    return triggers[likeliest + 1], (triggers[min(found)], triggers[max(found) + 1])
