"""What cleaning leaves in the window of a lateral spread response, and what must not fool the whole path.

Everything runs through a session with the protocol as shipped. Elsewhere: notes of cautery, gaps, silence and
the drugs in test_judge.py; responses to other currents in test_challenge.py; which stimuli spoil which sweeps
and rails under the mask in test_modality.py; what counts as cautery, saturation or a loose electrode in
detectors/test_artefact.py; false alarms in each background in detectors/test_lsr.py; the canceller of hum
in filters/.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ionm.derivation import Derivation
from ionm.events import Hold, Response, StateChange
from ionm.protocol import load
from ionm.session import Session
from ionm.simulate.case import simulate_case
from ionm.simulate.facial_nerve import FWave
from ionm.simulate.operating_room import Drift, Mains, StimulusArtefact
from ionm.simulate.scenarios import scenario
from ionm.simulate.script import Amplifier, Script
from ionm.simulate.truth import measure
from ionm.stream import Channel, Chunk, StreamInfo, Trigger

MVD = load("mvd-hfs").modality()
UV = 1e-6
WINDOW = 7e-3  # s: where it begins


def run(script: Script, modality=MVD):
    """A simulated case and its events."""
    case = simulate_case(script, 1)
    session = Session((modality,), case.info)
    events = [event for part in case.chunks(0.5) for event in session.push(part)]
    return case, events + session.finish()


def of(events, kind, derivation=None):
    return [e for e in events if isinstance(e, kind) and derivation in (None, e.derivation)]


def left(event):
    """What cleaning left of a sweep in the window, peak to peak, in V."""
    trace = event.measurement.trace
    grid = trace.grid
    row = trace.data[trace.row, grid.columns] - trace.level
    if trace.copy is not None:
        other, share, level = trace.copy
        row = row - share * (trace.data[other, grid.columns] - level)
    for weight, decay in zip(trace.weights, grid.decays, strict=True):
        row = row - weight * decay
    times = grid.begin + np.arange(row.size) * grid.bin / grid.size
    return np.ptp(row[times >= WINDOW])


NO_ARTEFACT = StimulusArtefact(pulse=0.0, tails=())


def never_elicited(*, m_wave=2e-3, tail=0.07, crosstalk=0.08, artefact=NO_ARTEFACT, late=None):
    """The scenario never-elicited with this M-wave (V) and artefact alone, in 0.07 uV of noise."""
    script = scenario("never-elicited", minutes=0.5, fs=10_000, rate=2.5)
    face = script.face
    own = ("zygomatic>OrbOculi", "mandibular>Mentalis")
    face = replace(
        face,
        direct={name: replace(face.direct[name], size=m_wave, tail=tail) for name in own},
        late={} if late is None else dict.fromkeys(own, late),
        background={},
        crosstalk=dict.fromkeys(face.crosstalk, crosstalk),
    )
    room = replace(
        script.room,
        artefact=artefact,
        reach={(site, name): 1.0 for site in ("zygomatic", "mandibular") for name in face.muscles},
        mains=Mains(size=0.0, harmonics=()),
        drift=Drift(size=0.0),
    )
    return replace(
        script,
        face=face,
        room=room,
        amplifier=Amplifier(fs=10_000, bits=24, noise=1e-9),
        stimulations=tuple(replace(s, ma=10.0) for s in script.stimulations),
    )


# what cleaning leaves


def test_an_m_wave_with_a_slow_tail_leaves_less_than_five_microvolts_and_keeps_its_amplitude():
    """2 mV, 8 % crosstalk. Measured: 0.5 uV left; its own amplitude within 0.7 %."""
    case, events = run(never_elicited())
    responses = of(events, Response)

    assert max(left(r) for r in responses if r.role == "lsr") < 5 * UV
    for name in ("zygomatic>OrbOculi", "mandibular>Mentalis"):
        index, volleys = case.responses[name]
        true = dict(zip((case.stimuli[i].sample for i in index), measure(volleys)[0], strict=True))
        errors = [r.measurement.amplitude / true[r.trigger.sample] - 1 for r in of(responses, Response, name)]
        assert len(errors) > 50
        assert np.abs(errors).max() < 0.01
    assert {e.state for e in of(events, StateChange)} == {"NOT_ELICITED"}


@pytest.mark.xfail(strict=True, reason="280 and 900 uV: decays cannot be fitted under the M-wave itself")
def test_an_m_wave_leaves_less_than_five_microvolts_in_its_own_channel():
    """Its own muscle is the control of every shipped protocol; a spare derivation there has no state."""
    own = (Derivation("zygomatic", "OrbOculi", "spare"), Derivation("mandibular", "Mentalis", "spare"))

    _, events = run(never_elicited(), replace(MVD, derivations=own))

    assert np.median([left(r) for r in of(events, Response)]) < 5 * UV


def left_of_a_tail(tau):
    artefact = StimulusArtefact(tails=((1e-3, tau),))
    _, events = run(never_elicited(m_wave=1e-9, crosstalk=0.0, artefact=artefact))
    return np.max([left(r) for r in of(events, Response) if r.role == "lsr"])


@pytest.mark.parametrize(
    "tau",
    [
        0.5e-3,
        0.7e-3,
        1e-3,
        1.4e-3,
        2e-3,
        3e-3,
        4e-3,
    ],
)
def test_an_artefact_tail_of_a_millivolt_leaves_less_than_ten_microvolts(tau):
    """The tail is modelled as a sum of decays; behind mask and filters it is that no more."""
    assert left_of_a_tail(tau) < 10 * UV


@pytest.mark.parametrize(
    "tau",
    [
        0.5e-3,
        1e-3,
        2e-3,
        3e-3,
        4e-3,
    ],
)
def test_a_tail_is_never_called_a_response(tau):
    """With the noise of an amplifier, 2 uV, and its M-wave, 3 mV."""
    script = never_elicited(m_wave=3e-3, artefact=StimulusArtefact(tails=((1e-3, tau),)))
    _, events = run(replace(script, amplifier=Amplifier(fs=10_000)))

    assert {e.state for e in of(events, StateChange)} == {"NOT_ELICITED"}
    found = [bool(r.measurement.present) for r in of(events, Response) if r.role == "lsr"]
    assert np.mean(found) < 0.03


def test_an_f_wave_in_the_stimulated_branchs_own_muscle_is_never_called_a_lateral_spread_response():
    """300 uV after every stimulus, heard with 8 % by its neighbours."""
    late = FWave(size=150e-6, persistence=0.99)
    script = replace(never_elicited(late=late), amplifier=Amplifier(fs=10_000))
    case, events = run(script)

    times = np.arange(100, 160) * 1e-4
    assert (
        np.ptp(np.mean([_at(case, t, times) for t in case.triggers[:40:2]], axis=0)) > 100e-6
    )  # it is there
    assert not of(events, StateChange, "zygomatic>OrbOculi")
    assert not of(events, StateChange, "mandibular>Mentalis")
    assert {e.state for e in of(events, StateChange)} == {"NOT_ELICITED"}
    assert len(of(events, StateChange)) == 4


def _at(case, trigger, times):
    """The own muscle's channel at these times after a zygomatic stimulus."""
    row, fs = case.info.names.index("OrbOculi"), int(case.info.fs)
    second, first = divmod(trigger.sample + round(times[0] * fs), fs)
    two = np.hstack([case.volts(second), case.volts(second + 1)])
    return two[row, first : first + times.size]


