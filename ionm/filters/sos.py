"""Recursive filters as one cascade of second-order sections, run by the compiled kernel or by scipy.

Invariants, the same bits on every path and for every cutting into chunks:

1. A sample is *ok* if it is valid and of at most `LARGEST` (so neither NaN nor infinite). The
   recursion of a channel starts at its first ok sample x0, in the steady state that a constant
   x0 would have led to: an electrode's offset rings nothing.
2. A sample that is not ok holds the channel's state and last output (0.0 before the start) and
   is not valid in the output. It harms no other channel.
3. After more than ``hold`` of them in a row the channel starts afresh at its next ok sample.
4. After a start, the first `settling` ok samples are output but not valid.

The settling is the number of samples n after which the slowest pole p has decayed to 1 %:
``n = ceil(log(0.01) / log(abs(p)))``. A segmented stream has none: a stretch round a stimulus
(some 100 ms) is shorter than the settling of a 10 Hz high-pass (104 ms), its signal has passed
the device's own high-pass already, and the steady-state start leaves no step to settle from.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ionm import compiled
from ionm.errors import SetupError, SignalError
from ionm.protocols import RunningFilter
from ionm.stream import Chunk, Flags, Samples, StreamInfo

Section = tuple[float, float, float, float, float, float]

# s; longer than any stimulus mask (at most 2.5 ms), so that a mask never restarts a filter, and
# shorter than the memory of a 10 Hz high-pass (time constant 16 ms), so that what is held is not stale
HOLD = 0.010

# V; far beyond any signal, and its product with any usable gain is still finite: no sample can
# drive the recursion to infinity, from where it would never return
LARGEST = 1e100


@runtime_checkable
class Recursive(Protocol):
    """A filter that is a cascade of sections, so that it can be fused with its neighbours."""

    @property
    def hold(self) -> float:
        """How long the state is held over samples that are not ok, in s."""
        ...

    def sections(self, info: StreamInfo) -> tuple[Section, ...]:
        """The cascade for this stream; `SetupError` if the settings do not fit it."""
        ...


@dataclass(frozen=True, slots=True)
class Sos:
    """A cascade of second-order sections.

    Each section computes, for input x and output y (transposed direct form II, float64, in
    exactly the order of operations of ``scipy.signal.sosfilt``, whose bits it gives)::

        y  = b0 x + z0
        z0 = (b1 x - a1 y) + z1
        z1 = b2 x - a2 y

    Parameters
    ----------
    coefficients
        One (b0, b1, b2, 1, a1, a2) per section, scipy's order; see `sections_of`.
    hold
        How long the state is held over samples that are not ok, in s; after that the channel
        starts afresh. The default's reason stands at `HOLD`.
    """

    coefficients: tuple[Section, ...]
    hold: float = HOLD

    def __post_init__(self) -> None:
        check_hold(self.hold)
        if not self.coefficients or any(len(section) != 6 for section in self.coefficients):
            raise ValueError(f"need one or more sections of six coefficients, got {self.coefficients!r}")
        for b0, b1, b2, a0, a1, a2 in self.coefficients:
            if not all(map(math.isfinite, (b0, b1, b2, a1, a2))):
                raise ValueError(f"need finite coefficients, got {(b0, b1, b2, a0, a1, a2)}")
            if a0 != 1.0:
                raise ValueError(f"need a0 = 1, got a0={a0:g}")
            if _pole_radius(a1, a2) >= 1.0:
                raise ValueError(f"need a stable section, got a1={a1:g}, a2={a2:g}")

    @property
    def settling(self) -> int:
        """Samples from a start until the slowest pole has decayed to 1 %."""
        radius = max(_pole_radius(a1, a2) for *_, a1, a2 in self.coefficients)
        return math.ceil(math.log(0.01) / math.log(radius)) if radius > 0.0 else 0

    def sections(self, info: StreamInfo) -> tuple[Section, ...]:
        """The cascade, whatever the stream."""
        del info
        return self.coefficients

    def start(self, info: StreamInfo) -> RunningFilter:
        """A fresh running cascade for a stream."""
        return start_on(None, self, info)

    def output(self, info: StreamInfo) -> StreamInfo:
        """The stream that comes out: ``info``."""
        return info

    def delay(self, info: StreamInfo, frequency: float) -> float:
        """Group delay at ``frequency`` (Hz), in s; `SetupError` unless 0 < frequency < fs/2."""
        if not frequency > 0:
            raise SetupError(f"need frequency > 0 Hz, got frequency={frequency:g} Hz")
        check_below_half("frequency", frequency, info)
        z = cmath.exp(-2j * math.pi * frequency / info.fs)
        samples = 0.0
        for b0, b1, b2, a0, a1, a2 in self.coefficients:
            samples += _polynomial_delay(b0, b1, b2, z) - _polynomial_delay(a0, a1, a2, z)
        return samples / info.fs


class _ScipyCascade:
    """The compiled cascade's twin: ``scipy.signal.sosfilt`` on each run of ok samples."""

    def __init__(self, sos: Samples, zi: Samples, n_channels: int, hold: int, settling: int) -> None:
        self._sos, self._zi, self._hold, self._settling = sos, zi, hold, settling
        self._state = np.zeros((len(sos), n_channels, 2))
        self._last = np.zeros(n_channels)
        self._missing = np.full(n_channels, hold + 1)  # samples since the last ok one: a start is due
        self._unsettled = np.zeros(n_channels, dtype=np.int64)

    def push(self, chunk: Chunk) -> Chunk:
        """The filtered chunk; `SignalError` if its arrays are not those of the stream."""
        from scipy.signal import sosfilt

        data, valid = chunk.data, chunk.valid
        check_array("data", data, np.float64, (len(self._last), None), chunk.start)
        check_array("valid", valid, np.bool_, data.shape, chunk.start)
        out = np.empty(data.shape)
        if out.size:
            ok = valid & (np.abs(data) <= LARGEST)
            if ok.all() and not self._missing.any() and not self._unsettled.any():
                out[:], self._state = sosfilt(self._sos, data, axis=-1, zi=self._state)
                self._last = out[:, -1].copy()
            else:
                valid = np.zeros(data.shape, dtype=np.bool_)
                for channel, good in enumerate(ok):
                    edges = [0, *(np.flatnonzero(good[1:] != good[:-1]) + 1), good.size]
                    for a, b in pairwise(edges):
                        stretch = channel, slice(a, b)
                        self._run(channel, data[stretch], out[stretch], valid[stretch], ok=good[a])
        return Chunk(out, valid, chunk.start, chunk.triggers, chunk.notes)

    def _run(self, channel: int, x: Samples, y: Samples, flags: Flags, *, ok: bool) -> None:
        """Take a run of samples of one channel that are all ok or all not."""
        from scipy.signal import sosfilt

        if not ok:
            y[:] = self._last[channel]
            self._missing[channel] += x.size
            return
        if self._missing[channel] > self._hold:
            self._state[:, channel] = self._zi * x[0]
            self._unsettled[channel] = self._settling
        self._missing[channel] = 0
        y[:], self._state[:, channel] = sosfilt(self._sos, x, zi=self._state[:, channel])
        self._last[channel] = y[-1]
        settling = min(self._unsettled[channel], x.size)
        self._unsettled[channel] -= settling
        flags[settling:] = True


