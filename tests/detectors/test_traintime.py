"""Traintime: what is added up, what is counted apart, and the curve."""

import numpy as np
import pytest

from ionm.detectors.free_run import FreeRun
from ionm.detectors.traintime import MARKS, Traintime, risk
from ionm.events import Finding
from ionm.simulate.trains import Pattern
from ionm.stream import Channel, StreamInfo, chunk

FS = 1000.0
NAMES = ("OrbOculi", "OrbOris", "Mentalis")


def train(channel, begin, end, pattern="a_train"):
    onset, offset = round(begin * FS), round(end * FS)
    begun = Finding(onset + 70, channel, pattern, True, onset, None, 1e-4)
    return [begun, Finding(offset + 70, channel, pattern, False, onset, offset, 1e-4)]


def taken(*findings):
    time = Traintime(FS, NAMES)
    for finding in sorted(findings, key=lambda f: f.sample):
        time.take(finding)
    return time


def test_a_trains_are_added_up_per_muscle_and_in_all():
    time = taken(*train("OrbOris", 1, 1.2), *train("OrbOris", 10, 10.5), *train("Mentalis", 20, 21))

    assert time.seconds(30_000) == pytest.approx({"OrbOculi": 0.0, "OrbOris": 0.7, "Mentalis": 1.0})
    assert time.total(30_000) == pytest.approx(1.7)


def test_other_patterns_and_other_channels_do_not_count():
    time = taken(*train("OrbOris", 1, 2, "b_train"), *train("Masseter", 1, 2))

    assert time.total(30_000) == 0.0


def test_a_train_that_goes_on_counts_up_to_now_and_one_withdrawn_not_at_all():
    time = taken(train("OrbOris", 1, 9)[0], *train("Mentalis", 20, 20))

    assert time.seconds(2999) == pytest.approx({"OrbOculi": 0.0, "OrbOris": 2.0, "Mentalis": 0.0})


def test_rampp_2019_trains_on_most_channels_within_3_s_are_a_cluster_and_counted_apart():
    time = taken(*train("OrbOris", 1, 1.5), *train("Mentalis", 3.9, 4.4), *train("OrbOris", 60, 60.25))

    assert time.total(90_000) == pytest.approx(0.25)
    assert time.clustered(90_000) == pytest.approx({"OrbOculi": 0.0, "OrbOris": 0.5, "Mentalis": 0.5})


def test_rampp_2019_trains_further_apart_than_3_s_are_no_cluster():
    time = taken(*train("OrbOris", 1, 1.5), *train("Mentalis", 4.1, 4.6))

    assert time.total(90_000) == pytest.approx(1.0)


def test_prell_2014_the_risk_is_a_sigmoid_of_the_logarithm_with_the_marks_of_prell_2007():
    assert risk(0.0) == 0.0
    assert [risk(seconds) for seconds in MARKS] == pytest.approx([0.25, 0.75])
    assert risk(np.sqrt(MARKS[0] * MARKS[1])) == pytest.approx(0.5)
    steps = np.array([risk(t) for t in np.geomspace(0.001, 1000, 50)])
    assert (np.diff(steps) > 0).all()
    assert steps[0] < 0.05
    assert steps[-1] > 0.95


def test_traintime_of_a_simulated_minute_is_within_5_percent_of_the_truth():
    fs, rng = 4000.0, np.random.default_rng(3)
    info = StreamInfo(fs, (Channel("OrbOculi"), Channel("OrbOris"), Channel("Mentalis")))
    data = rng.normal(0, 8e-6, (3, round(60 * fs)))
    true = 0.0
    for row in range(3):
        now = 1.0 + row
        while now < 55:
            seconds = float(np.exp(rng.uniform(np.log(0.05), np.log(3.0))))
            truth = Pattern("a_train", now, seconds, float(rng.uniform(60e-6, 250e-6))).add_to(
                data[row], fs, rng
            )
            true += truth.offset - truth.onset
            now += seconds + rng.uniform(4.0, 8.0)
    time = Traintime(fs, info.names)
    for finding in FreeRun().start(info).push(chunk(data)):
        time.take(finding)

    found = time.total(data.shape[1]) + sum(time.clustered(data.shape[1]).values())
    assert found == pytest.approx(true, rel=0.05)