# a stream by hand: zygomatic stimuli only

NAMES = ("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
RAIL = 5e-3
LSRS = ("zygomatic>Mentalis", "zygomatic>OrbOris")


def wave(t, begin, duration, size):
    inside = (t >= begin) & (t < begin + duration)
    return np.where(inside, 0.5 * size * np.sin(2 * np.pi * (t - begin) / duration), 0.0)


class Stream:
    """Sweeps of M-wave and LSR (V, one per stimulus) in noise, to be disturbed before it is run."""

    def __init__(self, lateral, *, fs=5000.0, noise=2e-6, seed=1, step=0.19):
        self.fs, self.step, self.n = fs, round(step * fs), len(lateral)
        self.rng = np.random.default_rng(seed)
        self.data = noise * self.rng.normal(size=(4, self.step * (self.n + 2)))
        self.t = np.arange(round(0.1 * fs)) / fs
        self.triggers = [Trigger(self.at(k), "zygomatic", {"mA": "10"}) for k in range(self.n)]
        self.lateral = lateral
        for k in range(self.n):
            self.answer(k)

    def at(self, k, late=0.0):
        """Sample of stimulus ``k``, or so many s later."""
        return (k + 1) * self.step + round(late * self.fs)

    def answer(self, k, m_wave=1e-3, sign=1.0):
        part = self.data[:, self.at(k) : self.at(k) + self.t.size]
        part += sign * np.where(self.t < 0.2e-3, 4e-3, 0.3e-3 * np.exp(-self.t / 0.5e-3))
        part[0] += sign * wave(self.t, 2.5e-3, 4e-3, m_wave)
        part[1:3] += sign * wave(self.t, 11e-3, 4e-3, self.lateral[k])

    def silence(self, k):
        """Take the answer to a stimulus back."""
        self.answer(k, sign=-1.0)

    def add(self, k, late, trace):
        """Something on all channels, ``late`` s after a stimulus."""
        first = self.at(k, late)
        self.data[:, first : first + trace.size] += trace

    def mark(self, k, late, site):
        self.triggers.append(Trigger(self.at(k, late), site, {"mA": "10"}))

    def run(self, modality=MVD):
        np.clip(self.data, -RAIL, RAIL, out=self.data)
        valid = np.ones(self.data.shape, dtype=bool)
        self.triggers.sort(key=lambda t: t.sample)
        info = StreamInfo(self.fs, tuple(Channel(name, rails=(-RAIL, RAIL)) for name in NAMES))
        session = Session((modality,), info)
        whole = Chunk(self.data, valid, 0, tuple(self.triggers))
        edges = [*range(0, self.data.shape[1], 5 * self.step), self.data.shape[1]]
        parts = [whole.cut(a, b) for a, b in pairwise(edges)]
        return [e for part in parts for e in session.push(part)] + session.finish()


@pytest.mark.parametrize("size", [10e-6, 100e-6, 1000e-6])
def test_an_identical_response_keeps_its_amplitude_over_a_thousand_sweeps(size):
    """It is not absorbed. Measured: 0.2 % from first to last and 0.5 % below truth (the low-pass).

    At the shipped floor of 20 uV one of 10 uV is told only once a baseline is taken, if at all: here it is 5.
    """
    test = replace(MVD.response, floor=min(MVD.response.floor, size / 2))
    events = Stream([size] * 1000, fs=10_000.0, noise=0.02e-6).run(replace(MVD, response=test))

    shown = [r.measurement for r in of(events, Response, LSRS[0])]
    assert len(shown) == 1000
    assert all(m.present for m in shown)
    amplitudes = np.array([m.amplitude for m in shown])
    assert amplitudes[-1] == pytest.approx(amplitudes[0], rel=0.01)
    assert np.mean(amplitudes[-50:]) == pytest.approx(np.mean(amplitudes[25:75]), rel=0.002)
    np.testing.assert_allclose(amplitudes, size, rtol=0.01)
    assert [e.state for e in of(events, StateChange, LSRS[0])] == ["PRESENT"]


# what must not fool it

FIRST, LAST = 50, 80  # stimuli that are disturbed
TRUTHS = {
    "there": [200e-6] * 110,
    "never": [0.0] * 110,
    "lost": [200e-6] * 30 + [0.0] * 80,
}


def electric(stream, size, tau, pulses=1):
    """An artefact: pulses of 0.2 ms, 2 ms apart, each with its tail."""
    later = np.maximum(stream.t[:, None] - 2e-3 * np.arange(pulses), -1.0)
    tails = np.where(later >= 0, np.exp(-np.maximum(later, 0) / tau), 0.0).sum(axis=1)
    return size * tails + np.where((later >= 0) & (later < 0.2e-3), 4 * size, 0.0).sum(axis=1)


def clicks(stream, *, marked=True):
    """11.1 a second, out of step with the stimuli; 10 uV of the transducer's field."""
    ring = 5e-6 * np.sin(2 * np.pi * 1500 * stream.t) * np.exp(-stream.t / 0.5e-3)
    for sample in np.arange(stream.at(FIRST), stream.at(LAST), stream.fs / 11.1).astype(int):
        stream.data[:, sample : sample + ring.size] += ring
        if marked:
            stream.triggers.append(Trigger(int(sample), "click", {"ear": "L"}))


def each(stream, late, site, trace):
    for k in range(FIRST, LAST):
        stream.mark(k, late, site)
        stream.add(k, late, trace)


def tes(stream):
    each(stream, 10e-3, "tes", electric(stream, 3e-3, 1e-3, 5) + wave(stream.t, 14e-3, 10e-3, 1e-3))


def tof(stream):
    each(stream, 12e-3, "tof", electric(stream, 0.3e-3, 1e-3))


def supraorbital(stream):
    each(stream, 1e-3, "supraorbital", electric(stream, 1e-3, 1e-3) + wave(stream.t, 11e-3, 5e-3, 200e-6))


def tof_without_marks(stream):
    """Twice a second, out of step."""
    pulse = electric(stream, 0.3e-3, 1e-3)
    for sample in np.arange(stream.at(FIRST), stream.at(LAST), stream.fs * 0.513).astype(int):
        stream.data[:, sample : sample + pulse.size] += pulse


def double_mark(stream):
    for k in range(FIRST, LAST):
        stream.mark(k, 3e-3, "zygomatic")


def missed_mark(stream):
    stream.triggers = [t for k, t in enumerate(stream.triggers) if not (FIRST <= k < LAST and k % 3)]


def missed_stimulus(stream):
    for k in range(FIRST, LAST):
        stream.silence(k)


def mark_15_ms_late(stream):
    """The answer comes before its mark: there is no M-wave behind it."""
    late = [
        replace(t, sample=t.sample + (round(15e-3 * stream.fs) if FIRST <= k < LAST else 0))
        for k, t in enumerate(stream.triggers)
    ]
    stream.triggers = late


def clipping(stream):
    for k in range(FIRST, LAST):
        stream.add(k, 8e-3, np.full(round(6e-3 * stream.fs), 2 * RAIL))


def electrode_flat(stream):
    stream.data[1:3, stream.at(FIRST) : stream.at(LAST)] *= 1e-3


def electrode_hum(stream):
    span = np.arange(stream.at(FIRST), stream.at(LAST))
    stream.data[1:3, span] = 2.5e-3 * np.sin(2 * np.pi * 50.02 * span / stream.fs)


def cautery(stream):
    part = stream.data[:, stream.at(FIRST) : stream.at(LAST)]
    part += 3e-3 * stream.rng.normal(size=part.shape)


def lower_current(stream):
    """Below the threshold of the LSR; the M-wave stays."""
    for k in range(FIRST, LAST):
        stream.silence(k)
        stream.lateral[k] = 0.0
        stream.answer(k, 0.8e-3)
        stream.triggers[k] = replace(stream.triggers[k], attributes={"mA": "5"})


def higher_current(stream):
    """A stronger stimulus brings a response that the baseline's did not: that is no reappearance.

    Fifteen times, fewer than a titration's twenty, which take a new baseline (test_judge.py)."""
    for k in range(FIRST, FIRST + 15):
        stream.silence(k)
        stream.lateral[k] = 300e-6
        stream.answer(k, 1.05e-3)
        stream.triggers[k] = replace(stream.triggers[k], attributes={"mA": "20"})


DISTURBED = (
    clicks,
    tes,
    tof,
    supraorbital,
    tof_without_marks,
    double_mark,
    missed_mark,
    missed_stimulus,
    mark_15_ms_late,
    clipping,
    electrode_flat,
    electrode_hum,
    cautery,
    lower_current,
    higher_current,
)


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("disturb", DISTURBED, ids=lambda disturb: disturb.__name__)
def test_no_disturbance_makes_a_false_entry_into_a_state(disturb, truth):
    stream = Stream(list(TRUTHS[truth]))
    disturb(stream)

    events = stream.run()

    for name in LSRS:
        states = [e.state for e in of(events, StateChange, name)]
        assert (
            states == {"there": ["PRESENT"], "never": ["NOT_ELICITED"], "lost": ["PRESENT", "ABSENT"]}[truth]
        )
        assert not of(events, Hold, name)[-1].active  # judged again at the end


@pytest.mark.parametrize(
    ("disturb", "reason"),
    [
        (tes, "foreign_stimulus"),
        (tof, "foreign_stimulus"),
        (supraorbital, "foreign_stimulus"),
        (double_mark, "foreign_stimulus"),
        (missed_stimulus, "m_control_lost"),
        (clipping, "saturation"),
        (electrode_flat, "electrode_off"),
        (cautery, "cautery"),
        (lower_current, "intensity_low"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_cannot_be_judged_is_held_with_its_reason(disturb, reason):
    stream = Stream(list(TRUTHS["there"]))
    disturb(stream)

    holds = of(stream.run(), Hold, LSRS[0])

    assert reason in {r for hold in holds for r in hold.reasons}