def start_on(path: str | None, spec: Sos, info: StreamInfo) -> RunningFilter:
    """A fresh running cascade on a chosen path, for tests and benchmarks: the bits are the same.

    Parameters
    ----------
    path
        One of `ionm.compiled.paths`; None takes what IONM_KERNEL says or else the fastest.
    spec
        The cascade.
    info
        The stream.

    Raises
    ------
    SetupError
        If this machine lacks the path.
    """
    from scipy.signal import sosfilt_zi

    path = compiled.choose(path)
    sos = np.array(spec.coefficients)
    zi = np.ascontiguousarray(sosfilt_zi(sos), dtype=np.float64)
    settling = 0 if info.segmented else spec.settling
    hold = info.samples(spec.hold)
    if compiled.kernels is None or path == "scipy":
        return _ScipyCascade(sos, zi, info.n_channels, hold, settling)
    cascade: RunningFilter = compiled.kernels.Cascade(
        sos.tobytes(), zi.tobytes(), info.n_channels, hold, settling, LARGEST, path
    )
    return cascade


def fuse(filters: Sequence[Recursive], info: StreamInfo) -> Sos:
    """One cascade that does the work of several recursive filters in a row.

    On a segmented stream the output equals that of the separate stages to 1e-12 of the input's
    size (offset included), from the first sample. On a continuous stream a separate stage
    starts only when the one before it has settled, while the cascade starts and settles as
    one: where both are valid they differ by less than 1 % of the signal, and ever less.

    Raises
    ------
    ValueError
        If the filters' ``hold`` differ: their states would be held over different runs.
    SetupError
        If a filter does not fit the stream.
    """
    holds = {part.hold for part in filters}
    if len(holds) != 1:
        raise ValueError(f"need filters of one hold, got {sorted(holds)} s")
    return Sos(tuple(section for part in filters for section in part.sections(info)), holds.pop())


