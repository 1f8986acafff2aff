"""The four designs: scipy's coefficients, their gains and delays, and what they refuse."""

import numpy as np
import pytest
from scipy import signal

from ionm.errors import SetupError
from ionm.filters.bandpass import Bandpass
from ionm.filters.highpass import Highpass
from ionm.filters.lowpass import Lowpass
from ionm.filters.notch import Notch
from ionm.filters.sos import Sos
from ionm.stream import Channel, StreamInfo, chunk

INFO = StreamInfo(20_000.0, (Channel("OrbOculi"), Channel("Mentalis")))
DESIGNS = [Bandpass(30.0, 3000.0, 4), Highpass(10.0), Lowpass(3000.0, 3), Notch(60.0, 2.0)]


def gain_db(design, frequency, info=INFO):
    _, response = signal.freqz_sos(np.array(design.sections(info)), [frequency], fs=info.fs)
    return 20 * np.log10(np.abs(response[0]))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_butterworth_designs_are_scipys(order):
    fs = INFO.fs
    expected = {
        Bandpass(30.0, 3000.0, order): signal.butter(order, (30, 3000), "bandpass", output="sos", fs=fs),
        Highpass(30.0, order): signal.butter(order, 30, "highpass", output="sos", fs=fs),
        Lowpass(3000.0, order): signal.butter(order, 3000, "lowpass", output="sos", fs=fs),
    }

    for design, sos in expected.items():
        np.testing.assert_array_equal(design.sections(INFO), sos)


def test_the_corners_lie_at_minus_three_decibels():
    for design, corners in [
        (Bandpass(30.0, 3000.0, 4), (30.0, 3000.0)),
        (Highpass(10.0), (10.0,)),
        (Lowpass(3000.0), (3000.0,)),
        (Notch(60.0, 2.0), (59.0083, 61.0083)),
    ]:
        for corner in corners:
            assert gain_db(design, corner) == pytest.approx(-3.0103, abs=0.1)


def test_a_notch_takes_out_its_frequency_and_spares_the_rest():
    assert gain_db(Notch(60.0, 2.0), 60.0) < -200
    assert gain_db(Notch(60.0, 2.0), 1000.0) == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
@pytest.mark.parametrize("frequency", [15.0, 59.0, 150.0, 1000.0, 7000.0])
def test_delay_is_the_negative_slope_of_the_phase(design, frequency):
    step = 1e-3
    sos = np.array(design.sections(INFO))
    _, response = signal.freqz_sos(sos, [frequency - step, frequency + step], fs=INFO.fs)
    slope = np.angle(response[1] / response[0]) / (2 * np.pi * 2 * step)

    assert design.delay(INFO, frequency) == pytest.approx(-slope, rel=1e-4, abs=1e-9)


def test_the_delay_at_the_centre_of_a_notch_is_finite():
    beside = Notch(60.0, 2.0).delay(INFO, 60.001)

    assert Notch(60.0, 2.0).delay(INFO, 60.0) == pytest.approx(beside, rel=1e-4)


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
def test_a_design_runs_as_its_sections_do(design):
    data = np.random.default_rng(7).normal(1e-4, 1e-5, (2, 400))

    running = design.start(INFO)
    out = running.push(chunk(data))

    np.testing.assert_array_equal(out.data, Sos(design.sections(INFO)).start(INFO).push(chunk(data)).data)
    assert design.output(INFO) is INFO


@pytest.mark.parametrize("design", [Bandpass(30.0, 3000.0, 4), Highpass(10.0), Notch(60.0, 2.0)], ids=repr)
def test_an_electrode_offset_rings_nothing(design):
    offset = 0.3  # V

    out = design.start(INFO).push(chunk(np.full((2, 1000), offset)))

    steady = offset if isinstance(design, Notch) else 0.0
    np.testing.assert_allclose(out.data, steady, atol=1e-11)


@pytest.mark.parametrize("design", DESIGNS, ids=repr)
def test_specs_compare_hash_and_print_as_their_settings(design):
    again = eval(repr(design))

    assert again == design
    assert hash(again) == hash(design)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bandpass(300.0, 30.0), "need 0 < low < high, got low=300 Hz, high=30 Hz"),
        (lambda: Bandpass(0.0, 30.0), "need 0 < low < high, got low=0 Hz"),
        (lambda: Bandpass(float("nan"), 30.0), "got low=nan Hz"),
        (lambda: Bandpass(10.0, 30.0, 0), "need a whole order >= 1, got order=0"),
        (lambda: Highpass(-1.0), "need cutoff > 0 Hz, got cutoff=-1 Hz"),
        (lambda: Highpass(10.0, 1.5), "need a whole order >= 1, got order=1.5"),
        (lambda: Lowpass(0.0), "need cutoff > 0 Hz, got cutoff=0 Hz"),
        (lambda: Notch(60.0, 0.0), "need 0 < bandwidth < frequency, got bandwidth=0 Hz, frequency=60 Hz"),
        (lambda: Notch(60.0, 61.0), "got bandwidth=61 Hz, frequency=60 Hz"),
        (lambda: Lowpass(100.0, hold=-1.0), "need a finite hold >= 0 s, got hold=-1 s"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("design", "name"),
    [
        (Bandpass(30.0, 3000.0), "high=3000"),
        (Highpass(3000.0), "cutoff=3000"),
        (Lowpass(2500.0), "cutoff=2500"),
        (Notch(2600.0, 2.0), "frequency=2600"),
    ],
)
def test_settings_beyond_half_the_rate_are_refused_at_the_start(design, name):
    slow = StreamInfo(5000.0, INFO.channels)

    with pytest.raises(SetupError, match=f"^{name} Hz must lie below 2500.0 Hz, half of fs=5000.0 Hz$"):
        design.start(slow)


@pytest.mark.parametrize("frequency", [0.0, -1.0, 10_000.0])
def test_a_delay_is_asked_for_inside_the_band(frequency):
    with pytest.raises(SetupError, match=f"frequency={frequency:g} Hz"):
        Highpass(10.0).delay(INFO, frequency)
