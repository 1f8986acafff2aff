"""The tables of a protocol's file: what may stand in them, and the specs made from them.

The file speaks of milliseconds and microvolts; the specs are in s and V.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from ionm.annotations import SITES
from ionm.derivation import Derivation
from ionm.detectors.activity import Frame
from ionm.detectors.free_run import FreeRun
from ionm.detectors.lsr import Lsr
from ionm.detectors.m_wave import MWave
from ionm.detectors.synchrony import BRANCHES
from ionm.filters.bandpass import Bandpass
from ionm.filters.blanking import Blanking, Mask
from ionm.filters.highpass import Highpass
from ionm.filters.line_noise import LineNoise
from ionm.filters.lowpass import Lowpass
from ionm.free_running import FreeRunning
from ionm.modality import LsrModality
from ionm.protocols import Filter

LSR_ROLES = ("lsr", "m_control", "spare")

# upper bounds keep infinity, and slips of a unit, from ever becoming numbers of samples
Hertz = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Duration = Annotated[float, msgspec.Meta(gt=0, le=10_000)]  # ms
Moment = Annotated[float, msgspec.Meta(ge=-10_000, le=10_000)]  # ms after the stimulus
Jitter = Annotated[float, msgspec.Meta(ge=0, le=10)]  # ms
Tau = Annotated[float, msgspec.Meta(ge=0.01, le=1000)]  # ms
Microvolts = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Weight = Annotated[float, msgspec.Meta(ge=-1000, le=1000)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Order = Annotated[int, msgspec.Meta(ge=1, le=8)]
Chance = Annotated[float, msgspec.Meta(gt=0, lt=0.25)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: unknown keys are refused with their path."""


class ResponseTable(Table, frozen=True):
    """``[lsr.response]``; see `ionm.detectors.lsr.Lsr`."""

    window_ms: tuple[Duration, Duration]
    blank_ms: Duration
    phase_ms: Duration
    background_ms: Annotated[list[tuple[Moment, Moment]], msgspec.Meta(min_length=1, max_length=8)]
    tail_ms: Annotated[list[Tau], msgspec.Meta(max_length=4)]
    crosstalk: bool
    alpha: Chance
    floor_uv: Microvolts

    def __post_init__(self) -> None:
        quiet = [] if not self.tail_ms else [("blank_ms to window_ms", (self.blank_ms, self.window_ms[0]))]
        stretches = [
            ("window_ms", self.window_ms),
            *(("background_ms", pair) for pair in self.background_ms),
            *quiet,
        ]
        for name, (first, last) in stretches:
            if last - first < self.phase_ms:
                raise ValueError(
                    f"{name} must be at least one phase long (phase_ms={self.phase_ms:g}), "
                    f"got {first:g} to {last:g}"
                )
        if any(b <= a for a, b in pairwise(self.tail_ms)):
            raise ValueError(f"tail_ms must increase, got {', '.join(f'{tau:g}' for tau in self.tail_ms)}")


class MControlTable(Table, frozen=True):
    """``[lsr.m_control]``; see `ionm.detectors.m_wave.MWave`."""

    window_ms: tuple[Duration, Duration]
    blank_ms: Duration
    alpha: Chance
    floor_uv: Microvolts

    def __post_init__(self) -> None:
        if not self.blank_ms <= self.window_ms[0]:
            raise ValueError(
                f"window_ms must begin behind blank_ms={self.blank_ms:g}, got {self.window_ms[0]:g}"
            )


class DerivationTable(Table, frozen=True):
    """``[[lsr.derivation]]``."""

    site: Text
    muscle: Text
    role: Text

    def __post_init__(self) -> None:
        check_site(self.site)
        if self.role not in LSR_ROLES:
            raise ValueError(f"role must be one of {', '.join(LSR_ROLES)}, got {self.role!r}")


