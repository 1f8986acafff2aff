"""Real auditory brainstem averages: published residual noise and Fmp, experts' labels, latency against level.

No open intraoperative recording exists; these are listeners and mice. Everything is read from halves and
sweep counts as published; see the data's own descriptions for origin and licence.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.signal

from ionm.averaging import Averaging
from ionm.detectors.waves import Picking
from ionm.evidence import fmp_of, fmp_verdict
from ionm.residual import autocovariance, rms, split_half
from ionm.sweeps import Layout

DATA = Path(os.environ.get("IONM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
EARNDB = DATA / "abr_earndb"
CLICKS = DATA / "abr_human_clicks"
pytestmark = pytest.mark.skipif(not CLICKS.exists(), reason="the open recordings are not on this machine")


@dataclass
class Half:
    trace: np.ndarray  # uV, 48 kHz
    trials: int
    fmp: float
    noise: float  # uV


def half(path: Path) -> Half:
    """One WFDB record of two 32-bit channels: inverted gain, residual noise as power in nV**2 / 1000."""
    header = path.read_text("latin-1")
    first, abr = header.splitlines()[:2]
    gain = float(re.match(r"[\d.e+-]+", abr.split()[2])[0])
    trials, fmp, power = re.search(
        r"Trials Used>:\s*(\d+).*<wnsfmp>:\s*([\d.]+).*level>:\s*([\d.]+)", header
    ).groups()
    counts = np.fromfile(path.with_suffix(".dat"), "<i4").reshape(-1, int(first.split()[1]))
    return Half(counts[:, 0] * gain, int(trials), float(fmp), np.sqrt(float(power) / 1000))


@cache
def earndb() -> list[tuple[str, int, Half, Half]]:
    """Every pair of halves with its label's key and level."""
    found = []
    for path in sorted(EARNDB.glob("N*_R1.hea")):
        listener, level, khz = re.match(r"N(\d)_evoked_ave(\d+)_F(\d)", path.name).groups()
        other = path.with_name(path.name.replace("_R1", "_R2"))
        found.append((f"{listener}|{float(khz)}|{level}", int(level), half(path), half(other)))
    return found


def test_the_published_fmp_is_that_of_the_half_over_its_published_noise() -> None:
    """earndb, hearing.md 9.10 as far as averages allow: 252 halves, the window is the whole sweep."""
    ratios = [fmp_of(h.trace, h.noise) / h.fmp for *_, a, b in earndb() for h in (a, b)]

    assert len(ratios) == 252
    assert np.median(ratios) == pytest.approx(1.0, abs=0.06)
    assert np.mean(np.abs(np.log(ratios)) < np.log(1.3)) > 0.8


def test_the_published_residual_noise_is_found_from_the_two_halves() -> None:
    found = [rms(a.trace - b.trace) / np.sqrt(2) for *_, a, b in earndb()]
    published = [np.sqrt((a.noise**2 + b.noise**2) / 2) for *_, a, b in earndb()]

    ratios = np.divide(found, published)
    assert np.median(ratios) == pytest.approx(1.0, abs=0.06)
    assert np.corrcoef(np.log(found), np.log(published))[0, 1] > 0.75


def area(values: list[float], labels: list[int]) -> float:
    """Under the ROC."""
    v, y = np.array(values), np.array(labels, bool)
    return float(np.mean((v[y][:, None] > v[~y]) + 0.5 * (v[y][:, None] == v[~y])))


