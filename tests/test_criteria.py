"""Every published limit on both sides, hysteresis, holds, patterns."""

from __future__ import annotations

import pytest

from ionm.criteria import CRITERIA, LADDER, UNITS, Clause, Noisiness, corrected, pattern

STILL = {
    "v_shift": 0.0,
    "v_shift_low": -0.05e-3,
    "v_gain": 1.0,
    "v_gain_high": 1.1,
    "v_lost": 0.0,
    "i_shift": 0.0,
    "i_iii": 0.0,
    "iii_evidence": -5.0,
    "watch_evidence": -8.0,
    "warn_evidence": -20.0,
    "jump_evidence": -20.0,
    "n1_shift": 0.0,
    "n1_gain": 1.0,
    "n1_lost": 0.0,
}
LESS, MORE = 1 - 1e-9, 1 + 1e-9


def standing(criterion, times=1, **changes):
    run = CRITERIA[criterion].start()
    for _ in range(times):
        run.push(STILL | changes)
    return [level.name for level in run.standing]


@pytest.mark.parametrize(
    ("criterion", "measure", "limit", "level"),
    [
        ("acns", "v_shift", 1.0e-3, "warning"),
        ("polo-2004", "v_shift", 0.4e-3, "watch"),
        ("polo-2004", "v_shift", 0.6e-3, "warning"),
        ("polo-2004", "v_shift", 1.0e-3, "critical"),
        ("park-2018", "v_shift", 1.0e-3, "watch"),
        ("park-2021", "i_iii", 0.5e-3, "watch"),
    ],
)
def test_a_delay_counts_from_its_limit_on_and_not_below(criterion, measure, limit, level):
    assert level in standing(criterion, **{measure: limit})
    assert level not in standing(criterion, **{measure: limit * LESS})


@pytest.mark.parametrize(("criterion", "limit"), [("acns", 0.5), ("hatayama-1998", 0.6)])
def test_a_loss_of_size_counts_at_its_limit_and_not_above(criterion, limit):
    assert standing(criterion, v_gain=limit) == ["warning"]
    assert standing(criterion, v_gain=limit * MORE) == []


@pytest.mark.parametrize(
    ("measure", "limit", "harmless", "level"),
    [
        ("n1_gain", 0.5, 0.5 * MORE, "warning"),
        ("n1_shift", 0.5e-3, 0.5e-3 * LESS, "warning"),
        ("n1_gain", 0.2, 0.2 * MORE, "critical"),
        ("n1_lost", 1.0, 0.0, "critical"),
    ],
)
def test_every_limit_of_the_nerves_own_potential_counts_on_one_side_only(measure, limit, harmless, level):
    assert level in standing("cnap", times=2, **{measure: limit})
    assert level not in standing("cnap", times=2, **{measure: harmless})


@pytest.mark.parametrize("criterion", ["acns", "park-2018"])
def test_the_loss_of_wave_v_is_critical(criterion):
    assert "critical" in standing(criterion, v_lost=1.0)
    assert "critical" not in standing(criterion, v_lost=None)


def test_park_2018_needs_both_delay_and_half_of_the_size():
    assert standing("park-2018", v_shift=1.0e-3, v_gain=0.5) == ["watch", "critical"]
    assert standing("park-2018", v_shift=1.0e-3, v_gain=0.5 * MORE) == ["watch"]
    assert standing("park-2018", v_shift=1.0e-3 * LESS, v_gain=0.5) == []
    assert standing("park-2018", v_shift=2.5e-3, v_gain=1.0) == ["watch"]


def test_hatayama_1998_knows_no_latency():
    assert standing("hatayama-1998", v_shift=3e-3) == []


def test_park_2021_needs_a_wave_i_that_stays():
    assert standing("park-2021", i_iii=0.6e-3, i_shift=0.5e-3 * LESS) == ["watch"]
    assert standing("park-2021", i_iii=0.6e-3, i_shift=0.5e-3) == []
    assert standing("park-2021", i_iii=0.6e-3, i_shift=None) == []


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"watch_evidence": 8.0}, "watch"),
        ({"v_shift": 0.4e-3, "v_shift_low": 0.2e-3}, "watch"),
        ({"i_iii": 0.5e-3, "iii_evidence": 8.0}, "watch"),
        ({"warn_evidence": 5.0}, "warning"),
        ({"jump_evidence": 8.5}, "warning"),
        ({"v_shift": 0.6e-3, "v_shift_low": 0.4e-3}, "warning"),
        ({"v_gain": -0.5, "v_gain_high": -0.55}, "warning"),  # turned over below: falls instead of rises
        ({"v_shift": 1.0e-3, "v_gain": -0.5}, "critical"),
        ({"v_lost": 1.0}, "critical"),
    ],
)
def test_every_limit_of_the_ladder_counts_on_one_side_only(changes, level):
    at = {name: abs(value) for name, value in changes.items()}

    assert level in standing("ladder", times=2, **at)
    for name, value in changes.items():
        beyond = at | {name: abs(value) * (LESS if value > 0 else MORE)}
        assert level not in standing("ladder", times=2, **beyond)


