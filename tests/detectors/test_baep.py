"""The path of the brainstem potential: free of the filter's delay, certified, compared, judged."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ionm.averaging import Averaging
from ionm.detectors.baep import Backwards, Baep
from ionm.detectors.comparison import WARN, WATCH, Comparison
from ionm.detectors.reference import Certification
from ionm.detectors.waves import Picking
from ionm.filters.bandpass import Bandpass
from ionm.filters.chain import Chain
from ionm.simulate.hearing import HearingScript, Injury, NoClicks, Noise, SimulatedHearing, TubeOut
from ionm.sweeps import Layout, Sweeps

AVERAGING = Averaging((11e-3, 18e-3), (0.8e-3, 19e-3), 40e-6)
SPEC = Baep(AVERAGING)
BAND = Bandpass(100.0, 3000.0)
ALL = ("I", "II", "III", "IV", "V")


class Run:
    """A simulated case through filter, sweeps and detector; every fact of the left ear's own channel."""

    def __init__(self, seconds, *events, spec=SPEC, seed=3, chunk=0.1, baseline=40.0, **settings):
        settings = {"noise": Noise(0.8e-6, 1.0)} | settings
        simulated = SimulatedHearing(HearingScript(seconds, events, **settings), seed)
        info = simulated.info
        cutter = Sweeps(-0.002, 0.020, {"click": ("Cz-A1",)}).start(info)
        layout = Layout((0,), None, cutter.zero, cutter.length, info.fs, 0.0)
        filters = Chain((BAND,)).start(info)
        self.running = spec.start(layout, BAND.sections(info))
        self.facts, self.compared, self.reference, comparison = [], [], None, None
        for piece in simulated.chunks(chunk):
            for sweep in cutter.push(filters.push(piece)):
                new = self.running.push(sweep.sample, sweep.trigger.sample, sweep.data, sweep.valid, (None,))
                if self.reference is None and sweep.sample >= baseline * info.fs:
                    self.reference = self.running.certify(0)
                    if not isinstance(self.reference, str):
                        comparison = Comparison(self.reference)
                self.facts += new
                if comparison is not None:
                    self.compared += [(f.sample / info.fs, comparison.push(f)) for f in new]


@pytest.fixture(scope="module")
def quiet():
    return Run(45)


def test_there_is_a_fact_every_quarter_of_a_second(quiet):
    gaps = np.diff([fact.sample for fact in quiet.facts]) / 20_000

    assert np.mean(gaps) == pytest.approx(0.25, abs=0.002)
    assert len(quiet.facts[-1].averages) == 3


def test_latencies_need_no_correction_for_the_filter(quiet):
    """hearing.md 9.8: within a sample of the truth, here 43.9/s and a tube of 0.9 ms."""
    waves = quiet.reference.waves

    assert waves["V"].latency == pytest.approx(
        0.9e-3 + 5.66e-3 + 0.19e-3, abs=0.05e-3 + 2 * waves["V"].latency_sd
    )
    assert waves["III"].latency == pytest.approx(
        0.9e-3 + 3.80e-3 + 0.11e-3, abs=0.05e-3 + 2 * waves["III"].latency_sd
    )


def test_the_backward_pass_takes_off_the_delay_of_the_forward_one_to_less_than_a_sample():
    from scipy.signal import sosfilt

    sections = np.array(BAND.sections(SimulatedHearing(HearingScript(1), 1).info))
    times = (np.arange(440) - 40) / 20_000
    peak = np.exp(-0.5 * ((times - 6.0e-3) / 0.3e-3) ** 2)

    forwards = sosfilt(sections, peak)[None]
    both = Backwards(sections)(forwards)[0]

    assert abs(np.argmax(forwards) - np.argmax(peak)) <= 1  # lucky: its high- and low-pass cancel here
    a, b, c = both[np.argmax(both) - 1 : np.argmax(both) + 2]
    assert np.argmax(both) + 0.5 * (a - c) / (a - 2 * b + c) == pytest.approx(np.argmax(peak), abs=0.2)


def test_without_a_filter_averages_pass_as_they_are():
    traces = np.random.default_rng(1).standard_normal((2, 50))

    assert Backwards(())(traces) is traces


def test_residual_noise_from_the_noise_stretch_and_from_the_halves_agree(quiet):
    ratios = [f.noise_of_halves / f.averages[-1].noise for f in quiet.facts[60:]]

    assert np.mean(ratios) == pytest.approx(1.0, abs=0.12)
    assert quiet.facts[-1].averages[-1].noise == pytest.approx(0.8e-6 / np.sqrt(800) * 0.94, rel=0.08)


