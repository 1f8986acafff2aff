"""The simulated hearing case: what is scripted happens, at the sample and of the size that is said."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

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

QUIET = Noise(rms=1e-12)


def case(seconds=3, seed=1, **settings):
    return SimulatedHearing(HearingScript(seconds, **settings), seed)


def average(simulated, ear, channel, begin=0.0, end=np.inf):
    fs = simulated.info.fs
    data = np.concatenate([simulated.volts(i) for i in range(simulated.script.seconds)], axis=1)
    samples = [
        t.sample for t in simulated.triggers if t.attributes["ear"] == ear and begin <= t.sample / fs < end
    ]
    row = simulated.info.names.index(channel)
    cut = [data[row, s : s + 300] for s in samples if s + 300 <= data.shape[1]]
    return np.mean(cut, axis=0)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("muscle", [0.0, 0.5])
def test_noise_has_its_size_in_band_and_its_colour(exponent, muscle):
    simulated = case(20, rate=0.1, noise=Noise(2e-6, exponent, muscle))

    data = np.concatenate([simulated.volts(i)[0] for i in range(20)])

    f, power = scipy.signal.welch(data, 20_000, nperseg=4000)
    band = (f >= 100) & (f <= 3000)
    assert np.sqrt(np.sum(power[band]) * f[1]) == pytest.approx(2e-6, rel=0.05)
    ratio = power[(f >= 200) & (f < 300)].mean() / power[(f >= 2000) & (f < 3000)].mean()
    assert (ratio == pytest.approx(10.0**exponent, rel=0.3)) or (muscle and 0.9 <= ratio < 10.0**exponent)


def test_a_second_is_the_same_however_it_is_reached_and_joins_its_neighbours():
    one, other = case(), case()

    straight = [one.volts(i) for i in range(3)]

    np.testing.assert_array_equal(other.volts(2), straight[2])
    jump = abs(straight[1][0, 0] - straight[0][0, -1])
    assert jump < 5 * np.std(np.diff(straight[0][0]))


def test_chunks_hold_all_samples_and_every_click_once():
    simulated = case(ears=("L", "R"))

    chunks = list(simulated.chunks(0.005))

    assert [c.start for c in chunks] == list(range(0, 60_000, 100))
    clicks = [t for c in chunks for t in c.triggers]
    assert tuple(clicks) == simulated.triggers
    assert all(c.start <= t.sample < c.stop for c in chunks for t in c.triggers)
    assert {t.attributes["ear"] for t in clicks[:2]} == {"L", "R"}
    np.testing.assert_array_equal(
        np.concatenate([c.data for c in chunks[200:400]], axis=1), simulated.volts(1)
    )


def test_each_ear_is_clicked_at_the_rate_that_is_said_with_alternating_polarity():
    simulated = case(10, ears=("L", "R"))
    left = [t for t in simulated.triggers if t.attributes["ear"] == "L"]

    assert np.diff([t.sample for t in left]).mean() / 20_000 == pytest.approx(1 / 43.9, rel=1e-3)
    assert [t.attributes["polarity"] for t in left[:4]] == ["rarefaction", "condensation"] * 2


def test_alternating_clicks_cancel_the_artefact_and_single_ones_do_not():
    cancelled = average(case(noise=QUIET), "L", "Cz-A1")
    left = average(case(noise=QUIET, polarity="rarefaction"), "L", "Cz-A1")

    assert abs(cancelled[0]) < 0.1e-6
    assert left[0] == pytest.approx(5e-6, rel=0.05)


def test_an_injury_ramps_and_stays():
    simulated = case(10, events=(Injury(2.0, shift=1e-3, gain=0.5, over=4.0),))

    before, during, after = (simulated.state("L", t) for t in (1.9, 4.0, 9.0))

    assert during["V"][0] - before["V"][0] == pytest.approx(0.5e-3)
    assert after["V"][0] - before["V"][0] == pytest.approx(1e-3)
    assert after["III"][1] / before["III"][1] == pytest.approx(0.5)
    assert after["I"] == before["I"]
    assert simulated.state("R", 9.0) == case().state("R", 9.0)


def test_a_step_is_in_the_samples_from_its_moment_on():
    simulated = case(6, noise=QUIET, events=(Injury(3.0, shift=1e-3, waves=("IV", "V")),))

    before, after = average(simulated, "L", "Cz-A1", 0, 2.9), average(simulated, "L", "Cz-A1", 3.0)

    window = slice(125, 180)  # 6.25 to 9 ms
    assert np.argmax(after[window]) - np.argmax(before[window]) == pytest.approx(20, abs=1)


def test_a_tube_that_is_out_is_silence_under_marked_clicks():
    simulated = case(6, noise=QUIET, artefact=0.0, events=(TubeOut(2.0, 4.0),))

    assert np.abs(average(simulated, "L", "Cz-A1", 2.0, 3.9)).max() < 1e-9
    assert np.abs(average(simulated, "L", "Cz-A1", 4.0)).max() > 0.2e-6


def test_without_clicks_nothing_is_marked():
    simulated = case(6, events=(NoClicks(2.0, 4.0),))

    assert not [t for t in simulated.triggers if 2.0 <= t.sample / 20_000 < 4.0]


def test_cooling_delays_and_warming_brings_back():
    simulated = case(10, events=(Temperature(1.0, 35.0, over=2.0), Temperature(6.0, 37.0)))

    assert simulated.state("L", 4.0)["V"][0] - simulated.state("L", 0.0)["V"][0] == pytest.approx(0.4e-3)
    assert simulated.state("L", 7.0)["V"][0] == pytest.approx(simulated.state("L", 0.0)["V"][0])


def test_a_drill_masks_and_is_loud_and_cautery_fills_the_converter():
    simulated = case(9, events=(Drill(2.0, 3.0), Burn(5.0, 6.0)))

    assert simulated.state("L", 2.5)["V"][1] < 0.7 * simulated.state("L", 1.0)["V"][1]
    assert simulated.volts(2).std() > 1.5 * simulated.volts(1).std()
    assert np.mean(np.abs(simulated.volts(5)) >= 1e-3) > 0.1
    assert [n.event for n in simulated.notes] == ["drill-on", "drill-off", "cautery-on", "cautery-off"]
    assert not all(c.valid.all() for c in simulated.chunks(1.0))


def test_one_channel_alone_is_that_of_both():
    one, both = case(channels=("Cz-A2",)), case()

    np.testing.assert_array_equal(one.volts(1)[0], both.volts(1)[1])


def test_a_case_is_a_source():
    assert sum(chunk.n_samples for chunk in case()) == 60_000


def test_the_truth_names_what_was_scripted():
    assert case(events=(TubeOut(1.0, 2.0),)).truth() == [
        {"kind": "TubeOut", "at": 1.0, "until": 2.0, "ear": "L"}
    ]


def test_scripts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="whole rate of samples"):
        HearingScript(1, fs=1000.5)
    with pytest.raises(ValueError, match="channels are Cz-A1, Cz-A2, got Cz"):
        HearingScript(1, channels=("Cz",))
    with pytest.raises(ValueError, match="one of rarefaction, condensation, alternating, got 'both'"):
        HearingScript(1, polarity="both")
