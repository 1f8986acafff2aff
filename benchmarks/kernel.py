"""The filter kernel against its peers and against the machine: 8 biquads at 20 kHz, chunk by chunk.

    sh benchmarks/setup_peers.sh && benchmarks/.venv/bin/python benchmarks/kernel.py

Each round times every composition in turn, so that a slow moment of the machine falls on all; ratios are
between medians of one run. The time is that of the public call: for ionm from `Chunk` to `Chunk`, with the
check for invalid and non-finite samples. Before timing, every composition filters the same recording and is
compared with ``scipy.signal.sosfilt`` on the whole of it.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import peers
from scipy import signal

from ionm.compiled import kernel, paths
from ionm.filters.sos import fuse
from ionm.stream import chunk

HERE = Path(__file__).parent
CHANNELS = (8, 16, 64)
CHUNK_MS = (1, 5, 10, 50)
LANES = {"avx512": 8, "avx2": 4, "sse2": 2, "neon": 2}
FLOOR = "an empty chunk"
N_SECTIONS = 8


def recording(n_channels: int, n_samples: int) -> Any:
    """EMG-like noise on an electrode's offset, in V."""
    return np.random.default_rng(n_channels).normal(3e-4, 2e-5, (n_channels, n_samples))


def deviation(peer: peers.Peer, data: Any, n: int) -> str:
    """How the peer's output differs from scipy's on the whole recording, in words."""
    parts = [peer.unwrap(peer.step(peer.wrap(data[:, a : a + n].copy()))) for a in range(0, data.shape[1], n)]
    sos = np.array(fuse((peers.BANDPASS, *peers.NOTCHES), peers.stream(len(data))).coefficients)
    zi = signal.sosfilt_zi(sos)[:, None, :] * data[None, :, :1]
    whole, _ = signal.sosfilt(sos, data, axis=-1, zi=zi)
    out = np.hstack(parts)
    if np.array_equal(out, whole):
        return "equal bits"
    apart = np.abs(out - whole) * 1e6
    return f"{apart.max():.1g} uV, in the last tenth {apart[:, -apart.shape[1] // 10 :].max():.1g} uV"


def limits(path: str) -> dict[str, Callable[[], float]]:
    """Measurements of the machine's limit for the arithmetic of the cascade, in ns per channel-sample."""
    compiler = shutil.which("cc")
    if compiler is None or path not in LANES:
        return {}
    lanes, n = LANES[path], 20_000
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "port_limit.so"
        source = HERE / "port_limit.c"
        options = ["-O2", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, str(source), "-o", str(library)], check=True)
        loaded = ctypes.CDLL(str(library))

    def measure(name: str) -> Callable[[], float]:
        run = loaded[f"{name}{lanes}"]
        run.argtypes, run.restype = [ctypes.c_long], ctypes.c_double

        def once() -> float:
            run(n)  # unmeasured: the first run after other code is up to half as long again
            runs = []
            for _ in range(5):
                start = perf_counter_ns()
                run(n)
                runs.append(perf_counter_ns() - start)
            return min(runs) / (6 * n) * N_SECTIONS / lanes  # a limit is the fastest that was ever seen

        return once

    return {name: measure(name) for name in ("general", "even")}


