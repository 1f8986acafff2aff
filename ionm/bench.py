"""Self-test of this machine: whether the kernel is exact, and how fast the live path is here."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass

import numpy as np

from ionm.compiled import kernel, paths
from ionm.filters.bandpass import Bandpass
from ionm.filters.sos import fuse, start_on
from ionm.protocol import load
from ionm.session import Session
from ionm.simulate import scenario, simulate_case
from ionm.stream import Channel, StreamInfo, chunk

FS = 20_000.0
CHUNK = 0.005


@dataclass(frozen=True, slots=True)
class Times:
    """Durations of many calls, in us."""

    median: float
    p99: float
    worst: float
    count: int

    @classmethod
    def of(cls, seconds: list[float]) -> Times:
        """The figures of durations in s."""
        us = np.array(seconds) * 1e6
        return cls(float(np.median(us)), float(np.percentile(us, 99)), float(us.max()), len(seconds))

    def __str__(self) -> str:
        figures = f"median {self.median:.1f} us, p99 {self.p99:.1f} us, worst {self.worst:.1f} us"
        return f"{figures} ({self.count} calls)"


def machine() -> str:
    """What the figures were measured on."""
    return (
        f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, kernel {kernel()}"
    )


def kernel_is_exact() -> bool:
    """Whether every way of computing a cascade gives the bits of scipy here."""
    info = StreamInfo(FS, tuple(Channel(f"c{i}") for i in range(16)))
    spec = fuse([Bandpass(30.0, 3000.0)], info)
    data = chunk(np.random.default_rng(1).normal(0, 1e-5, (16, 2000)))
    outputs = [start_on(path, spec, info).push(data).data for path in paths()]
    return all(np.array_equal(outputs[0], other) for other in outputs)


def filter_times(n_channels: int = 16, rounds: int = 2000) -> Times:
    """One push of a band-pass over one chunk."""
    info = StreamInfo(FS, tuple(Channel(f"c{i}") for i in range(n_channels)))
    running = Bandpass(30.0, 3000.0).start(info)
    data = chunk(np.random.default_rng(1).normal(0, 1e-5, (n_channels, info.samples(CHUNK))))
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        running.push(data)
        seconds.append(time.perf_counter() - begin)
    return Times.of(seconds[rounds // 10 :])


def session_times(minutes: float = 2.0) -> tuple[Times, Times]:
    """The whole live path over a simulated case: chunks that complete a sweep, and the others."""
    case = simulate_case(scenario("lost-at-decompression", minutes=minutes, fs=FS), seed=1)
    modalities, _ = load("mvd-hfs").fit(case.info, None)
    session = Session(modalities, case.info)
    with_sweep: list[float] = []
    idle: list[float] = []
    for piece in case.chunks(CHUNK):
        begin = time.perf_counter()
        events = session.push(piece)
        (with_sweep if events else idle).append(time.perf_counter() - begin)
    return Times.of(with_sweep), Times.of(idle)
