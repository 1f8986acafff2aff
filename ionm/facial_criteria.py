"""When a change of the facial MEP is a warning: published criteria by name, and who may warn.

Measures, against the baseline in use:

=====================  =======================================================================
mep_ratio              amplitude over that of the baseline
mep_lost               1.0 if no response is there and half of the baseline's would have been seen, else 0.0
stimulus_raised        1.0 if the stimulus was raised by 10 % and the amplitude did not come back, else 0.0
threshold_rise_ma      rise of the ipsilateral threshold, in mA
threshold_bilateral    rise of the ipsilateral final-to-baseline threshold over the other side's, as a share
=====================  =======================================================================

An amplitude alone is a poor judge (Greve 2020: a fall by half was flagged in 46 of 75 operations, with an
odds ratio below one), so the threshold criteria stand beside the amplitude ones.

In microvascular decompression for hemifacial spasm the sign turns: the orbicularis oculi *falls* to 45 +-
25 % with a successful decompression, while mentalis and oris stay (Fukuda 2009). So a fall there has the
purpose "excitability", and the orbicularis oculi alone never warns of an injury.
"""

from __future__ import annotations

from collections.abc import Mapping

from ionm.criteria import Clause, Criterion, Level


def _one(
    name: str, source: str, level: str, enter: tuple[Clause, ...], leave: tuple[Clause, ...]
) -> Criterion:
    priority = {"warning": "medium", "critical": "high"}[level]
    return Criterion(name, source, (Level(level, priority, (enter,), leave),))


_DONG = "Dong CCJ et al. Clin Neurophysiol 2005;116:588, 76 operations"

DONG_50 = _one(
    "dong-2005-50",
    f"{_DONG}: at most 50 % of baseline, sensitivity 1.00, specificity 0.88",
    "warning",
    (Clause("mep_ratio", "<=", 0.5),),
    (Clause("mep_ratio", ">=", 0.55),),
)

DONG_35 = _one(
    "dong-2005-35",
    f"{_DONG}: at most 35 % of baseline, sensitivity 0.91, specificity 0.97",
    "critical",
    (Clause("mep_ratio", "<=", 0.35),),
    (Clause("mep_ratio", ">=", 0.4),),
)

DONG_LOSS = _one(
    "dong-2005-loss",
    f"{_DONG}: loss, sensitivity 0.64, specificity 1.00",
    "critical",
    (Clause("mep_lost", ">=", 1.0),),
    (Clause("mep_lost", "<=", 0.0),),
)

BOVO_2021 = _one(
    "bovo-2021",
    "Bovo N et al. 2021, doi:10.1055/s-0040-1719026: 50 % lost although the stimulus was raised by 10 %",
    "warning",
    (Clause("mep_ratio", "<=", 0.5), Clause("stimulus_raised", ">=", 1.0)),
    (Clause("mep_ratio", ">=", 0.55),),
)

BOVO_2021_VS = _one(
    "bovo-2021-vs",
    "Bovo N et al. 2021: best cut in 16 vestibular schwannomas, 30 % lost, sensitivity 88.9 %",
    "warning",
    (Clause("mep_ratio", "<=", 0.7),),
    (Clause("mep_ratio", ">=", 0.75),),
)

_GREVE = "Greve T et al. 2020, doi:10.1007/s10877-019-00434-5, 79 operations"

GREVE_IPSILATERAL = _one(
    "greve-2020-iamt20",
    f"{_GREVE}: threshold up by 20 mA or more, AUC 0.87 on day 1",
    "warning",
    (Clause("threshold_rise_ma", ">=", 20.0),),
    (Clause("threshold_rise_ma", "<=", 15.0),),
)

GREVE_BILATERAL = _one(
    "greve-2020-bfbmt20",
    f"{_GREVE}: final-to-baseline threshold up by 20 % or more over the other side, AUC 0.89 on day 1",
    "critical",
    (Clause("threshold_bilateral", ">=", 0.2),),
    (Clause("threshold_bilateral", "<=", 0.15),),
)

FACIAL_CRITERIA = {
    c.name: c
    for c in (DONG_50, DONG_35, DONG_LOSS, BOVO_2021, BOVO_2021_VS, GREVE_IPSILATERAL, GREVE_BILATERAL)
}
"""All, by name. A level is left a little beyond its limit, so that it does not flicker (our choice)."""


def threshold_measures(
    baseline: float, now: float, other_baseline: float | None, other_now: float | None
) -> dict[str, float | None]:
    """The measures of the threshold method from thresholds in mA.

    Parameters
    ----------
    baseline, now
        Of the operated side.
    other_baseline, other_now
        Of the other side; None where it is not stimulated. Greve 2020 prints no formula: its "bilateral
        final-to-baseline" is read as the ratio of the two sides' ratios, less one.
    """
    bilateral = None
    if other_baseline and other_now:
        bilateral = (now / baseline) / (other_now / other_baseline) - 1.0
    return {"threshold_rise_ma": now - baseline, "threshold_bilateral": bilateral}


EXCITABILITY = {"OrbOculi"}
"""Muscles whose fall may be a success in hemifacial spasm (Fukuda 2009)."""


def may_warn(met: Mapping[str, bool | None], purpose: str) -> tuple[str, ...]:
    """The muscles whose change speaks of an injury; none if nothing does.

    Parameters
    ----------
    met
        By muscle (without its side), whether its criterion is met; None where it cannot be judged.
    purpose
        "injury_watch", where every muscle counts, or "excitability" (decompression for spasm), where the
        orbicularis oculi counts only if another muscle has changed too.

    Raises
    ------
    ValueError
        For another purpose.
    """
    if purpose not in {"injury_watch", "excitability"}:
        raise ValueError(f"unknown purpose {purpose!r}, need injury_watch or excitability")
    muscles = tuple(muscle for muscle, is_met in met.items() if is_met)
    if purpose == "excitability" and all(muscle in EXCITABILITY for muscle in muscles):
        return ()
    return muscles
