"""Traintime: how long A-trains were there, per muscle and in all, and what that may mean.

Prell 2007 (40 vestibular schwannomas): 0.5 s of A-trains go with a discrete worsening of facial function,
10 s with a profound one. Prell 2014 (79 patients): the risk is a sigmoid of the *logarithm* of traintime and
a rigid limit is poor practice, so a place on a curve is given, never a beep. Rampp 2019: A-trains on most
channels within 3 s are tied to a separate intermedius nerve and say little (r = 0.19, not 0.56), so they are
counted apart.

The counter-evidence: in Hendriks 2020 (30 patients) A-trains did not correlate with House-Brackmann grades at
all, while the threshold of the facial MEP did. All these are schwannoma operations: in microvascular
decompression traintime is shown without a risk, and it does not predict delayed palsy.

References
----------
Prell J et al. J Neurosurg 2007;106:826-832. doi 10.3171/jns.2007.106.5.826.
Prell J et al. Clin Neurophysiol 2014. doi 10.1016/j.clinph.2013.07.015.
Rampp S et al. Clin Neurophysiol 2019;130:722.
Hendriks T et al. Acta Neurochir 2020. doi 10.1007/s00701-020-04275-z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ionm.events import Finding

MARKS = (0.5, 10.0)
"""Seconds of traintime that are marked on the logarithmic scale (Prell 2007)."""

AT_MARKS = (0.25, 0.75)
"""Where the marks lie on the curve: our choice, as no coefficients of Prell's curve were at hand."""

CLUSTER = 3.0
"""Seconds within which A-trains on most channels make a cluster (Rampp 2019)."""


def risk(seconds: float) -> float:
    """Place of a traintime on the sigmoid of its logarithm, 0 to 1; a quarter at 0.5 s, three at 10 s.

    A place on a scale, not the probability of a palsy.
    """
    if seconds <= 0:
        return 0.0
    low, high = (math.log(p / (1.0 - p)) for p in AT_MARKS)
    slope = (high - low) / math.log(MARKS[1] / MARKS[0])
    logit = low + slope * math.log(seconds / MARKS[0])
    return 1.0 / (1.0 + math.exp(-logit)) if logit > -700.0 else 0.0


@dataclass(slots=True)
class _Train:
    channel: str
    onset: int
    end: int | None = None
    clustered: bool = False


class Traintime:
    """Adds up A-trains; outlives gaps, so the judge holds it.

    Parameters
    ----------
    fs
        In Hz.
    channels
        Those that are counted: a cluster is an A-train on more than half of them.
    """

    def __init__(self, fs: float, channels: tuple[str, ...]) -> None:
        self._fs, self._channels = fs, channels
        self._done = dict.fromkeys(channels, 0)  # samples
        self._apart = dict.fromkeys(channels, 0)  # samples in clusters
        self._recent: list[_Train] = []  # those that may still join a cluster, and those that go on

    def take(self, finding: Finding) -> None:
        """A finding of any pattern, in the order in which they became known."""
        if finding.pattern != "a_train" or finding.channel not in self._done:
            return
        if finding.active:
            self._recent.append(_Train(finding.channel, finding.onset))
            self._find_cluster(finding.onset)
            return
        for train in self._recent:
            if train.channel == finding.channel and train.end is None:
                train.onset, train.end = finding.onset, finding.offset
        self._settle(finding.sample)

    def _find_cluster(self, onset: int) -> None:
        reach = CLUSTER * self._fs
        near = [
            train for train in self._recent if abs(train.onset - onset) <= reach and not _withdrawn(train)
        ]
        if 2 * len({train.channel for train in near}) > len(self._channels) > 1:
            for train in near:
                train.clustered = True

    def _settle(self, sample: int) -> None:
        """Book the trains that no cluster can take in any more."""
        keep = []
        for train in self._recent:
            if train.end is None or sample - train.onset <= CLUSTER * self._fs:
                keep.append(train)
            else:
                self._book(train, train.end, self._done, self._apart)
        self._recent = keep

    def _book(self, train: _Train, end: int, done: dict[str, int], apart: dict[str, int]) -> None:
        (apart if train.clustered else done)[train.channel] += max(end - train.onset, 0)

    def seconds(self, sample: int) -> dict[str, float]:
        """Traintime of each channel up to a sample, in s, without clusters."""
        return self._sums(sample)[0]

    def clustered(self, sample: int) -> dict[str, float]:
        """The same of what lies in clusters."""
        return self._sums(sample)[1]

    def total(self, sample: int) -> float:
        """Traintime of all channels up to a sample, in s, without clusters."""
        whole = 0.0
        for value in self.seconds(sample).values():
            whole += value
        return whole

    def _sums(self, sample: int) -> tuple[dict[str, float], dict[str, float]]:
        done, apart = dict(self._done), dict(self._apart)
        for train in self._recent:
            self._book(train, sample + 1 if train.end is None else train.end, done, apart)
        first, second = ({name: n / self._fs for name, n in part.items()} for part in (done, apart))
        return first, second


def _withdrawn(train: _Train) -> bool:
    """Whether the train turned out to be an artefact."""
    return train.end is not None and train.end <= train.onset
