"""Averages: weights, forgetting, halves and rejections against their formulae."""

import math

import numpy as np
import pytest

from ionm.averaging import Averaging
from ionm.errors import SetupError
from ionm.sweeps import Layout

FS = 20_000.0
LAYOUT = Layout((0, 1), None, 40, 440, FS, 0.0)
NOISE, JUDGED = (11e-3, 19.5e-3), (0.8e-3, 19.5e-3)
ALL_VALID = np.ones((2, 440), bool)
SIGMA = 1.5e-6  # V


def spec(**settings):
    return Averaging(**{"noise": NOISE, "judged": JUDGED, "reject": 40e-6, **settings})


def pushed(running, sweeps, valid=ALL_VALID, reasons=(None, None)):
    """Push sweeps of shape (n, 2, 440); the blocks that became complete."""
    blocks = [running.push(i, sweep, valid, reasons) for i, sweep in enumerate(sweeps)]
    return [block for block in blocks if block is not None]


def noise(n, sigma=SIGMA, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, (n, 2, 440))


def test_four_hundred_sweeps_at_the_fast_rate_take_nine_seconds():
    """hearing.md 9.9, and an update every quarter of a second with the default block."""
    rate = 43.9  # 1/s

    assert abs(400 / rate - 9.11) < 0.005
    assert spec().block / rate == pytest.approx(0.25, abs=0.002)


def test_the_plain_average_is_the_mean_of_the_sweeps():
    running = spec(sizes=(math.inf,), weighted=False).start(LAYOUT)
    sweeps = noise(220)

    pushed(running, sweeps)

    average = running.average(1, 0)
    np.testing.assert_allclose(average.whole, sweeps[:, 1].mean(axis=0), rtol=0, atol=1e-18)
    assert average.sweeps == pytest.approx(220)
    assert average.noise == pytest.approx(SIGMA / math.sqrt(220), rel=0.03)


def test_the_halves_are_pairs_of_stimuli_so_that_alternating_clicks_cancel_within_each():
    running = spec(sizes=(math.inf,), weighted=False, block=8).start(LAYOUT)
    sweeps = noise(16)
    artefact = 1e-3 * np.exp(-np.arange(440) / 5.0)[None, None, :] * (-1.0) ** np.arange(16)[:, None, None]

    (first, second) = pushed(running, sweeps)
    alternating = spec(sizes=(math.inf,), weighted=False, block=8, reject=1.0).start(LAYOUT)
    pushed(alternating, sweeps + artefact)

    np.testing.assert_allclose(first[0].halves[0], sweeps[[0, 1, 4, 5], 0].mean(axis=0), atol=1e-18)
    np.testing.assert_allclose(second[0].halves[1], sweeps[[10, 11, 14, 15], 0].mean(axis=0), atol=1e-18)
    np.testing.assert_allclose(alternating.average(0, 0).halves, running.average(0, 0).halves, atol=1e-15)


def test_noise_of_two_levels_is_weighted_as_elberling_and_wahlgreen_say():
    """hearing.md 9.4: weighted 1.8 sigma**2 / N against plain 5 sigma**2 / N, 2.78 times the sweeps."""
    levels = np.repeat(np.tile([1.0, 3.0], 100), 11)[:, None, None]
    sweeps = noise(len(levels), seed=1) * levels
    weighted = spec(sizes=(math.inf,), reject=1.0).start(LAYOUT)
    plain = spec(sizes=(math.inf,), reject=1.0, weighted=False).start(LAYOUT)

    pushed(weighted, sweeps)
    pushed(plain, sweeps)

    n = len(levels)
    assert weighted.average(0, 0).noise ** 2 == pytest.approx(1.8 * SIGMA**2 / n, rel=0.03)
    assert plain.average(0, 0).noise ** 2 == pytest.approx(5.0 * SIGMA**2 / n, rel=0.03)
    ratio = np.var(plain.average(0, 0).whole) / np.var(weighted.average(0, 0).whole)
    assert ratio == pytest.approx(2.78, rel=0.25)  # of one draw of 440 samples


