"""A stream: channels at one rate, cut into chunks, with the stimuli and notes that fall in them.

The sample index is the only clock: sample ``k`` lies ``k / fs`` seconds after the first.
Amplitudes are in V, times in s, rates in Hz; arrays have shape (n_channels, n_samples).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ionm.errors import SignalError

Samples = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Channel:
    """One row of every chunk.

    Parameters
    ----------
    name
        As the protocol calls it, "OrbOculi".
    kind
        "emg", "eeg", "trigger" or "misc".
    rails
        Lowest and highest value the amplifier can give, in V; None when the source does not
        know. A sample at a rail is clipped.
    """

    name: str
    kind: str = "emg"
    rails: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What stays constant for a run.

    Parameters
    ----------
    fs
        Sampling rate, in Hz.
    channels
        The rows of every chunk, in order.
    segmented
        True for a recording that holds one stretch around each stimulus instead of a
        continuous signal: what lies between two stretches was never sampled, so it is no gap,
        and filters do not wait for their settling (see `ionm.filters.sos`).
    """

    fs: float
    channels: tuple[Channel, ...]
    segmented: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fs) and self.fs > 0):
            raise ValueError(f"need fs > 0 Hz, got fs={self.fs:g} Hz")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"channel names must differ, got {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The channels' names, in order."""
        return tuple(channel.name for channel in self.channels)

    @property
    def n_channels(self) -> int:
        """How many rows every chunk has."""
        return len(self.channels)

    def samples(self, seconds: float) -> int:
        """The whole number of samples nearest to a duration in s."""
        return round(seconds * self.fs)


@dataclass(frozen=True, slots=True)
class Trigger:
    """One stimulus, at the sample where it was delivered.

    Parameters
    ----------
    sample
        Index on the stream's clock.
    site
        Where: "zygomatic", "mandibular", "click" ...
    attributes
        What else the mark says, as text: mA, width, pulses, isi, ear, side ...
    """

    sample: int
    site: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    def number(self, key: str) -> float | None:
        """An attribute as a number; None where it is absent or not a number."""
        try:
            return float(self.attributes[key])
        except (KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Note:
    """What a person did or saw.

    Parameters
    ----------
    sample
        When it happened.
    accepted
        When it entered the session: it acts from here, attribution uses ``sample``.
    event
        "dura-open", "vessel-lifted", "baseline" ...
    attributes
        vessel, drug, side, modality, text ...
    """

    sample: int
    accepted: int
    event: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive samples as they arrive, with the stimuli and notes that fall in them.

    Parameters
    ----------
    data
        Shape (n_channels, n_samples), in V, C-contiguous. Never written to after hand-over.
    valid
        Same shape: False where a sample is missing, clipped, masked or not settled.
    start
        Index of the first sample.
    triggers
        Stimuli with ``start <= sample < stop``, in order.
    notes
        Notes with ``start <= accepted < stop``, in order of ``accepted``.
    """

    data: Samples
    valid: Flags
    start: int
    triggers: tuple[Trigger, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def n_samples(self) -> int:
        """How many samples each channel has."""
        return int(self.data.shape[1])

    @property
    def stop(self) -> int:
        """Index of the first sample after the chunk."""
        return self.start + int(self.data.shape[1])

    def cut(self, start: int, stop: int) -> Chunk:
        """The part from ``start`` up to ``stop`` (on the stream's clock), with its triggers and notes."""
        a, b = start - self.start, stop - self.start
        return Chunk(
            self.data[:, a:b],
            self.valid[:, a:b],
            start,
            tuple(t for t in self.triggers if start <= t.sample < stop),
            tuple(n for n in self.notes if start <= n.accepted < stop),
        )


def chunk(data: Any, start: int = 0, triggers: Any = (), notes: Any = ()) -> Chunk:
    """A chunk from plain samples: every finite sample is valid.

    Parameters
    ----------
    data
        Shape (n_channels, n_samples), in V.
    start
        Index of the first sample.
    triggers, notes
        Those that fall in the chunk.

    Raises
    ------
    SignalError
        If the samples do not form a (n_channels, n_samples) array.
    """
    samples = np.ascontiguousarray(data, dtype=np.float64)
    if samples.ndim != 2:
        raise SignalError(f"expected samples of shape (n_channels, n_samples), got {samples.shape}")
    return Chunk(samples, np.isfinite(samples), start, tuple(triggers), tuple(notes))
