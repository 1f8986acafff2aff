"""Detection statistics: their null distributions, their identities, and looking again without guilt."""

import math

import numpy as np
import pytest
import scipy.signal
import scipy.stats

from ionm.evidence import (
    Sequential,
    bootstrap,
    f_tail,
    fmp,
    fmp_of,
    fmp_verdict,
    fsp,
    hotelling,
    random_averages,
    stopping_limits,
    time_bins,
)
from ionm.residual import autocovariance, effective_points, signal_to_noise, split_half, toeplitz

FS = 20_000.0
SAMPLES = 160  # 8 ms: 1 to 9 ms


def coloured(rng, n, samples=SAMPLES, exponent=1.0):
    """Noise, 100-3000 Hz forwards and backwards, power falling by frequency to the exponent, rms 1."""
    spectrum = np.fft.rfft(rng.standard_normal((n, 4 * samples)), axis=1)
    frequency = np.fft.rfftfreq(4 * samples, 1 / FS)
    sos = scipy.signal.butter(2, (100, 3000), "bandpass", fs=FS, output="sos")
    gain = np.abs(scipy.signal.sosfreqz(sos, frequency, fs=FS)[1]) ** 2
    gain[1:] /= frequency[1:] ** (exponent / 2)
    noise = np.fft.irfft(spectrum * gain, axis=1)[:, :samples]
    return noise / np.sqrt(np.mean(noise**2))


def response(size):
    t = np.arange(SAMPLES) / FS * 1e3 + 1  # ms
    return size * (np.exp(-0.5 * ((t - 5.6) / 0.3) ** 2) - np.exp(-0.5 * ((t - 6.6) / 0.4) ** 2))


@pytest.mark.parametrize(("q", "value"), [(0.05, 2.250), (0.025, 2.618), (0.01, 3.0914), (0.001, 4.250)])
def test_the_tabulated_points_of_f_5_250_are_met(q, value):
    """hearing.md 9.1."""
    assert f_tail(value, 5, 250) == pytest.approx(q, rel=2e-3)


def test_no_variance_is_no_evidence():
    assert f_tail(0.0, 5, 250) == 1.0


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_noise_alone_exceeds_the_classical_limit_of_3_1_in_at_most_one_average_of_a_hundred(exponent):
    """hearing.md 9.1: the nominal five degrees of freedom are the worst case."""
    rng = np.random.default_rng(1)

    values = [fmp(coloured(rng, 250, exponent=exponent)) for _ in range(400)]

    assert np.mean(np.array(values) > 3.1) <= 0.01


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_recordings_own_degrees_of_freedom_give_the_chance_that_is_said(exponent):
    """At alpha .05 within exact binomial limits of 600 draws (99.9 %)."""
    rng = np.random.default_rng(2)
    differences = coloured(rng, 400, samples=400, exponent=exponent)
    hits = 0
    for _ in range(600):
        sweeps = coloured(rng, 100, exponent=exponent)
        noise = math.sqrt(np.mean(np.var(sweeps, axis=0, ddof=1)) / len(sweeps))
        hits += fmp_verdict(sweeps.mean(axis=0), noise, differences, len(sweeps)).p_value <= 0.05

    # the chi-square with the same two moments is an approximation: allow it a quarter
    low, high = scipy.stats.binom.ppf([0.0005, 0.9995], 600, 0.05)
    assert 0.75 * low <= hits <= 1.25 * high


def test_colour_lowers_the_degrees_of_freedom_in_the_order_of_the_reference():
    """hearing.md 5.1: about 39 for white noise in band (2 B T = 46 for a sharp one), 7 for 1 / f**2."""
    rng = np.random.default_rng(3)

    found = [
        effective_points(toeplitz(autocovariance(coloured(rng, 500, samples=1600, exponent=e), SAMPLES)))
        for e in (0.0, 1.0, 2.0)
    ]

    assert found[0] == pytest.approx(46, rel=0.1)
    assert found[0] > 1.5 * found[1] > 3 * found[2]
    assert found[2] == pytest.approx(6.9, rel=0.3)


def test_fmp_is_one_plus_the_ratio_and_the_halves_say_the_same():
    """hearing.md 9.2: E[Fmp] = 1 + P / RN**2, split-half SNR = 2 r / (1 - r), within 0.5 dB."""
    rng = np.random.default_rng(4)
    s = response(0.4)
    values, correlations = [], []
    for _ in range(300):
        sweeps = coloured(rng, 100) + s
        values.append(fmp(sweeps))
        correlations.append(split_half(sweeps[::2].mean(axis=0), sweeps[1::2].mean(axis=0)))

    truth = np.var(s, ddof=1) * 100
    assert np.mean(values) == pytest.approx(1 + truth, rel=0.05)
    assert abs(10 * math.log10((np.mean(values) - 1) / truth)) < 0.5
    assert abs(10 * math.log10(signal_to_noise(float(np.median(correlations))) / (np.mean(values) - 1))) < 0.5


