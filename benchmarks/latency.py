"""How long the whole live path takes per chunk, from samples to events.

    python benchmarks/latency.py [--minutes 5] [--channels 16] [--chunk-ms 5]

A simulated case (20 kHz, both sites at 1.1 Hz) with further channels of noise is cut into chunks
beforehand; then each push of the session is timed. Chunks that complete a sweep are reported apart
from the others. Nothing else may run on the machine for the figures to mean anything.
"""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import dataclass

import numpy as np

from ionm.bench import Times, machine
from ionm.protocol import load
from ionm.session import Session
from ionm.simulate import scenario, simulate_case
from ionm.stream import Channel, Chunk, StreamInfo

FS = 20_000.0


@dataclass(frozen=True, slots=True)
class Latency:
    with_sweep: Times
    idle: Times


def chunks(minutes: float, n_channels: int, seconds: float) -> tuple[StreamInfo, list[Chunk]]:
    case = simulate_case(scenario("lost-at-decompression", minutes=minutes, fs=FS, spares=True), seed=1)
    extra = n_channels - case.info.n_channels
    rails = case.info.channels[0].rails
    info = StreamInfo(FS, (*case.info.channels, *(Channel(f"extra {i}", "emg", rails) for i in range(extra))))
    rng = np.random.default_rng(1)
    cut = []
    for piece in case.chunks(seconds):
        noise = rng.normal(0, 3e-6, (extra, piece.n_samples))
        data = np.concatenate([piece.data, noise])
        cut.append(Chunk(data, np.isfinite(data), piece.start, piece.triggers, piece.notes))
    return info, cut


def measure(info: StreamInfo, cut: list[Chunk]) -> Latency:
    modalities, _ = load("mvd-hfs").fit(info, None)
    session = Session(modalities, info)
    with_sweep: list[float] = []
    idle: list[float] = []
    for piece in cut[:400]:
        session.push(piece)
    gc.collect()
    gc.disable()
    for piece in cut[400:]:
        begin = time.perf_counter()
        events = session.push(piece)
        took = time.perf_counter() - begin
        (with_sweep if any(type(e).__name__ == "Response" for e in events) else idle).append(took)
    gc.enable()
    return Latency(Times.of(with_sweep), Times.of(idle))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--chunk-ms", type=float, default=5.0)
    options = parser.parse_args()
    info, cut = chunks(options.minutes, options.channels, options.chunk_ms / 1e3)
    print(machine())
    latency = measure(info, cut)
    print(f"{options.channels} channels x {options.chunk_ms:g} ms, {options.minutes:g} min")
    print(f"chunk completes a sweep: {latency.with_sweep}")
    print(f"other chunks:            {latency.idle}")


if __name__ == "__main__":
    main()
