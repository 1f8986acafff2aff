"""Random numbers by purpose: each part draws from its own stream, so that changing one leaves the others."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the purpose only.

    Parameters
    ----------
    seed
        The case's seed, not negative.
    purpose
        What the numbers are for: names, block numbers.
    """
    key = [crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    return np.random.default_rng([seed, *key])
