"""Butterworth low-pass."""

from __future__ import annotations

from dataclasses import dataclass

from ionm.filters.design import Design
from ionm.filters.sos import (
    HOLD,
    Section,
    check_below_half,
    check_hold,
    check_order,
    sections_of,
)
from ionm.stream import StreamInfo


@dataclass(frozen=True, slots=True)
class Lowpass(Design):
    """Remove what is faster than a corner.

    A Butterworth low-pass as ``scipy.signal.butter`` designs it.

    Parameters
    ----------
    cutoff
        The corner (-3 dB), in Hz.
    order
        It falls by 6 dB per octave and order. 2 by default, as the amplifiers' own (general
        knowledge).
    hold
        How long the state is held over samples that are not ok, in s; see `ionm.filters.sos`.
    """

    cutoff: float
    order: int = 2
    hold: float = HOLD

    def __post_init__(self) -> None:
        if not self.cutoff > 0:
            raise ValueError(f"need cutoff > 0 Hz, got cutoff={self.cutoff:g} Hz")
        check_order(self.order)
        check_hold(self.hold)

    def sections(self, info: StreamInfo) -> tuple[Section, ...]:
        """The cascade for this stream; `SetupError` if it lies outside the stream's band."""
        from scipy.signal import butter

        check_below_half("cutoff", self.cutoff, info)
        return sections_of(butter(self.order, self.cutoff, "lowpass", output="sos", fs=info.fs))