@pytest.mark.parametrize("seed", range(5))
def test_the_weighted_average_never_says_it_is_noisier_than_the_plain_one(seed):
    """hearing.md 9.3, on noise that comes and goes."""
    rng = np.random.default_rng(seed)
    sweeps = noise(330, seed=seed) * np.repeat(rng.lognormal(0, 0.6, 30), 11)[:, None, None]
    found = []
    for weighted in (True, False):
        running = spec(sizes=(math.inf,), weighted=weighted, reject=1.0).start(LAYOUT)
        pushed(running, sweeps)
        found.append(running.average(0, 0).noise)

    assert found[0] <= found[1]


def test_residual_noise_from_halves_scatter_and_weights_agree_in_steady_noise():
    """hearing.md 9.3: within 5 %."""
    rng = np.random.default_rng(3)
    stated, halves, ensemble = [], [], []
    for _ in range(40):
        running = spec(sizes=(math.inf,)).start(LAYOUT)
        sweeps = rng.normal(0, SIGMA, (220, 2, 440))
        pushed(running, sweeps)
        average = running.average(0, 0)
        stated.append(average.noise)
        halves.append(np.sqrt(np.mean(average.difference**2)))
        ensemble.append(np.sqrt(np.mean(sweeps[:, 0].var(axis=0, ddof=1)) / 220))

    assert np.mean(stated) == pytest.approx(np.mean(halves), rel=0.05)
    assert np.mean(stated) == pytest.approx(np.mean(ensemble), rel=0.05)
    assert np.mean(stated) == pytest.approx(SIGMA / math.sqrt(220), rel=0.05)


@pytest.mark.parametrize("size", [200.0, 400.0, 800.0])
def test_a_bank_that_forgets_holds_its_effective_number_of_sweeps(size):
    """hearing.md 9.5 in blocks: variance a / (2 - a), with a = 1 - f."""
    running = spec(sizes=(size,)).start(LAYOUT)

    pushed(running, noise(int(6 * size)))

    average = running.average(0, 0)
    factor = (size - 11) / (size + 11)
    a = 1 - factor
    assert a / (2 - a) == pytest.approx(11 / size)
    assert average.sweeps == pytest.approx(size, rel=0.03)
    assert average.noise == pytest.approx(SIGMA / math.sqrt(size), rel=0.05)


def test_a_step_is_half_seen_after_a_third_of_the_effective_sweeps():
    """hearing.md 4.4: n50 = ln .5 / ln(1 - a) = .347 N_eff, n90 = 1.15 N_eff."""
    running = spec(sizes=(400.0,), weighted=False).start(LAYOUT)
    before, after = noise(8800, sigma=1e-9), noise(880, sigma=1e-9, seed=2) + 1e-6
    pushed(running, before)

    seen = []
    for i, sweep in enumerate(after):
        if running.push(i, sweep, ALL_VALID, (None, None)) is not None:
            seen.append(float(np.mean(running.average(0, 0).whole)) / 1e-6)

    sweeps = 11 * (1 + np.arange(len(seen)))
    assert np.interp(0.5, seen, sweeps) == pytest.approx(0.347 * 400, abs=6)
    assert np.interp(0.9, seen, sweeps) == pytest.approx(1.15 * 400, abs=12)


def test_forgetting_with_weights_is_the_kalman_filter_of_a_local_level():
    """Steady noise: from its steady gain on, the Kalman filter's mean is the bank's, sample by sample."""
    running = spec(sizes=(400.0,), weighted=False).start(LAYOUT)
    sweeps = noise(11 * 300, seed=4)
    blocks = [found[0].mean for found in pushed(running, sweeps)]
    gain = 1 - (400 - 11) / (400 + 11)
    r = SIGMA**2 / 11
    q = r * gain**2 / (1 - gain)  # the local level whose steady gain this is (hearing.md 4.6)

    mean, p = np.zeros(440), 1e6 * r
    for block in blocks:
        k = p / (p + r)
        mean = mean + k * (block - mean)
        p = (1 - k) * p + q

    # the pairs leave 6 and 5 sweeps in a block's halves; the whole is their mean all the same
    np.testing.assert_allclose(running.average(0, 0).whole, mean, atol=1e-12)


