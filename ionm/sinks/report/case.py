"""What a report gathers of a case while it runs: a sink that stays small for any length of case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from ionm.derivation import Derivation
from ionm.events import (
    Alarm,
    Attribution,
    BaselineTaken,
    ChannelHold,
    Event,
    Finding,
    Gap,
    Hold,
    NoteTaken,
    Response,
    StateChange,
)
from ionm.modality import LsrModality
from ionm.sinks.jsonl import attribution
from ionm.sinks.report.activity import Activity
from ionm.sinks.report.course import Course
from ionm.sinks.report.points import Points
from ionm.stream import Note

BEFORE, AFTER = 0.1, 0.25
"""Shares of a window that are drawn before and after it (before it lie M-waves of neighbours)."""


class Case:
    """A sink that gathers.

    Parameters
    ----------
    modality
        What was recorded and how it was judged.
    fs
        Sampling rate, in Hz.
    """

    def __init__(self, modality: LsrModality, fs: float) -> None:
        self.modality, self.fs = modality, fs
        self._stretch = self._around(modality.response.window)
        self._control_stretch = self._around(modality.m_wave.window)
        self.courses = {d.name: self._course(d) for d in modality.derivations if d.role == "lsr"}
        self._controls = {d.site: (d.name, Points()) for d in modality.derivations if d.role == "m_control"}
        self._sites = {d.name: d.site for d in modality.derivations}
        self.attributions: dict[str, list[Mapping[str, Any]]] = {}  # all of each derivation, in order
        self.activity = Activity()
        self._notes: list[Note] = []
        self.gaps: list[tuple[int, int]] = []

    def _around(self, window: tuple[float, float]) -> tuple[int, int]:
        length = window[1] - window[0]
        begin, end = self.modality.sweep
        stretch = max(begin, window[0] - BEFORE * length), min(end, window[1] + AFTER * length)
        return round(stretch[0] * self.fs), round(stretch[1] * self.fs)

    def _course(self, derivation: Derivation) -> Course:
        roles = [d.role for d in self.modality.at(derivation.site)]
        control = roles.index("m_control") if "m_control" in roles else None
        return Course(self._stretch, self._control_stretch, control)

    def write(self, item: Event) -> None:
        """Take one event."""
        match item:
            case Response():
                if item.derivation in self.courses:
                    self.courses[item.derivation].respond(item)
                elif item.role == "m_control" and item.site in self._controls:
                    self._controls[item.site][1].push(item)
            case StateChange() | Hold() | BaselineTaken():
                if item.derivation in self.courses:
                    self.courses[item.derivation].take(item)
            case NoteTaken():
                self._notes.append(item.note)
            case Attribution():
                self.attributions.setdefault(item.derivation, []).append(attribution(item))
            case Alarm():
                pass  # all of them stand in the summary
            case Finding() | ChannelHold():
                self.activity.take(item)
            case Gap():
                self.gaps.append((item.start, item.stop))
            case _:
                assert_never(item)

    @property
    def notes(self) -> list[Note]:
        """In the order in which they happened."""
        return sorted(self._notes, key=lambda note: note.sample)

    @property
    def titrated(self) -> list[str]:
        """Derivations whose stimulus varied from sweep to sweep."""
        return [name for name, course in self.courses.items() if course.points.titrated]

    @property
    def followed(self) -> list[str]:
        """The others: those that have a state."""
        return [name for name in self.courses if name not in self.titrated]

    @property
    def m_controls(self) -> Mapping[str, tuple[str, Points]]:
        """The M-control's name and numbers, by the derivation it belongs to."""
        return {n: self._controls[self._sites[n]] for n in self.courses if self._sites[n] in self._controls}

    @property
    def times(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of the kept waves and of those of the M-control, in ms after the stimulus."""
        first, second = (np.arange(*s) / self.fs * 1e3 for s in (self._stretch, self._control_stretch))
        return first, second
