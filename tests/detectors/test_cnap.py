"""N1 of the nerve's own potential: block by block, with an explicit absence and a detection limit."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from ionm.averaging import Averaging
from ionm.detectors.cnap import Cnap, CnapBaseline
from ionm.errors import SetupError
from ionm.filters.bandpass import Bandpass
from ionm.stream import Channel, StreamInfo
from ionm.sweeps import Layout

FS = 20_000.0
LAYOUT = Layout((0,), None, 40, 440, FS, 0.0)
SPEC = Cnap(Averaging((11e-3, 18e-3), (1.0e-3, 18e-3), 200e-6, sizes=(200.0,)))
TIMES = (np.arange(440) - 40) / FS
VALID = np.ones((1, 440), bool)


SOS = scipy.signal.butter(2, (30, 3000), "bandpass", fs=FS, output="sos")
NOISE = scipy.signal.sosfiltfilt(SOS, np.random.default_rng(0).standard_normal(201_000))
NOISE /= NOISE.std()


def potential(size=25e-6, latency=4.32e-3):
    """A crest, N1, a crest (hearing.md 3); ``size`` from N1 to the crest behind it, in V."""
    at = (TIMES - latency) / 0.25e-3
    return size * (
        0.25 * np.exp(-0.5 * (at + 2.6) ** 2)
        - 0.62 * np.exp(-0.5 * at**2)
        + 0.38 * np.exp(-0.5 * (at - 3) ** 2)
    )


def measured(potentials, sigma=3e-6, seed=1, spec=SPEC, sections=()):
    rng = np.random.default_rng(seed)
    running = spec.start(LAYOUT, sections)
    facts = []
    for i, one in enumerate(potentials):
        sweep = (one + sigma * NOISE[rng.integers(0, 200_000) :][:440])[None]
        facts += running.push(455 * i + 399, 455 * i, sweep, VALID, (None,))
    return facts


def test_n1_is_measured_four_times_a_second():
    facts = measured([potential()] * 440)

    assert len(facts) == 40
    assert all(f.present for f in facts)
    latencies = np.array([f.latency for f in facts])
    assert latencies.mean() == pytest.approx(4.32e-3, abs=0.02e-3)
    assert latencies.std() == pytest.approx(np.mean([f.latency_sd for f in facts]), rel=0.6)
    assert np.mean([f.amplitude for f in facts]) == pytest.approx(25e-6, rel=0.12)


def test_n1_that_points_up_is_found_when_said():
    facts = measured([-potential()] * 22, spec=Cnap(SPEC.averaging, negative=False))

    assert all(f.present for f in facts)


def test_the_filters_delay_is_taken_off():
    sections = Bandpass(30.0, 3000.0).sections(StreamInfo(FS, (Channel("CNAP"),)))

    facts = measured(
        [scipy.signal.sosfilt(np.array(sections), potential())] * 22, sigma=1e-9, sections=sections
    )

    assert facts[0].latency == pytest.approx(4.32e-3, abs=0.05e-3)


def test_noise_alone_has_no_n1():
    facts = measured([np.zeros(440)] * 1100)

    assert np.mean([f.present for f in facts]) <= 0.02
    assert all(f.latency is None and f.amplitude is None for f in facts if not f.present)


def test_a_response_of_the_detection_limit_is_seen_19_times_of_20():
    limit = np.mean([f.detection_limit for f in measured([np.zeros(440)] * 440)])

    facts = measured([potential(size=limit)] * 1100, seed=2)

    assert np.mean([f.present for f in facts]) >= 0.9


def test_a_change_is_read_against_the_baseline():
    facts = measured([potential()] * 440 + [potential(10e-6, 4.9e-3)] * 44)
    baseline = CnapBaseline.of(facts[:40])

    changed = baseline.measures(facts[-1])

    assert changed["n1_gain"] == pytest.approx(0.4, abs=0.12)
    assert changed["n1_shift"] == pytest.approx(0.58e-3, abs=0.15e-3)
    assert changed["n1_lost"] == 0.0


def test_n1_is_lost_only_where_half_of_it_would_be_seen():
    facts = measured([potential()] * 440 + [np.zeros(440)] * 110)
    baseline = CnapBaseline.of(facts[:40])
    loud = measured([np.zeros(440)] * 110, sigma=15e-6)

    assert baseline.measures(next(f for f in facts[41:] if not f.present))["n1_lost"] == 1.0
    assert baseline.measures(next(f for f in loud if not f.present)) == {
        "n1_shift": None,
        "n1_gain": None,
        "n1_lost": None,
    }


def test_a_baseline_needs_blocks_with_n1():
    assert CnapBaseline.of(measured([potential()] * 55)) == "only 5 blocks of sweeps, need 20"
    refused = CnapBaseline.of(measured([np.zeros(440)] * 440))
    assert isinstance(refused, str)
    assert refused.endswith("of 20 blocks only")


def test_refused_sweeps_are_counted():
    running = SPEC.start(LAYOUT, ())

    running.push(0, 0, np.full((1, 440), 1e-3), VALID, (None,))
    running.push(1, 1, np.zeros((1, 440)), VALID, ("drill",))

    assert running.rejected == [{"amplitude": 1, "drill": 1}]


def test_a_sweep_that_ends_before_the_crest_is_refused():
    with pytest.raises(SetupError, match=r"from 3\.2 to 21\.5 ms"):
        Cnap(SPEC.averaging, window=(3.2e-3, 20e-3)).start(LAYOUT, ())