def test_quality_grows_with_sweeps(quiet):
    assert quiet.facts[-1].fmp > 10
    assert quiet.facts[-1].split_half > 0.7
    noises = [f.averages[-1].noise for f in quiet.facts[4:]]
    assert noises[0] > 3 * noises[-1]


def test_a_baseline_says_why_it_is_a_response(quiet):
    reference = quiet.reference

    assert reference.fmp.p_value < 1e-6
    assert reference.t2.p_value < 1e-6
    assert reference.sweeps == pytest.approx(40 * 43.9, abs=25)
    assert reference.noise == pytest.approx(0.8e-6 * 0.94 / np.sqrt(reference.sweeps), rel=0.08)
    assert all(wave is not None for wave in reference.waves.values())


def test_the_events_do_not_depend_on_how_the_stream_is_cut():
    one, other = Run(3, chunk=0.001), Run(3, chunk=1.0)

    assert [f.sample for f in one.facts] == [f.sample for f in other.facts]
    for a, b in zip(one.facts, other.facts, strict=True):
        assert (a.fmp, a.split_half, a.noise_of_halves) == (b.fmp, b.split_half, b.noise_of_halves)
        for x, y in zip(a.averages, b.averages, strict=True):
            assert x.noise == y.noise
            np.testing.assert_array_equal(x.halves, y.halves)


def test_too_few_blocks_are_no_baseline():
    assert Run(4, baseline=3.0).reference == "only 11 blocks of sweeps, need 64"


def test_silence_under_clicks_is_no_baseline():
    """hearing.md 9.11: runs without a response."""
    found = [Run(20, TubeOut(0.0, 60.0), seed=seed, baseline=18.0).reference for seed in range(4)]

    assert all(
        isinstance(reason, str) and reason.startswith("no response: chance of Fmp") for reason in found
    )


def test_a_response_under_too_much_noise_is_no_baseline():
    loud = Run(20, noise=Noise(2.4e-6, 1.0), baseline=18.0).reference

    assert isinstance(loud, str)
    assert loud.startswith(("noise: ", "no response", "no wave V"))


@pytest.mark.parametrize(
    ("certification", "reason"),
    [
        (Certification(picking=Picking(found=100.0)), "no wave V above a residual noise of"),
        (Certification(quiet=0.001), "nV is more than 0.1 % of a wave V of"),
    ],
)
def test_a_response_whose_wave_v_is_not_clear_is_no_baseline(certification, reason):
    found = Run(20, spec=Baep(AVERAGING, certification), baseline=18.0).reference

    assert reason in found


def test_what_came_before_a_change_of_the_stimulus_makes_no_baseline():
    run = Run(20, baseline=99.0)

    run.running.forget()

    assert run.running.certify(0) == "only 0 blocks of sweeps, need 64"


def test_a_stretched_nerve_warns_within_seconds_and_nothing_before():
    run = Run(60, Injury(50.0, 1.0e-3, 0.7))

    before = [c.measures for at, c in run.compared if at < 50.0]
    warned = [
        b[0]
        for a, b in pairwise(run.compared)
        if min(a[1].measures["warn_evidence"], b[1].measures["warn_evidence"]) >= 4
    ]

    assert max(m["warn_evidence"] for m in before) < 0
    assert 50.5 < warned[0] < 54.0
    last = run.compared[-1][1]
    assert last.measures["i_iii"] > 0.4e-3
    assert abs(last.measures["i_shift"]) < 0.3e-3


def test_a_lost_wave_v_is_said_to_be_lost_only_where_half_of_it_would_be_seen():
    run = Run(70, Injury(45.0, 0.0, 0.0, ("IV", "V")))

    assert {c.measures["v_lost"] for at, c in run.compared if at < 45.0} == {0.0}
    assert run.compared[-1][1].measures["v_lost"] == 1.0
    assert run.compared[-1][1].measures["v_gain"] < 0.35


def test_without_clicks_there_is_no_fact():
    run = Run(8, NoClicks(3.0, 6.0))

    silent = [f for f in run.facts if 3.3 * 20_000 <= f.sample < 6.0 * 20_000]

    assert not silent
    assert run.facts[-1].last_accepted > 7.5 * 20_000


def test_the_regions_leave_room_between_harm_and_none():
    assert WATCH.late < WARN.late
    assert WATCH.small > WARN.small
    for regions in (WARN, WATCH):
        assert regions.still < regions.late
        assert regions.large > regions.small


def test_settings_that_cannot_be_right_are_refused():
    with pytest.raises(ValueError, match="at least the 64 blocks of a baseline, got remembered=10"):
        Baep(AVERAGING, remembered=10)
    with pytest.raises(ValueError, match="at least 24 blocks for a baseline, got least=20"):
        Certification(least=20)
