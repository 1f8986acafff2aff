"""Whether memory stays flat over 24 simulated hours.

    python benchmarks/memory.py [--hours 24] [--fs 10000]

Ten minutes of a simulated case go through one session again and again, each time further along the
sample clock, so that the session sees an uninterrupted stream. The resident memory is read every
simulated hour; the slope is taken after the first.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import psutil

from ionm.bench import machine
from ionm.protocol import load
from ionm.session import Session
from ionm.simulate import scenario, simulate_case
from ionm.stream import Chunk

MINUTES = 10
CHUNK = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--fs", type=float, default=10_000.0)
    options = parser.parse_args()
    print(machine())
    case = simulate_case(scenario("noisy", minutes=MINUTES, fs=options.fs), seed=1)
    pieces = [Chunk(c.data, c.valid, c.start, c.triggers, ()) for c in case.chunks(CHUNK)]
    modalities, _ = load("mvd-hfs").fit(case.info, None)
    session = Session(modalities, case.info)
    process = psutil.Process()
    readings: list[tuple[float, float]] = []
    events = 0
    begin = time.perf_counter()
    for turn in range(round(options.hours * 60 / MINUTES)):
        offset = turn * case.n_samples
        for piece in pieces:
            triggers = tuple(replace(t, sample=t.sample + offset) for t in piece.triggers)
            events += len(session.push(Chunk(piece.data, piece.valid, piece.start + offset, triggers)))
        if (turn + 1) * MINUTES % 60 == 0:
            hour = (turn + 1) * MINUTES / 60
            readings.append((hour, process.memory_info().rss / 2**20))
            print(f"hour {hour:4.0f}: {readings[-1][1]:7.1f} MB, {events} events", flush=True)
    took = time.perf_counter() - begin
    if len(readings) > 2:
        hours, megabytes = np.array(readings[1:]).T
        slope = np.polyfit(hours, megabytes, 1)[0]
        speed = options.hours * 3600 / took
        print(f"slope after the first hour: {slope * 1024:.0f} kB an hour; {speed:.0f} x real time")


if __name__ == "__main__":
    main()
