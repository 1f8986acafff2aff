"""Notch: take out one frequency."""

from __future__ import annotations

from dataclasses import dataclass

from ionm.filters.design import Design
from ionm.filters.sos import HOLD, Section, check_below_half, check_hold, sections_of
from ionm.stream import StreamInfo


@dataclass(frozen=True, slots=True)
class Notch(Design):
    """Take out one frequency.

    A second-order notch as ``scipy.signal.iirnotch`` designs it. For ongoing activity only: on
    sweeps locked to a stimulus it rings after every artefact and M-wave (28 uV in the window of
    the lateral spread response behind a 2 mV M-wave, own computation).

    Parameters
    ----------
    frequency
        What is taken out, in Hz.
    bandwidth
        Between the -3 dB points, in Hz. A narrow notch settles slowly: 2 Hz take 0.73 s.
    hold
        How long the state is held over samples that are not ok, in s; see `ionm.filters.sos`.
    """

    frequency: float
    bandwidth: float
    hold: float = HOLD

    def __post_init__(self) -> None:
        if not 0 < self.bandwidth < self.frequency:
            raise ValueError(
                f"need 0 < bandwidth < frequency, got bandwidth={self.bandwidth:g} Hz, "
                f"frequency={self.frequency:g} Hz"
            )
        check_hold(self.hold)

    def sections(self, info: StreamInfo) -> tuple[Section, ...]:
        """The cascade for this stream; `SetupError` if it lies outside the stream's band."""
        from scipy.signal import iirnotch

        check_below_half("frequency", self.frequency, info)
        b, a = iirnotch(self.frequency, self.frequency / self.bandwidth, fs=info.fs)
        return sections_of([(*b, *a)])
