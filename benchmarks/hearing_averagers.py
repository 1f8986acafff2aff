"""Averagers and latency estimators against each other: the table of hearing.md 5.5, and ours beside it.

    python benchmarks/hearing_averagers.py [--hours 2] [--steps 150] [--exponent 1.5]

Sweep noise 1.5 uV, wave V 0.54 uV, 43.9 clicks/s, an update every 11 sweeps (0.25 s); the step: wave V
later by 1.0 ms and 0.7 times as large. Alarm: a shift of more than 0.6 ms on two updates in a row (blocks:
on each block). Noise and template are drawn free of the filter's delay, block by block; the template is
known, as in the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.signal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from detectors.hearing_noise import FS, TRUE, ZERO, Colour, average, v

SIGMA, RATE, BLOCK = 1.5e-6, 43.9, 11
SEGMENT = slice(ZERO + round(4.7e-3 * FS), ZERO + round(9.4e-3 * FS))
PEAK = slice(ZERO + round(4.9e-3 * FS), ZERO + round(8.4e-3 * FS))
SHIFTS = np.arange(-20, 51)  # samples of 50 us


def smooth(x: np.ndarray) -> np.ndarray:
    """As the clinician sees it: 1.5 kHz, zero phase."""
    return scipy.signal.sosfiltfilt(scipy.signal.butter(2, 1500, fs=FS, output="sos"), x, axis=-1)


def by_peak(x: np.ndarray) -> np.ndarray:
    """Shift of the largest peak, in ms."""
    return (PEAK.start + np.argmax(smooth(x)[:, PEAK], axis=1) - ZERO) / FS * 1e3 - TRUE["V"] * 1e3


def by_template(x: np.ndarray) -> np.ndarray:
    """Shift of the largest correlation with the segment of wave V, in ms."""
    template = average()[SEGMENT] - average()[SEGMENT].mean()
    bank = np.stack([np.roll(np.pad(template, 60), s) for s in SHIFTS])
    reach = slice(SEGMENT.start - 60, SEGMENT.stop + 60)
    return SHIFTS[np.argmax(x[:, reach] @ bank.T, axis=1)] / FS * 1e3


def block_means(x: np.ndarray, size: int) -> np.ndarray:
    """Means of successive blocks of updates, held until the next is complete."""
    n = len(x) // size
    means = x[: n * size].reshape(n, size, -1).mean(axis=1)
    held = np.repeat(means, size, axis=0)
    return np.concatenate([np.repeat(average()[None], size - 1, axis=0), held])[: len(x)]


def sliding(x: np.ndarray, size: int) -> np.ndarray:
    total = np.cumsum(np.concatenate([np.repeat(average()[None], size, axis=0), x]), axis=0)
    return (total[size:] - total[:-size]) / size


def forgetting(x: np.ndarray, size: int) -> np.ndarray:
    a = 2 / (size + 1)
    start = (1 - a) * average()[None]
    return scipy.signal.lfilter([a], [1, a - 1], x, axis=0, zi=start)[0]


AVERAGERS: dict[str, tuple[Callable[[np.ndarray, int], np.ndarray], int, int]] = {
    "blocks of 396": (block_means, 36, 1),
    "blocks of 198": (block_means, 18, 1),
    "sliding 396": (sliding, 36, 2),
    "sliding 198": (sliding, 18, 2),
    "sliding 99": (sliding, 9, 2),
    "EWMA 396": (forgetting, 36, 2),
    "EWMA 198": (forgetting, 18, 2),
    "EWMA 99": (forgetting, 9, 2),
}


def alarms(shift: np.ndarray, updates: int) -> np.ndarray:
    late = shift > 0.6
    return late if updates == 1 else late & np.concatenate([[False], late[:-1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--exponent", type=float, default=1.5)
    options = parser.parse_args()
    colour = Colour(options.exponent)
    scale, second = SIGMA / np.sqrt(BLOCK), RATE / BLOCK
    quiet = average() + scale * colour.draw(int(options.hours * 3600 * second))
    before, after = int(20 * second), int(30 * second)
    changed = average(**v(1.0e-3, 0.7))
    print(
        f"noise power falling by frequency to the {options.exponent:g}: false alarms an hour, median / p95 s"
    )
    for name, (averager, size, updates) in AVERAGERS.items():
        cells = []
        for estimator in (by_peak, by_template):
            hits = alarms(estimator(averager(quiet, size)), updates)
            # alarms less than 10 s apart are one
            where = np.flatnonzero(hits)
            false = 0 if not len(where) else 1 + int(np.sum(np.diff(where) > 10 * second))
            times = []
            rng = np.random.default_rng(1)
            for _ in range(options.steps):
                lead = before + int(rng.integers(0, size))  # the step falls at any phase of a block
                x = scale * colour.draw(lead + after) + np.where(
                    np.arange(lead + after)[:, None] < lead, average(), changed
                )
                late = alarms(estimator(averager(x, size)), updates)[lead:]
                times.append((np.argmax(late) + 1) / second if late.any() else np.inf)
            median, p95 = np.quantile(times, [0.5, 0.95], method="lower")
            cells.append(f"{false / options.hours:5.1f}, {median:4.1f} / {p95:4.1f}")
        print(f"{name:14}  largest peak {cells[0]}    template {cells[1]}", flush=True)


if __name__ == "__main__":
    main()