def test_a_loud_sweep_is_refused_and_counted_without_harm_to_the_other_row():
    sweeps = noise(22)
    sweeps[3, 0, 200] = 50e-6
    sweeps[7, 0] = np.nan
    valid = np.repeat(ALL_VALID[None], 22, axis=0)
    valid[7, 0] = False
    running = spec(sizes=(math.inf,)).start(LAYOUT)

    for i, (sweep, flags) in enumerate(zip(sweeps, valid, strict=True)):
        running.push(100 * i, sweep, flags, ("cautery", None) if i == 9 else (None, None))

    assert running.accepted == [19, 22]
    assert running.rejected == [{"amplitude": 1, "invalid": 1, "cautery": 1}, {}]
    assert running.last_accepted == [2100, 2100]
    assert np.isfinite(running.average(0, 0).halves).all()
    alone = spec(sizes=(math.inf,)).start(LAYOUT)
    pushed(alone, noise(22))
    np.testing.assert_array_equal(running.average(1, 0).halves, alone.average(1, 0).halves)


def test_an_artefact_outside_the_judged_stretch_is_no_reason():
    sweeps = noise(11)
    sweeps[:, :, 40:50] = 5e-3  # the click's own artefact
    valid = ALL_VALID.copy()
    valid[:, 40:50] = False
    running = spec().start(LAYOUT)

    pushed(running, sweeps, valid)

    assert running.accepted == [11, 11]


def test_a_sample_that_is_no_number_never_enters_wherever_it_lies():
    sweeps = noise(11)
    sweeps[2, 0, 5] = np.nan  # before the judged stretch, and said to be valid
    sweeps[4, 1, 439] = np.inf
    running = spec().start(LAYOUT)

    pushed(running, sweeps)

    assert running.rejected == [{"invalid": 1}, {"invalid": 1}]
    assert np.isfinite(running.average(0, 0).halves).all()
    assert np.isfinite(running.average(1, 0).halves).all()


def test_a_block_mostly_refused_waits_for_the_next():
    running = spec().start(LAYOUT)

    first = pushed(running, noise(11)[:8], reasons=("drill", None)) + pushed(running, noise(3))
    second = pushed(running, noise(11))

    assert list(first[0]) == [1]
    assert sum(second[0][0].counts) == 14
    assert second[0][1].counts == (6, 5) or sum(second[0][1].counts) == 11


def test_a_dead_channel_never_enters():
    running = spec().start(LAYOUT)

    found = pushed(running, np.zeros((22, 2, 440)))

    assert found == [{}, {}]
    assert running.average(0, 0) is None
    assert running.rejected[0] == {"flat": 22}
    assert running.accepted == [0, 0]


def test_a_suddenly_quiet_stretch_does_not_outweigh_all_else():
    running = spec(sizes=(math.inf,)).start(LAYOUT)
    pushed(running, noise(330))

    (block,) = pushed(running, noise(11, sigma=1e-9))

    assert block[0].variance == pytest.approx(0.25 * SIGMA**2, rel=0.1)


def test_rows_are_picked_from_the_sweep_and_masked_by_reason():
    sweeps = noise(11)
    one = spec(sizes=(math.inf,)).start(Layout((1,), None, 40, 440, FS, 0.0))

    for i, sweep in enumerate(sweeps):
        one.push(i, sweep, ALL_VALID, (None,))

    np.testing.assert_allclose(one.average(0, 0).whole, sweeps[:, 1].mean(axis=0), atol=1e-18)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reject": 0.0}, "reject > 0 V, got reject=0"),
        ({"block": 3}, "at least 4 stimuli, got block=3"),
        ({"sizes": (11.0,)}, r"larger than a block of 11, got sizes=\(11.0,\)"),
        ({"sizes": ()}, "larger than a block"),
        ({"floor": 1.0}, "floor < 1, got floor=1"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        spec(**settings)


def test_a_sweep_too_short_for_the_noise_stretch_is_refused():
    with pytest.raises(SetupError, match="does not hold the stretch from 11 to 25 ms"):
        spec(noise=(11e-3, 25e-3)).start(LAYOUT)