def test_a_single_point_and_all_points_agree_on_average():
    rng = np.random.default_rng(5)
    s = response(0.5)

    pairs = [(fsp(x, 80), fmp(x)) for x in (coloured(rng, 200) + s for _ in range(100))]

    assert np.median([a for a, _ in pairs]) == pytest.approx(np.median([b for _, b in pairs]), rel=0.1)
    x = coloured(rng, 200) + s
    noise = math.sqrt(np.mean(np.var(x, axis=0, ddof=1)) / 200)
    assert fmp_of(x.mean(axis=0), noise) == pytest.approx(fmp(x), rel=1e-12)


def test_hotelling_keeps_its_chance_in_noise_and_sees_a_response():
    rng = np.random.default_rng(6)
    null = [hotelling(time_bins(coloured(rng, 60), 12)).p_value for _ in range(600)]
    seen = [hotelling(time_bins(coloured(rng, 60) + response(0.6), 12)).p_value for _ in range(50)]

    low, high = scipy.stats.binom.ppf([0.0005, 0.9995], 600, 0.05)
    assert low <= np.sum(np.array(null) <= 0.05) <= high
    assert np.mean(np.array(seen) < 0.01) > 0.9


def test_hotelling_of_one_feature_is_students_t():
    x = np.random.default_rng(7).normal(0.3, 1, (40, 1))

    verdict = hotelling(x)

    t = scipy.stats.ttest_1samp(x[:, 0], 0.0)
    assert verdict.statistic == pytest.approx(t.statistic**2)
    assert verdict.p_value == pytest.approx(t.pvalue)


def test_time_bins_are_means_without_the_sweeps_own():
    bins = time_bins(np.arange(12.0)[None, :], 3)

    np.testing.assert_allclose(bins, [[-4.5, -1.5, 1.5]])


def test_the_bootstrap_from_the_same_record_keeps_its_chance_at_one_per_cent():
    """hearing.md 9.11 on simulated runs without stimulus: within exact binomial limits."""
    rng = np.random.default_rng(8)
    hits, runs = 0, 200
    for run in range(runs):
        record = coloured(rng, 1, samples=12_000, exponent=1.0)[0]
        null = np.var(random_averages(record, 25, SAMPLES, 99, seed=run), axis=1)
        onsets = 40 + 455 * np.arange(25)
        value = np.var(np.mean([record[a : a + SAMPLES] for a in onsets], axis=0))
        hits += bootstrap(float(value), null) <= 0.05

    low, high = scipy.stats.binom.ppf([0.0005, 0.9995], runs, 0.05)
    assert low <= hits <= high


def test_the_bootstrap_never_says_more_than_its_draws_can_know():
    assert bootstrap(10.0, np.zeros(499)) == pytest.approx(0.002)
    assert bootstrap(-1.0, np.zeros(499)) == 1.0


def test_repeated_looks_together_cost_what_was_agreed():
    rng = np.random.default_rng(9)
    runs = 20_000
    p = rng.random((runs, 6))
    sums = np.cumsum(-2 * np.log(p), axis=1)

    limits = np.array(stopping_limits(0.05, 6))
    naive = np.mean((p < 0.05).any(axis=1))

    assert np.mean((sums >= limits).any(axis=1)) == pytest.approx(0.05, abs=0.005)
    assert naive > 0.2
    for stage in range(6):
        going = ~(sums[:, :stage] >= limits[:stage]).any(axis=1)
        assert np.mean(going & (sums[:, stage] >= limits[stage])) == pytest.approx(0.05 / 6, abs=0.003)


def test_one_look_needs_what_the_plain_test_needs():
    assert stopping_limits(0.01, 1)[0] == pytest.approx(-2 * math.log(0.01), abs=0.03)


def test_the_sequential_test_stops_early_on_evidence_and_ends_without():
    early, never = Sequential(0.01, 3), Sequential(0.01, 3)

    assert early.push(1e-4) is True
    assert [never.push(0.5), never.push(0.4), never.push(0.9)] == [None, None, False]
    with pytest.raises(ValueError, match="at most 3 looks"):
        never.push(0.5)


@pytest.mark.parametrize(("alpha", "stages"), [(0.0, 3), (1.0, 3), (0.05, 0)])
def test_impossible_plans_are_refused(alpha, stages):
    with pytest.raises(ValueError, match="need 0 < alpha < 1 and stages >= 1"):
        stopping_limits(alpha, stages)
