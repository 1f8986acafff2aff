"""The path from chunks to facts: what disturbs a sweep, when it is known, where its latencies lie."""

from dataclasses import replace

import numpy as np
import pytest

from ionm.derivation import Derivation
from ionm.errors import SetupError
from ionm.events import ArtefactMark, SweepMeasured
from ionm.protocol import load
from ionm.stream import Channel, Chunk, StreamInfo, Trigger

FS = 10_000.0
NAMES = ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
RAIL = 8e-3
INFO = StreamInfo(FS, tuple(Channel(name, rails=(-RAIL, RAIL)) for name in NAMES))
SPEC = load("mvd-hfs").modality()
STEP = 3000


def trace(t, begin, duration):
    return np.where((t >= begin) & (t < begin + duration), np.sin(2 * np.pi * (t - begin) / duration), 0.0)


def stream(n_stimuli=12, extra=()):
    """A zygomatic stimulus every 300 ms: M-wave of 1 mV at 2.5 ms, LSR of 200 uV at 11 ms, peak to peak."""
    triggers = sorted(
        [*(Trigger(STEP * k, "zygomatic") for k in range(1, n_stimuli + 1)), *extra], key=lambda t: t.sample
    )
    n = STEP * (n_stimuli + 1)
    data = np.random.default_rng(1).normal(0, 2e-6, (4, n))
    t = np.arange(n)[np.newaxis, :] / FS
    for k in range(1, n_stimuli + 1):
        part = slice(STEP * k, STEP * k + 500)
        since = t[0, :500]
        data[0, part] += 0.5e-3 * trace(since, 2.5e-3, 4e-3)
        data[1:3, part] += 0.1e-3 * trace(since, 11e-3, 5e-3)
        data[:, part] += np.where(since < 0.2e-3, 5e-3, 0.0)
    return data, triggers


def facts_of(data, triggers, info=INFO, spec=SPEC):
    path = spec.start(info)
    facts = path.push(Chunk(data, np.isfinite(data), 0, tuple(triggers)))
    return facts + path.restart(data.shape[1])


def reasons_at(facts, sample, site="zygomatic"):
    (fact,) = (
        f
        for f in facts
        if isinstance(f, SweepMeasured) and (f.sweep.trigger.sample, f.sweep.trigger.site) == (sample, site)
    )
    return [m.reason for m in fact.measurements]


def test_amplitudes_and_latencies_through_the_whole_path_are_those_of_the_signal():
    """Onset of the 5 % point within 0.15 ms, amplitude within 3 %: the filters' delay is taken off."""
    sweeps = [f for f in facts_of(*stream()) if isinstance(f, SweepMeasured)]

    for fact in sweeps[2:]:
        mentalis, oris, control = fact.measurements
        for lateral in (mentalis, oris):
            assert lateral.amplitude == pytest.approx(200e-6, rel=0.03)
            assert lateral.latency == pytest.approx(11e-3 + 5e-3 * np.arcsin(0.1) / (2 * np.pi), abs=0.15e-3)
        assert control.amplitude == pytest.approx(1e-3, rel=0.03)
        assert control.latency == pytest.approx(2.5e-3 + 4e-3 * np.arcsin(0.1) / (2 * np.pi), abs=0.2e-3)


def test_a_sweep_is_known_with_its_last_sample_and_the_look_ahead():
    facts = facts_of(*stream())

    known = [f.sample - f.sweep.trigger.sample for f in facts if isinstance(f, SweepMeasured)]
    assert set(known) == {499 + 1}  # 50 ms, and 0.1 ms of jitter


def test_facts_come_in_the_order_in_which_they_are_known():
    data, triggers = stream()
    data[3, 10_000:14_000] = np.nan
    samples = [f.sample for f in facts_of(data, triggers)]

    assert samples == sorted(samples)


@pytest.mark.parametrize(
    ("milliseconds", "foreign"),
    [(-29.9, True), (-30.0, False), (0.0, True), (5.0, True), (24.9, True), (25.1, False), (60.0, False)],
)
def test_another_stimulus_disturbs_from_30_ms_before_to_the_windows_end(milliseconds, foreign):
    at = STEP * 6
    data, triggers = stream(extra=[Trigger(at + round(milliseconds * FS / 1e3), "tes")])

    expected = ["foreign_stimulus"] * 3 if foreign else [None] * 3
    assert reasons_at(facts_of(data, triggers), at) == expected


def test_a_click_disturbs_nothing():
    clicks = [Trigger(at, "click") for at in range(50, STEP * 13, 300)]
    data, triggers = stream(extra=clicks)

    assert facts_equal(facts_of(data, triggers), facts_of(*stream()))


def facts_equal(first, second):
    def plain(fact):
        return (fact.sample, fact.measurements) if isinstance(fact, SweepMeasured) else fact

    return list(map(plain, first)) == list(map(plain, second))


def test_a_double_trigger_disturbs_both():
    at = STEP * 6
    facts = facts_of(*stream(extra=[Trigger(at, "zygomatic")]))

    both = [f for f in facts if isinstance(f, SweepMeasured) and f.sweep.trigger.sample == at]
    assert len(both) == 2
    assert {m.reason for f in both for m in f.measurements} == {"foreign_stimulus"}


