"""Whole simulated hearing cases through path and ladder: injuries are called, nothing else is."""

from __future__ import annotations

import math

import pytest

from ionm.averaging import Averaging
from ionm.criteria import LADDER, Noisiness, pattern
from ionm.detectors.baep import Baep
from ionm.detectors.comparison import Comparison
from ionm.filters.bandpass import Bandpass
from ionm.filters.chain import Chain
from ionm.filters.clipping import Clipping
from ionm.simulate.hearing import (
    Burn,
    Drill,
    HearingScript,
    Injury,
    NoClicks,
    Noise,
    SimulatedHearing,
    Temperature,
    TubeOut,
)
from ionm.sweeps import Layout, Sweeps

SPEC = Baep(Averaging((11e-3, 18e-3), (0.8e-3, 19e-3), 40e-6))
BAND = Bandpass(100.0, 3000.0)
BASELINE = 40.0  # s


class Case:
    """One ear's ladder; notes of cautery and drill name the reason of a refusal, until 0.5 s after them."""

    def __init__(self, seconds, *events, seed=3, **settings):
        settings = {"noise": Noise(0.9e-6, 1.0)} | settings
        self.simulated = SimulatedHearing(
            HearingScript(seconds, events, channels=("Cz-A1",), **settings), seed
        )
        self.info = self.simulated.info
        cutter = Sweeps(-0.002, 0.020, {"click": ("Cz-A1",)}).start(self.info)
        layout = Layout((0,), None, cutter.zero, cutter.length, self.info.fs, 0.0)
        clipping, filters = Clipping().start(self.info), Chain((BAND,)).start(self.info)
        self.running = SPEC.start(layout, BAND.sections(self.info))
        self.ladder, self.limits, self.held = LADDER.start(), Noisiness(), False
        self.reference, self.raised, self.left, self.seen = None, {}, {}, []
        for chunk in self.simulated.chunks(0.25):
            for sweep in cutter.push(filters.push(clipping.push(chunk))):
                reason = self.reason(sweep.trigger.sample / self.info.fs)
                for fact in self.running.push(
                    sweep.sample, sweep.trigger.sample, sweep.data, sweep.valid, (reason,)
                ):
                    self.judge(fact)

    def reason(self, at):
        for event in self.simulated.script.events:
            if isinstance(event, (Burn, Drill)) and event.at <= at < event.until + 0.5:
                return "cautery" if isinstance(event, Burn) else "drill"
        return None

    def judge(self, fact):
        at = fact.sample / self.info.fs
        if self.reference is None and at >= BASELINE:
            self.reference = self.running.certify(0)
            self.comparison = Comparison(self.reference)
        if self.reference is None:
            return
        size = self.reference.waves["V"].amplitude
        self.held = self.limits.holds(fact.averages[-1].noise, size, 0.0, held=self.held)
        compared = self.comparison.push(fact)
        self.seen.append((at, compared, fact))
        for step in self.ladder.push(compared.measures, judged=not self.held):
            into = self.raised if step.raised else self.left
            into.setdefault(step.level.name, at)

    def pattern(self):
        waves = self.seen[-1][1].printed
        i, iii = waves.get("I"), waves.get("III")
        return pattern(i and i.shift, iii and iii.shift, waves["V"].shift)


class Unmarked(Case):
    """Nobody says when cautery is on."""

    def reason(self, _):
        return None


def test_a_stretch_is_warned_of_within_seconds_and_its_recovery_is_seen():
    case = Case(110, Injury(50.0, 1.0e-3, 0.7), Injury(70.0, 0.0, 1.0))

    assert 50.5 < case.raised["warning"] < 54.5
    assert case.raised["watch"] <= case.raised["warning"]
    assert 70.0 < case.left["warning"] < 100.0
    assert case.ladder.standing == ()


def test_a_sudden_loss_is_warned_of_within_five_seconds_and_becomes_critical():
    case = Case(80, Injury(50.0, 0.0, 0.0, ("IV", "V")))

    assert 50.5 < case.raised["warning"] < 55.0
    assert case.raised["critical"] < 80.0


def test_a_slow_ramp_is_watched_before_it_warns_and_warned_of_before_0_8_ms():
    case = Case(180, Injury(45.0, 1.2e-3, 0.8, over=180.0))

    def shift(at):
        return 1.2 * (at - 45.0) / 180.0

    assert shift(case.raised["watch"]) < shift(case.raised["warning"]) < 0.8
    assert case.pattern() == "nerve"


def test_a_tube_that_falls_out_loses_all_waves_together():
    case = Case(90, TubeOut(50.0, 999.0))

    assert case.raised["warning"] < 55.0
    last = case.seen[-1][1].printed
    assert all(wave.gain < 0.4 for wave in last.values())


def test_cooling_by_a_degree_and_a_half_shifts_all_by_less_than_a_warning():
    case = Case(170, Temperature(50.0, 35.5, over=60.0))

    assert "warning" not in case.raised
    assert case.seen[-1][1].measures["v_shift"] == pytest.approx(0.3e-3, abs=0.1e-3)


def test_cautery_and_drill_raise_nothing_and_are_counted_by_reason():
    """hearing.md 9.12 and 9.13."""
    case = Case(100, Burn(50.0, 58.0), Drill(65.0, 75.0, rms=6e-6))

    assert case.raised == {}
    rejected = case.seen[-1][2].rejected
    assert rejected["cautery"] == pytest.approx(8.5 * 43.9, abs=3)
    assert rejected["drill"] == pytest.approx(10.5 * 43.9, abs=3)


def test_the_age_of_the_last_valid_sweep_is_in_every_fact_and_grows_during_cautery():
    case = Case(62, Burn(50.0, 58.0))

    during = [fact for at, _, fact in case.seen if 50.5 < at < 58.0]
    assert all(fact.last_accepted / case.info.fs <= 50.0 for fact in during)
    after = case.seen[-1][2]
    assert (after.sample - after.last_accepted) / case.info.fs < 0.1


def test_without_stimuli_nothing_is_said_at_all():
    case = Case(90, NoClicks(50.0, 70.0))

    assert case.raised == {}
    assert not [at for at, *_ in case.seen if 50.3 < at < 70.0]


def test_clipped_samples_never_enter_and_never_alarm():
    """Unmarked cautery: saturation itself must keep it out."""
    case = Case(80, Burn(50.0, 60.0))
    case_unmarked = Unmarked(80, Burn(50.0, 60.0))

    assert case.raised == {}
    assert "critical" not in case_unmarked.raised
    assert sum(case_unmarked.seen[-1][2].rejected.values()) > 300


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_two_minutes_of_nothing_raise_no_warning(exponent):
    case = Case(160, noise=Noise(1.2e-6, exponent), seed=11)

    assert not {"warning", "critical"} & set(case.raised)
    assert math.isfinite(case.reference.noise)
