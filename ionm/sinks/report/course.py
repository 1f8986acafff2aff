"""What a report keeps of one derivation: few sweeps, and its states, holds and baselines.

A case of ten hours must fit into memory: of the sweeps every 2**k-th is kept, with k growing so
that there are at most `Stack.MOST`, and those at which a state changed; of the rest only numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ionm.baseline import N_SWEEPS
from ionm.events import BaselineTaken, Hold, Measurement, Response, StateChange
from ionm.sinks.report.points import Points

Wave = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One sweep as it is drawn.

    Parameters
    ----------
    number
        Which sweep of its derivation, from 0.
    trigger, known
        Sample of its stimulus, and the last one that was needed to measure it.
    measurement
        What was found.
    wave, control
        Shape (n_samples,), in V, NaN where invalid: the derivation's and the M-control's samples;
        None without an M-control.
    """

    number: int
    trigger: int
    known: int
    measurement: Measurement
    wave: Wave
    control: Wave | None


class Stack:
    """A few sweeps out of many, spread evenly, and those that were marked as worth keeping."""

    MOST = 150
    """Sweeps kept: a page's height holds about as many lines that can be told apart (our choice)."""

    PINNED = 40
    """How many of them may be marked ones (our choice: ten courses present > reduced > absent > back)."""

    RECENT = 32
    """Newest sweeps that can still be marked; a state's first sweep is rarely further back."""

    def __init__(self) -> None:
        self._stride = 1
        self._even: list[Trace] = []
        self._pinned: dict[int, Trace] = {}
        self._recent: deque[Trace] = deque(maxlen=self.RECENT)

    def push(self, trace: Trace) -> None:
        """Take one sweep."""
        self._recent.append(trace)
        if trace.number % self._stride == 0:
            self._even.append(trace)
        if len(self._even) > self.MOST - self.PINNED:
            self._stride *= 2
            self._even = [t for t in self._even if t.number % self._stride == 0]

    def pin(self, trigger: int) -> None:
        """Keep the sweep of this stimulus, if it is still known."""
        for trace in self._recent:
            if trace.trigger == trigger:
                self._pinned[trigger] = trace
        if len(self._pinned) > self.PINNED:
            self._pinned = dict(list(self._pinned.items())[::2])

    @property
    def traces(self) -> list[Trace]:
        """What is kept, oldest first."""
        kept = self._pinned | {trace.trigger: trace for trace in self._even}
        return [kept[trigger] for trigger in sorted(kept)]


class Course:
    """The course of one derivation with role ``lsr``.

    Parameters
    ----------
    stretch, control_stretch
        First sample and end, relative to the stimulus, of what is kept for drawing of the
        derivation and of its M-control.
    control
        Row of the M-control in the site's sweeps; None without one.
    """

    def __init__(
        self, stretch: tuple[int, int], control_stretch: tuple[int, int], control: int | None
    ) -> None:
        self.points = Points()
        self.stack = Stack()
        self.states: list[tuple[int, str]] = []  # (trigger from which on, state)
        self.holds: list[tuple[int, tuple[str, ...]]] = []  # (sample from which on, reasons that stand)
        self.baselines: list[BaselineTaken] = []
        self.average: tuple[Wave, Wave | None] | None = None
        self._stretch, self._control_stretch, self._control = stretch, control_stretch, control
        self._judged: deque[Trace] = deque(maxlen=N_SWEEPS)
        self._count = 0

    def respond(self, response: Response) -> None:
        """Take one response."""
        self.points.push(response)
        control = None if self._control is None else _cut(response, self._control, self._control_stretch)
        wave = _cut(response, response.row, self._stretch)
        trace = Trace(
            self._count, response.trigger.sample, response.sample, response.measurement, wave, control
        )
        self._count += 1
        self.stack.push(trace)
        if response.measurement.present is not None:
            self._judged.append(trace)

    def take(self, event: StateChange | Hold | BaselineTaken) -> None:
        """Take what the judge says."""
        match event:
            case StateChange():
                first = max(event.since, self.states[-1][0]) if self.states else event.since
                self.states.append((first, str(event.state)))
                self.stack.pin(event.since)
            case Hold():
                self.holds.append((event.sample, event.reasons))
            case BaselineTaken():
                self.baselines.append(event)
                if event.accepted and self._judged:
                    self.average = self._mean()
            case _:
                assert_never(event)

    def _mean(self) -> tuple[Wave, Wave | None]:
        controls = [t.control for t in self._judged if t.control is not None]
        return _average([t.wave for t in self._judged]), _average(controls) if controls else None

    def state_at(self, trigger: int) -> str:
        """The state that a sweep belongs to."""
        at = bisect_right(self.states, trigger, key=lambda change: change[0])
        return self.states[at - 1][1] if at else "UNKNOWN"

    def reason_at(self, trace: Trace) -> str | None:
        """Why nothing was decided from a sweep; None where it was judged, or became a baseline."""
        if trace.measurement.present is None:
            return trace.measurement.reason or "cannot be judged"
        at = bisect_right(self.holds, trace.known, key=lambda hold: hold[0])
        standing = [reason for reason in self.holds[at - 1][1] if reason != "no_baseline"] if at else []
        return standing[-1] if standing else None

    def state_spans(self, stop: int) -> list[tuple[int, int, str]]:
        """(first sample, end, state) of each stretch up to ``stop``."""
        spans = pairwise([(0, "UNKNOWN"), *self.states, (stop, "")])
        return [(first, end, state) for (first, state), (end, _) in spans if end > first]

    def hold_spans(self, stop: int) -> list[tuple[int, int, tuple[str, ...]]]:
        """(first sample, end, reasons) of each stretch up to ``stop`` in which the state was held."""
        spans = pairwise([*self.holds, (stop, ())])
        return [(first, end, reasons) for (first, reasons), (end, _) in spans if reasons and end > first]


def _cut(response: Response, row: int, stretch: tuple[int, int]) -> Wave:
    sweep = response.sweep
    columns = slice(max(0, sweep.zero + stretch[0]), sweep.zero + stretch[1])
    wave = np.where(sweep.valid[row, columns], sweep.data[row, columns], np.nan)
    return wave.astype(np.float32)


def _average(waves: Sequence[Wave]) -> Wave:
    return np.asarray(np.mean(waves, axis=0, dtype=np.float64), dtype=np.float32)