class LsrTable(Table, frozen=True):
    """``[lsr]``; ``line_noise_hz`` takes mains hum away between blanking and filters, absent: not."""

    sweep_ms: tuple[Annotated[float, msgspec.Meta(ge=-10_000, le=0)], Duration]
    jitter_ms: Jitter
    response: ResponseTable
    m_control: MControlTable
    derivation: Annotated[list[DerivationTable], msgspec.Meta(min_length=1)]
    line_noise_hz: Literal[50, 60, "auto"] | None = None
    highpass_hz: Hertz | None = None
    highpass_order: Order = 2
    lowpass_hz: Hertz | None = None
    lowpass_order: Order = 2

    def __post_init__(self) -> None:
        if (
            self.highpass_hz is not None
            and self.lowpass_hz is not None
            and self.highpass_hz >= self.lowpass_hz
        ):
            raise ValueError(
                f"need highpass_hz < lowpass_hz, got {self.highpass_hz:g} and {self.lowpass_hz:g}"
            )
        inside = [
            ("response.window_ms", self.response.window_ms),
            ("m_control.window_ms", self.m_control.window_ms),
        ]
        inside += [("response.background_ms", pair) for pair in self.response.background_ms]
        for name, (first, last) in inside:
            if first < self.sweep_ms[0] or last > self.sweep_ms[1]:
                raise ValueError(
                    f"{name} must lie in sweep_ms={self.sweep_ms[0]:g} to {self.sweep_ms[1]:g}, "
                    f"got {first:g} to {last:g}"
                )

    def modality(self, harmless: Sequence[str]) -> LsrModality:
        """The spec of the LSR; `ValueError` if its numbers do not fit each other.

        Parameters
        ----------
        harmless
            Sites whose stimuli do not disturb a sweep.
        """
        response, control = self.response, self.m_control
        derivations = tuple(Derivation(d.site, d.muscle, d.role) for d in self.derivation)
        if len(set(derivations)) != len(derivations) or len({d.name for d in derivations}) != len(
            derivations
        ):
            raise ValueError("lsr.derivation: each pair of site and muscle may stand there once")
        masks = [Mask("*", response.blank_ms * 1e-3), *(Mask(site, 0.0) for site in harmless)]
        for site in dict.fromkeys(d.site for d in derivations):
            controls = tuple(d.channel for d in derivations if d.site == site and d.role == "m_control")
            if len(controls) > 1:
                raise ValueError(
                    f"lsr.derivation: site {site!r} has {len(controls)} m_control, need at most one"
                )
            masks.append(Mask(site, response.blank_ms * 1e-3))
            if controls:
                masks.append(Mask(site, control.blank_ms * 1e-3, controls))
        filters: list[Filter] = []
        if self.line_noise_hz is not None:
            mains = self.line_noise_hz if self.line_noise_hz == "auto" else float(self.line_noise_hz)
            filters.append(LineNoise(mains, harmless=tuple(harmless)))
        if self.highpass_hz is not None:
            filters.append(Highpass(self.highpass_hz, self.highpass_order))
        if self.lowpass_hz is not None:
            filters.append(Lowpass(self.lowpass_hz, self.lowpass_order))
        background = tuple((first * 1e-3, last * 1e-3) for first, last in response.background_ms)
        return LsrModality(
            derivations,
            tuple(filters),
            Blanking(tuple(masks), self.jitter_ms * 1e-3),
            (self.sweep_ms[0] * 1e-3, self.sweep_ms[1] * 1e-3),
            Lsr(
                (response.window_ms[0] * 1e-3, response.window_ms[1] * 1e-3),
                background,
                response.blank_ms * 1e-3,
                response.phase_ms * 1e-3,
                tuple(tau * 1e-3 for tau in response.tail_ms),
                response.crosstalk,
                response.alpha,
                response.floor_uv * 1e-6,
            ),
            MWave(
                (control.window_ms[0] * 1e-3, control.window_ms[1] * 1e-3),
                background,
                control.alpha,
                control.floor_uv * 1e-6,
            ),
            harmless=tuple(harmless),
        )