def test_the_ladder_wants_two_updates_in_a_row():
    run = LADDER.start()
    late = STILL | {"warn_evidence": 9.0}

    steps = [run.push(m) for m in (late, STILL, late, late)]

    assert [bool(s) for s in steps] == [False, False, False, True]
    (step,) = steps[-1]
    assert (step.level.name, step.raised, step.value) == ("warning", True, 9.0)
    assert step.clause == Clause("warn_evidence", ">=", 5.0)


def test_a_warning_is_left_below_its_own_lower_limit_only():
    run = LADDER.start()
    for _ in range(2):
        run.push(STILL | {"warn_evidence": 9.0, "v_shift": 0.65e-3})

    between = [run.push(STILL | {"v_shift": 0.55e-3, "warn_evidence": -1.0}) for _ in range(5)]
    smaller = [run.push(STILL | {"v_gain": 0.54}) for _ in range(5)]
    gone = [run.push(STILL | {"v_shift": 0.5e-3, "v_gain": 0.55, "warn_evidence": 0.0}) for _ in range(2)]

    assert not any(between)
    assert not any(smaller)
    assert [[(s.level.name, s.raised) for s in step] for step in gone] == [[], [("warning", False)]]
    assert run.standing == ()


def test_a_lost_wave_that_cannot_be_seen_again_stays_critical():
    run = CRITERIA["acns"].start()
    run.push(STILL | {"v_lost": 1.0, "v_gain": 0.2})

    run.push(STILL | {"v_lost": None})

    assert "critical" in [level.name for level in run.standing]


def test_nothing_is_entered_or_left_while_it_cannot_be_judged():
    run = LADDER.start()
    lost = STILL | {"v_lost": 1.0, "warn_evidence": 20.0}

    held = [run.push(lost, judged=False) for _ in range(20)]
    after = [run.push(lost), run.push(lost)]
    frozen = [run.push(STILL, judged=False) for _ in range(20)]

    assert not any(held)
    assert not after[0]
    assert [s.level.name for s in after[1]] == ["warning", "critical"]
    assert not any(frozen)
    assert len(run.standing) == 2


def test_a_hold_in_between_begins_the_counting_anew():
    run = LADDER.start()
    late = STILL | {"warn_evidence": 9.0}

    steps = [run.push(late), run.push(late, judged=False), run.push(late)]

    assert not any(steps)


def test_criteria_name_their_source_and_measures_that_exist():
    for name, criterion in CRITERIA.items():
        assert criterion.name == name
        assert criterion.source
        clauses = [c for level in criterion.levels for some in (*level.enter, level.leave) for c in some]
        assert {c.measure for c in clauses} <= set(STILL)
        assert all((c.limit < 0.01) == (UNITS.get(c.measure) == "s") or c.limit == 0.0 for c in clauses)
        assert {level.priority for level in criterion.levels} <= {"low", "medium", "high"}


@pytest.mark.parametrize(
    ("i", "iii", "v", "what"),
    [
        (0.6e-3, 0.62e-3, 0.65e-3, "all"),
        (0.05e-3, 0.6e-3, 0.7e-3, "nerve"),
        (0.0, 0.4e-3, 0.4e-3, "nerve"),
        (0.0, 0.39e-3, 0.39e-3, None),
        (0.05e-3, 0.1e-3, 0.7e-3, "brainstem"),
        (0.0, 0.0, 0.4e-3, "brainstem"),
        (None, 0.6e-3, 0.7e-3, "unknown"),
        (None, None, 0.7e-3, "unknown"),
        (0.0, 0.0, 0.0, None),
        (None, None, 0.39e-3, None),
    ],
)
def test_the_pattern_is_named_by_where_the_delay_begins(i, iii, v, what):
    assert pattern(i, iii, v) == what


def test_two_degrees_explain_four_tenths_of_a_millisecond():
    assert corrected(0.5e-3, 37.0, 35.0) == pytest.approx(0.1e-3)


def test_noise_holds_above_a_fifth_of_wave_v_and_releases_below_three_twentieths():
    limits = Noisiness()

    assert not limits.holds(0.20e-6, 1e-6, 0.0, held=False)
    assert limits.holds(0.20e-6 * MORE, 1e-6, 0.0, held=False)
    assert limits.holds(0.15e-6 * MORE, 1e-6, 0.0, held=True)
    assert not limits.holds(0.15e-6, 1e-6, 0.0, held=True)
    assert limits.holds(0.01e-6, 1e-6, 0.51, held=False)
    assert not limits.holds(0.01e-6, 1e-6, 0.5, held=False)
