"""The facial F-wave: how often, when, how large beside the M-wave, and how scattered.

It is recorded in the muscle of the *stimulated* branch; the lateral spread response, at the same 10 ms, in
another branch's. On the side of a hemifacial spasm persistence, duration and F/M are raised, the least
latency and the chronodispersion are not (Ishikawa 1996); they stay raised for months after a cure (Ishikawa
1997). Under anaesthesia it falls: a trend, never an alarm.

Each figure needs its number of stimuli: 10 give the latency within 1 ms, 20 persistence and F/M, 50 the
chronodispersion (general knowledge, a normative F-wave study). With fewer it is None.

References
----------
Ishikawa M et al. Acta Neurochir 1996;138:24; J Neurosurg 1997. Norms of the marginal mandibular branch: Clin
Neurophysiol 2018, S157: least latency 8.97 +- 0.53 ms, chronodispersion 0.80 +- 0.31 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ionm.events import Measurement
from ionm.quality import in_order

FOR_LATENCY, FOR_PERSISTENCE, FOR_CHRONODISPERSION = 10, 20, 50
"""Stimuli that each figure needs."""


@dataclass(frozen=True, slots=True)
class FWaves:
    """F-waves of a run of stimuli; what too few stimuli cannot say is None.

    Parameters
    ----------
    stimuli
        How many could be judged.
    present
        How many showed an F-wave.
    persistence
        Share of them.
    least, mean, largest
        Latencies, in s.
    chronodispersion
        Largest less least latency, in s.
    f_to_m
        Mean amplitude of the F-waves that are there over that of the M-wave.
    """

    stimuli: int
    present: int
    persistence: float | None = None
    least: float | None = None
    mean: float | None = None
    largest: float | None = None
    chronodispersion: float | None = None
    f_to_m: float | None = None


def f_waves(late: Sequence[Measurement], direct: Sequence[Measurement]) -> FWaves:
    """Sum up the sweeps of one branch and its own muscle.

    Parameters
    ----------
    late
        The F-window of each sweep.
    direct
        The M-wave of the same sweeps.

    Raises
    ------
    ValueError
        If they are not of the same sweeps.
    """
    if len(late) != len(direct):
        raise ValueError(f"need one M-wave per F-window, got {len(direct)} and {len(late)}")
    judged = [(f, m) for f, m in zip(late, direct, strict=True) if f.present is not None and m.present]
    there = [f for f, _ in judged if f.present]
    n = len(judged)
    latencies = [f.latency for f in there if f.latency is not None]
    sizes = [f.amplitude for f in there if f.amplitude is not None]
    waves = [m.amplitude for _, m in judged if m.amplitude is not None]
    least = mean = largest = spread = ratio = None
    if n >= FOR_LATENCY and latencies:
        least, largest = min(latencies), max(latencies)
        mean = in_order(latencies) / len(latencies)
        spread = largest - least if n >= FOR_CHRONODISPERSION and len(latencies) > 1 else None
    if n >= FOR_PERSISTENCE and sizes and waves:
        ratio = in_order(sizes) / len(sizes) / (in_order(waves) / len(waves))
    persistence = len(there) / n if n >= FOR_PERSISTENCE else None
    return FWaves(n, len(there), persistence, least, mean, largest, spread, ratio)