class ZlrTable(Table, frozen=True):
    """``[zlr]``: what is not said here is as in ``[lsr]``."""

    window_ms: tuple[Duration, Duration]
    muscles: Annotated[list[Text], msgspec.Meta(min_length=1)]

    def added(self, table: LsrTable, lsr: LsrModality) -> LsrModality:
        """The LSR's path that cuts the sweeps of the ZLR too; `ValueError` if the numbers do not fit."""
        (first, last), blank, phase = self.window_ms, table.response.blank_ms, table.response.phase_ms
        if first - blank < phase:
            raise ValueError(
                f"zlr.window_ms must begin phase_ms={phase:g} or more behind "
                f"lsr.response.blank_ms={blank:g}, got {first:g}"
            )
        if last - first < phase:
            raise ValueError(
                f"zlr.window_ms must be at least one phase long ({phase:g}), got {first:g} to {last:g}"
            )
        if last > table.sweep_ms[1]:
            raise ValueError(f"zlr.window_ms must end by sweep_ms={table.sweep_ms[1]:g}, got {last:g}")
        if "probe" in lsr.sites:
            raise ValueError("lsr.derivation: site 'probe' belongs to zlr")
        if len(set(self.muscles)) != len(self.muscles):
            raise ValueError("zlr.muscles: each may stand there once")
        # the stretch before this window is too short for every decay: every other one is fitted
        test = replace(
            lsr.response, window=(first * 1e-3, last * 1e-3), taus=lsr.response.taus[::2], crosstalk=False
        )
        derivations = tuple(Derivation("probe", muscle, "zlr") for muscle in self.muscles)
        return replace(lsr, mapped=derivations, mapping=test)


class FreeRunTable(Table, frozen=True):
    """``[free_run]``; jitter of the marks is that of ``[lsr]``."""

    muscles: Annotated[list[Text], msgspec.Meta(min_length=1)]
    controls: list[Text]
    highpass_hz: Hertz
    lowpass_hz: Hertz
    order: Order
    blank_ms: Duration
    tes_blank_ms: Duration
    frame_ms: tuple[
        Annotated[float, msgspec.Meta(ge=-10, le=0)], Annotated[float, msgspec.Meta(gt=0, le=500)]
    ]
    floor_uv: Microvolts
    traintime_risk: bool

    def __post_init__(self) -> None:
        if self.highpass_hz >= self.lowpass_hz:
            raise ValueError(
                f"need highpass_hz < lowpass_hz, got {self.highpass_hz:g} and {self.lowpass_hz:g}"
            )
        for name in self.muscles:
            if name not in BRANCHES:
                raise ValueError(f"muscles must be of the facial nerve: {', '.join(BRANCHES)}; got {name!r}")
        named = [*self.muscles, *self.controls]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"muscles and controls: each may stand there once, got {name!r} twice")
        if self.blank_ms > self.frame_ms[1]:
            raise ValueError(f"blank_ms must end within frame_ms={self.frame_ms[1]:g}, got {self.blank_ms:g}")

    def modality(self, jitter_ms: float, harmless: Sequence[str]) -> FreeRunning:
        """The spec of free-run EMG; `ValueError` if its numbers do not fit each other.

        Parameters
        ----------
        jitter_ms
            How late marks of stimuli may come.
        harmless
            Sites whose stimuli leave nothing to mask.
        """
        usual = FreeRun()
        every = Frame("*", -self.frame_ms[0] * 1e-3, self.frame_ms[1] * 1e-3)
        masks = {"*": self.blank_ms * 1e-3, "tes": self.tes_blank_ms * 1e-3, **dict.fromkeys(harmless, 0.0)}
        return FreeRunning(
            tuple(self.muscles),
            tuple(self.controls),
            (Bandpass(self.highpass_hz, self.lowpass_hz, self.order),),
            Blanking(tuple(Mask(site, until) for site, until in masks.items()), jitter_ms * 1e-3),
            replace(
                usual,
                frames=(every, *(frame for frame in usual.frames if frame.site != "*")),
                floor=self.floor_uv * 1e-6,
            ),
            risk=self.traintime_risk,
        )


class RecordedTable(Table, frozen=True):
    """``[[recorded]]``: a site and channels that belong to the case and are not judged."""

    site: Text
    channels: list[Text]

    def __post_init__(self) -> None:
        check_site(self.site)


def check_site(site: str) -> None:
    """Refuse a site that no mark can name."""
    if site not in SITES:
        raise ValueError(f"site must be one of {', '.join(SITES)}, got {site!r}")