def timings(
    n_channels: int, n_samples: int, rounds: int
) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """Median and p99 of every composition in us per chunk; the limits in ns per channel-sample."""
    first = recording(n_channels, n_samples)
    steps = {peer.name: (peer.step, peer.wrap(first)) for peer in peers.everyone(first)}
    fastest = next(iter(steps))
    steps[FLOOR] = (steps[fastest][0], chunk(first[:, :0]))
    bounds = limits(paths()[0])
    batches: dict[str, list[float]] = {name: [] for name in steps}
    singles: dict[str, list[float]] = {name: [] for name in steps}
    found: dict[str, list[float]] = {name: [] for name in bounds}
    counts = {}
    for name, (step, message) in steps.items():
        start = perf_counter_ns()
        for _ in range(20):
            step(message)
        counts[name] = max(5, int(2e6 * 20 / (perf_counter_ns() - start)))  # 2 ms a batch
    for _ in range(rounds):
        for name, (step, message) in steps.items():
            n = counts[name]
            start = perf_counter_ns()
            for _ in range(n):
                step(message)
            batches[name].append((perf_counter_ns() - start) / n / 1e3)
            for _ in range(max(5, n // 4)):
                start = perf_counter_ns()
                step(message)
                singles[name].append((perf_counter_ns() - start) / 1e3)
        for name, once in bounds.items():
            found[name].append(once())
    medians = {
        name: (float(np.median(batches[name])), float(np.percentile(singles[name], 99))) for name in steps
    }
    return medians, {name: min(values) for name, values in found.items()}


def machine() -> list[str]:
    """What was measured on what, by which command."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    facts = dict(line.split(":", 1) for line in cpu.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    flags = named.get("flags", named.get("Features", "")).split()
    model = named.get("model name", platform.processor())
    if "cpu family" in named:
        model += f" (family {named['cpu family']}, model {named['model']})"
    packages = (
        *("numpy", "scipy", "ezmsg-sigproc", "mne-lsl"),
        *("timeflux-dsp", "timeflux", "psiaudio", "brainflow"),
    )
    return [
        f"- command: `python {shlex.join(['benchmarks/kernel.py', *sys.argv[1:]])}`",
        f"- ionm's kernel in use: **{kernel()}**; available: {', '.join(paths())}",
        f"- {model}, {len(flags)} CPU flags; {platform.system()} {platform.machine()}",
        f"- Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in packages),
    ]


def table(
    n_channels: int, results: dict[int, dict[str, tuple[float, float]]], kinds: dict[str, str]
) -> list[str]:
    """One row per composition; the ratio is to ionm's public push."""
    ours = next(iter(kinds))
    lines = [
        f"**{n_channels} channels**: us per chunk, median (p99), x the time of the first row",
        "",
        "| composition | " + " | ".join(f"{ms} ms" for ms in results) + " |",
        "|---|" + "---|" * len(results),
    ]
    for name in kinds:
        cells = []
        for medians in results.values():
            median, p99 = medians[name]
            cells.append(f"{median:.2f} ({p99:.1f}) **x{median / medians[ours][0]:.1f}**")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def best_peer(medians: dict[str, tuple[float, float]], kinds: dict[str, str]) -> tuple[str, float]:
    """The fastest public composition that is not ionm's, and how many times longer it takes."""
    ours = next(iter(kinds))
    name = min((name for name, kind in kinds.items() if kind == "peer"), key=lambda name: medians[name][0])
    return name, medians[name][0] / medians[ours][0]


def plot(
    everything: dict[int, dict[int, dict[str, tuple[float, float]]]], kinds: dict[str, str], file: Path
) -> None:
    """Time per chunk over chunk length."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(everything), figsize=(11, 4.6), sharey=True, layout="constrained")
    styles = {"ionm": "-", "peer": "--", "private": ":"}
    for axis, (n_channels, results) in zip(np.atleast_1d(axes), everything.items(), strict=True):
        for colour, (name, kind) in zip(mpl.colormaps["tab20"].colors, kinds.items(), strict=False):
            values = [medians[name][0] for medians in results.values()]
            axis.loglog(
                list(results), values, styles[kind], color=colour, marker="o", markersize=3, label=name
            )
        axis.loglog(list(results), [ms * 1e3 for ms in results], color="0.6", linewidth=1, label="real time")
        axis.set(title=f"{n_channels} channels", xlabel="chunk (ms)")
        axis.set_xticks(list(results), [str(ms) for ms in results], minor=False)
        axis.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("time per chunk (us)")
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7)
    figure.suptitle(f"8 biquads at 20 kHz, kernel in use: {kernel()}", fontsize=10)
    figure.savefig(file, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, help="rounds per size (15)")
    parser.add_argument("--channels", type=int, nargs="+", default=CHANNELS)
    parser.add_argument("--chunk-ms", type=int, nargs="+", default=CHUNK_MS)
    parser.add_argument("--output", type=Path, default=HERE, help="where kernel.md and kernel.png go")
    options = parser.parse_args()

    data = recording(3, 10_000)
    members = peers.everyone(data[:, :100])
    kinds = {peer.name: peer.kind for peer in members}
    lines = [
        "# Kernel benchmark",
        "",
        *machine(),
        "",
        "Largest difference from `scipy.signal.sosfilt` on the whole recording:",
        "",
    ]
    lines += [f"- {peer.name}: {deviation(peer, data, 100)}" for peer in members]

    everything: dict[int, dict[int, dict[str, tuple[float, float]]]] = {}
    shares = [
        "**Against the machine**: the push less that of an empty chunk (so with the checks of every sample),",
        "beside the limit found in the same rounds (`port_limit.c`: as much vector arithmetic without fused",
        "multiply-adds, nothing waiting, loaded or stored). even = 4 multiplications + 4 additions a",
        "section: what the kernel does here, where b2 = b0. general = 5 + 4: sections without that symmetry.",
        "",
        "| channels x chunk | push, us | empty push, us | kernel, ns | even limit | x | general limit | x |",
        "|---|---|---|---|---|---|---|---|",
    ]
    verdicts = ["| channels x chunk | best public peer | x |", "|---|---|---|"]
    ours = next(iter(kinds))
    for n_channels in options.channels:
        everything[n_channels] = {}
        for ms in options.chunk_ms:
            n_samples = round(ms * peers.FS / 1000)
            medians, bounds = timings(n_channels, n_samples, options.rounds)
            everything[n_channels][ms] = medians
            size = f"{n_channels} x {ms} ms"
            kernel_ns = (medians[ours][0] - medians[FLOOR][0]) * 1e3 / (n_channels * n_samples)
            if bounds:
                general, even = bounds["general"], bounds["even"]
                if kernel_ns < even:
                    raise SystemExit(
                        f"{size}: {kernel_ns:.2f} ns is below the limit of {even:.2f} ns: a bad run"
                    )
                shares.append(
                    f"| {size} | {medians[ours][0]:.2f} | {medians[FLOOR][0]:.2f} | {kernel_ns:.2f} "
                    f"| {even:.2f} | {kernel_ns / even:.2f} | {general:.2f} | {kernel_ns / general:.2f} |"
                )
            name, ratio = best_peer(medians, kinds)
            verdicts.append(f"| {size} | {name} | {ratio:.1f} |")
            print(
                f"{size}: ionm {medians[ours][0]:.2f} us, best public peer x{ratio:.1f} ({name})",
                file=sys.stderr,
            )

    lines += ["", "**Against the best public peer**", "", *verdicts, "", *shares]
    for n_channels, results in everything.items():
        lines += ["", *table(n_channels, results, kinds)]
    (options.output / "kernel.md").write_text("\n".join(lines) + "\n")
    plot(everything, kinds, options.output / "kernel.png")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