@pytest.mark.parametrize(
    ("milliseconds", "lateral", "control"),
    [
        (0.1, None, None),
        (1.5, None, "saturation"),
        (3.0, "saturation", "saturation"),
        (24.0, "saturation", "saturation"),
    ],
)
def test_a_rail_counts_where_it_matters_and_not_under_the_mask(milliseconds, lateral, control):
    """The artefact itself may reach the rails: it is masked to 2.5 ms, and to 1 ms on the M-control."""
    at = STEP * 6
    data, triggers = stream()
    data[:2, at + round(milliseconds * FS / 1e3)] = RAIL  # OrbOculi and Mentalis

    assert reasons_at(facts_of(data, triggers), at) == [lateral, None, control]


def test_a_rail_on_one_channel_spares_the_others():
    at = STEP * 6
    data, triggers = stream()
    data[2, at + 120] = RAIL

    assert reasons_at(facts_of(data, triggers), at) == [None, "saturation", None]


def test_a_missing_sample_in_the_window_is_a_gap_of_its_channel():
    at = STEP * 6
    data, triggers = stream()
    data[1, at + 120] = np.nan

    assert reasons_at(facts_of(data, triggers), at) == ["gap", None, None]


def test_cautery_before_the_stimulus_that_goes_on_spoils_the_sweep():
    at = STEP * 6
    data, triggers = stream()
    data[:, at - 1500 : at + 400] += np.random.default_rng(2).normal(0, 1e-3, (4, 1900))

    facts = facts_of(data, triggers)

    assert set(reasons_at(facts, at)) == {"cautery"}
    assert reasons_at(facts, at + STEP) == [None] * 3
    marks = [(f.reason, f.active) for f in facts if isinstance(f, ArtefactMark)]
    assert marks == [("cautery", True)] * 4 + [("cautery", False)] * 4


def test_cautery_that_is_over_before_the_stimulus_only_blinds_the_background():
    at = STEP * 6
    data, triggers = stream()
    data[:, at - 1800 : at - 1300] += np.random.default_rng(2).normal(0, 1e-3, (4, 500))

    facts = facts_of(data, triggers)

    assert reasons_at(facts, at) == [None] * 3
    (fact,) = (f for f in facts if isinstance(f, SweepMeasured) and f.sweep.trigger.sample == at)
    assert all(m.present for m in fact.measurements)


def test_a_restart_gives_incomplete_sweeps_up_and_closes_marks():
    data, triggers = stream()
    data[3, 20_000:] = 0.0
    path = SPEC.start(INFO)
    stop = STEP * 12 + 50
    path.push(Chunk(data[:, :stop], np.isfinite(data[:, :stop]), 0, tuple(triggers)))

    facts = path.restart(stop + 5000)

    assert {f.sample for f in facts} == {stop + 5000}
    (sweep,) = (f for f in facts if isinstance(f, SweepMeasured))
    assert {m.reason for m in sweep.measurements} == {"gap"}
    assert [(f.channel, f.reason, f.active) for f in facts if isinstance(f, ArtefactMark)] == [
        ("Frontalis", "electrode_off", False)
    ]
    assert path.restart(stop + 5000) == []


def test_what_was_learnt_of_the_background_outlives_a_restart():
    data, triggers = stream()
    path = SPEC.start(INFO)
    path.push(Chunk(data, np.isfinite(data), 0, tuple(triggers)))
    path.restart(50_000)
    whole = Chunk(
        data, np.isfinite(data), 50_000, tuple(replace(t, sample=t.sample + 50_000) for t in triggers)
    )

    again = [f for f in path.push(whole) if isinstance(f, SweepMeasured)][3]

    fresh = [f for f in facts_of(data, triggers) if isinstance(f, SweepMeasured)][3]
    assert again.measurements[0].p_value < fresh.measurements[0].p_value


def test_a_derivation_is_named_by_site_and_channel():
    assert Derivation("zygomatic", "Mentalis", "lsr").name == "zygomatic>Mentalis"
    with pytest.raises(ValueError, match="role must be one of lsr, m_control, spare, zlr, got 'LSR'"):
        Derivation("zygomatic", "Mentalis", "LSR")


def test_a_modality_lists_its_sites_and_channels_in_order():
    assert SPEC.sites == ("zygomatic", "mandibular")
    assert SPEC.channels == ("Mentalis", "OrbOris", "OrbOculi", "Frontalis")
    assert [d.channel for d in SPEC.at("mandibular")] == ["OrbOculi", "Frontalis", "Mentalis"]


@pytest.mark.parametrize(
    ("fs", "says"), [(3000.0, "must lie below 1500.0 Hz"), (1000.0, "must lie below 500.0 Hz")]
)
def test_a_rate_too_low_for_the_filters_is_refused(fs, says):
    with pytest.raises(SetupError, match=says):
        SPEC.start(replace(INFO, fs=fs))


def test_every_fact_is_returned_with_the_sample_that_it_is_stamped_with():
    """Fed sample by sample, so that a chunk's end can hide nothing."""
    data, triggers = stream(4)
    data[3, 4_000:8_000] = 0.0
    data[1, 7_000] = RAIL
    path = SPEC.start(INFO)
    whole = Chunk(data, np.isfinite(data), 0, tuple(triggers))

    facts = []
    for k in range(data.shape[1]):
        new = path.push(whole.cut(k, k + 1))
        assert {fact.sample for fact in new} <= {k}
        facts += new

    assert len({type(fact) for fact in facts}) == 2
    assert {f.reason for f in facts if isinstance(f, ArtefactMark)} == {"electrode_off", "saturation"}