@pytest.mark.parametrize("listeners", ["124", "1234"])
def test_detection_agrees_with_the_audiologist_no_worse_than_the_published_fmp(listeners: str) -> None:
    """Fmp and split-half r of the filtered halves, 4 to 11 ms: behind the stimulus artefact. 3 came late."""
    labels = json.loads((EARNDB / "earndb_expert_labels_salisadegh.json").read_text("utf-8"))
    sos = scipy.signal.butter(2, (100, 3000), "bandpass", fs=48_000, output="sos")
    window, clean = slice(192, 528), slice(240, 1920)
    seen, published, ours, halves = [], [], [], []
    for key, _, a, b in earndb():
        if key[0] not in listeners or key not in labels:
            continue
        x, y = (scipy.signal.sosfiltfilt(sos, h.trace) for h in (a, b))
        seen.append(labels[key])
        published.append((a.fmp + b.fmp) / 2)
        ours.append(fmp_of(((x + y) / 2)[window], rms(((x - y) / 2)[clean])))
        halves.append(split_half(x[window], y[window]))

    assert area(ours, seen) >= area(published, seen) + 0.05
    assert area(ours, seen) > 0.8
    assert area(halves, seen) >= area(published, seen)


@dataclass
class Level:
    halves: np.ndarray  # (traces, 2, samples), uV
    sweeps: np.ndarray
    zero: int
    fs: float = 20_000.0

    @property
    def average(self) -> np.ndarray:
        return np.average(self.halves.mean(axis=1), axis=0, weights=self.sweeps)

    @property
    def noise(self) -> np.ndarray:
        """Half differences as noise of one sweep, from 1 ms on, (traces, samples)."""
        difference = (self.halves[:, 0] - self.halves[:, 1]) / 2
        return difference[:, self.zero + 20 : -5] * np.sqrt(self.sweeps)[:, None]


@cache
def clicks(subject: str) -> dict[int, Level]:
    """Every level of a subject: the traces sampled each 50 us."""
    found = {}
    for path in CLICKS.glob(f"human/TEMP-{subject}-*.TXT.gz"):
        with gzip.open(path, "rt", encoding="latin-1") as text:
            rows = list(csv.reader(text))
        begin = next(i for i, row in enumerate(rows) if row[0].startswith("Data Pnt"))
        head = {
            row[0].strip(): [float(c) for c in row[1:] if c.strip()]
            for row in rows[8:begin]
            if "Stim" not in row[0] and "TRUE" not in row
        }
        columns = [i for i, name in enumerate(rows[begin]) if name.strip() == "Buffer1(uV):"]
        table = np.array(
            [[float(row[i]) for c in columns for i in (c, c + 2)] for row in rows[begin + 1 : begin + 1025]]
        )
        halves = table.T.reshape(len(columns), 2, -1)
        kept = [i for i, period in enumerate(head["Smp. Period:"]) if period == 50.0]
        level = int(re.search(r"-(\d+)db", path.name)[1])
        found[level] = Level(
            halves[kept], np.array(head["Sweeps:"])[kept], int(head["Zero Position:"][kept[0]])
        )
    return dict(sorted(found.items()))


def wave_v(level: Level) -> float | None:
    """Latency of wave V in s."""
    covariance = autocovariance(level.noise, level.noise.shape[1])
    noise = np.sqrt(covariance[0] / level.sweeps.sum())
    wave = Picking(tube=0.6e-3, end=11e-3).pick(level.average, noise, covariance, level.zero, level.fs)["V"]
    return None if wave is None else wave.latency


def detected(level: Level) -> bool:
    """By Fmp at one in a hundred, 5 to 12 ms, with the recording's own degrees of freedom."""
    covariance = autocovariance(level.noise, 1)
    window = level.average[level.zero + 100 : level.zero + 240]
    noise = np.sqrt(covariance[0] / level.sweeps.sum())
    return fmp_verdict(window, float(noise), level.noise, float(level.sweeps.sum())).p_value < 0.01


def test_wave_v_comes_later_the_softer_the_click() -> None:
    """Subject 03: 5.95 ms at 60 dB to 7.85 ms at 20 dB; both subjects without a step back."""
    latencies = {level: wave_v(record) for level, record in clicks("03").items()}

    assert latencies[60] == pytest.approx(5.95e-3, abs=0.1e-3)
    assert latencies[20] == pytest.approx(7.85e-3, abs=0.15e-3)
    for subject, lowest in (("03", 15), ("06", 5)):
        found = [wave_v(record) for level, record in clicks(subject).items() if level >= lowest]
        assert None not in found
        assert np.all(np.diff(found) < 0)