def sections_of(sos: Any) -> tuple[Section, ...]:
    """The rows of an array of sections, shape (n_sections, 6), as scipy's designs return them."""
    return tuple(cast(Section, tuple(map(float, row))) for row in sos)


def check_below_half(name: str, value: float, info: StreamInfo) -> None:
    """Refuse a frequency (Hz) that the stream cannot hold."""
    if not value < info.fs / 2:
        raise SetupError(f"{name}={value:g} Hz must lie below {info.fs / 2} Hz, half of fs={info.fs} Hz")


def check_order(order: int) -> None:
    """Refuse an order that no filter has."""
    if not (order >= 1 and order % 1 == 0):
        raise ValueError(f"need a whole order >= 1, got order={order!r}")


def check_hold(hold: float) -> None:
    """Refuse a hold (s) that is no duration."""
    if not (math.isfinite(hold) and hold >= 0):
        raise ValueError(f"need a finite hold >= 0 s, got hold={hold:g} s")


def check_array(
    name: str, array: NDArray[Any], kind: type[np.generic], shape: tuple[int | None, ...], start: int
) -> None:
    """Refuse what the compiled cascade refuses."""
    where = f"at sample {start}"
    if not isinstance(array, np.ndarray):
        raise SignalError(f"expected {name} of {np.dtype(kind)}, got no array, {where}")
    if array.dtype != kind:
        raise SignalError(f"expected {name} of {np.dtype(kind)}, got {array.dtype}, {where}")
    n_channels, n_samples = shape
    if array.ndim != 2 or array.shape[0] != n_channels or n_samples not in {None, array.shape[1]}:
        wanted = "n_samples" if n_samples is None else n_samples
        raise SignalError(f"expected {name} of shape ({n_channels}, {wanted}), got {array.shape}, {where}")
    if array.size and array.strides[1] != array.itemsize:
        raise SignalError(
            f"expected {name} whose samples lie side by side, got strides {array.strides} bytes, {where}"
        )


def _pole_radius(a1: float, a2: float) -> float:
    """The larger modulus of the roots of z**2 + a1 z + a2."""
    square = a1 * a1 - 4 * a2
    return math.sqrt(a2) if square < 0 else (abs(a1) + math.sqrt(square)) / 2


def _polynomial_delay(c0: float, c1: float, c2: float, z: complex) -> float:
    """Group delay of c0 + c1 z + c2 z**2 (z = the unit delay), in samples."""
    if c0 == c2:  # linear phase; a zero of the polynomial at this very frequency would give 0 / 0
        return 1.0
    return ((c1 * z + 2 * c2 * z * z) / (c0 + c1 * z + c2 * z * z)).real
