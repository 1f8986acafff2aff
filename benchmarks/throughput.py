"""How many times real time a recording is replayed, on one core.

    python benchmarks/throughput.py [--minutes 10] [--channels 8]

Writes a simulated EDF+ of 20 kHz into a temporary folder, with further channels of noise, and a
protocol that reads them all; then runs ``ionm replay --speed max`` on it as its user would, bound
to one core, and divides the length of the recording by the wall time of the whole process, start
and imports included, and by its CPU time.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ionm.bench import machine
from ionm.protocol import FOLDER
from ionm.simulate import SimulatedCase, scenario, simulate_case, write_edf
from ionm.stream import Channel, StreamInfo

FS = 20_000.0
SPARES = ("Nasalis", "Masseter", "Platysma", "Buccinator")


class Eight:
    """A simulated case of six channels, with two more of noise."""

    def __init__(self, six: SimulatedCase) -> None:
        self._six = six
        rails = six.info.channels[0].rails
        more = tuple(Channel(name, "emg", rails) for name in SPARES[2:])
        self.info = StreamInfo(six.info.fs, (*six.info.channels, *more))

    def __getattr__(self, name: str) -> object:
        return getattr(self._six, name)

    def counts(self, number: int, bits: int | None = None) -> np.ndarray:
        counts = self._six.counts(number, bits)
        noise = np.random.default_rng(number).normal(0, 8, (2, counts.shape[1]))
        return np.concatenate([counts, noise.astype(counts.dtype)])


def protocol(folder: Path) -> Path:
    """mvd-hfs with every spare channel of the recording as a derivation of its own."""
    text = (FOLDER / "mvd-hfs.toml").read_text(encoding="utf-8")
    for muscle in SPARES:
        for site in ("zygomatic", "mandibular"):
            text += f'\n[[lsr.derivation]]\nsite = "{site}"\nmuscle = "{muscle}"\nrole = "spare"\n'
    path = folder / "mvd-hfs-spares.toml"
    path.write_text(text, encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording = folder / "case.edf"
        script = scenario("lost-at-decompression", minutes=options.minutes, fs=FS, spares=True)
        case = Eight(simulate_case(script, seed=1))
        write_edf(case, recording)
        seconds = case.n_samples / FS
        command = [
            sys.executable,
            "-m",
            "ionm",
            "replay",
            str(recording),
            "--protocol",
            str(protocol(folder)),
        ]
        command += ["--events", str(folder / "events.jsonl"), "--summary", str(folder / "summary.json")]
        core = min(os.sched_getaffinity(0))
        for _ in range(options.runs):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            begin = time.perf_counter()
            subprocess.run(
                command,
                check=True,
                stdout=subprocess.DEVNULL,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
            wall = time.perf_counter() - begin
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"{case.info.n_channels} channels x {FS:g} Hz, {seconds:g} s: "
                f"{seconds / wall:.0f} x real time (wall {wall:.2f} s), {seconds / cpu:.0f} x by CPU time; "
                f"largest memory {after.ru_maxrss / 1024:.0f} MB"
            )


if __name__ == "__main__":
    main()