def test_no_wave_is_found_where_nobody_hears() -> None:
    assert [wave_v(clicks("03")[level]) for level in (0, 5, 10)] == [None] * 3
    assert wave_v(clicks("06")[0]) is None


@pytest.mark.parametrize(("subject", "lowest", "highest"), [("03", 5, 15), ("06", 0, 5)])
def test_the_threshold_lies_within_5_db_of_the_experts(subject: str, lowest: int, highest: int) -> None:
    heard = [level for level, record in clicks(subject).items() if detected(record)]

    threshold = min(
        level for level in heard if all(other in heard for other in clicks(subject) if other > level)
    )
    assert lowest - 5 <= threshold <= highest + 5


def test_residual_noise_falls_as_the_square_root_of_the_sweeps() -> None:
    """From 500 to 2000 sweeps, geometric mean over all levels: single averages differ by restlessness."""
    logs = {500: [], 1000: [], 2000: []}
    for subject in ("03", "06"):
        for record in clicks(subject).values():
            for noise, sweeps in zip(record.noise, record.sweeps, strict=True):
                logs[int(sweeps)].append(np.log(rms(noise) / np.sqrt(sweeps)))

    slope = np.polyfit(np.log([500, 1000, 2000]), [np.mean(logs[n]) for n in (500, 1000, 2000)], 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.12)


@cache
def mouse(level: int) -> np.ndarray:
    """Averages of two sweeps each, shape (n, 366), in V, 24.4 kHz."""
    records = scipy.io.loadmat(
        CLICKS / f"mouse/wt-01_spl{level:02}.mat", squeeze_me=True, struct_as_record=False
    )["ABR"]
    return np.stack([np.asarray(record.p, float) for record in records])


def averaged(records: np.ndarray, **settings: object) -> object:
    """One bank that never forgets, of records whose slow drift is taken off."""
    sos = scipy.signal.butter(2, 300, "highpass", fs=24_414, output="sos")
    sweeps = scipy.signal.sosfiltfilt(sos, records, axis=1)
    spec = Averaging((9e-3, 14.5e-3), (0.5e-3, 14.5e-3), 1.0, sizes=(np.inf,), block=8, **settings)
    running = spec.start(Layout((0,), None, 0, sweeps.shape[1], 24_414.0, 0.0))
    valid = np.ones((1, sweeps.shape[1]), bool)
    for i, sweep in enumerate(sweeps[: len(sweeps) // 8 * 8]):
        running.push(i, sweep[None], valid, (None,))
    return running.average(0, 0)


@pytest.mark.parametrize("level", [0, 40, 90])
def test_the_weighted_average_of_a_mouse_is_no_noisier_than_the_plain_one(level: int) -> None:
    weighted, plain = averaged(mouse(level)), averaged(mouse(level), weighted=False)

    window = slice(20, 220)  # 0.8 to 9 ms
    assert weighted.noise <= plain.noise
    assert weighted.noise == pytest.approx(rms(weighted.difference[220:350]), rel=0.35)
    if level == 90:
        assert split_half(*weighted.halves[:, window]) > 0.95
        assert np.corrcoef(weighted.whole[window], plain.whole[window])[0, 1] > 0.98


def test_a_mouse_answers_a_loud_tone_far_above_the_softest() -> None:
    """The softest is 0 dB, which need not be silence: its Fmp is 3.4."""
    loud, soft = averaged(mouse(90)), averaged(mouse(0))

    window = slice(20, 220)
    assert fmp_of(loud.whole[window], loud.noise) > 20
    assert fmp_of(soft.whole[window], soft.noise) < 4
    assert split_half(*loud.halves[:, window]) > split_half(*soft.halves[:, window]) + 0.2
