"""Real recordings with a direct and a late response: what the eye sees in their pictures, the events say.

The nearest open stand-in for M-wave and LSR (no open recording of an LSR exists): rodent nerve, the
late response appears at low stimulus strength and vanishes at high; human leg, H-reflex likewise.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ionm.events import Measurement, Response
from ionm.replay import prepare

DATA = Path(os.environ.get("IONM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
RODENT = DATA / "emg_late_response_rodent"
pytestmark = pytest.mark.skipif(not RODENT.exists(), reason="the open recordings are not on this machine")


def measured(path: Path, channel: str, key: str) -> list[tuple[float, Measurement]]:
    """Stimulus strength and measurement of every sweep of one channel."""
    replay = prepare(path, None, None)
    events = [event for part in replay.events(0.5) for event in part]
    responses = [e for e in events if isinstance(e, Response) and e.channel == channel]
    return [(float(r.trigger.attributes[key]), r.measurement) for r in responses]


@pytest.mark.parametrize(
    ("name", "count", "there", "gone"),
    [("example_data_2.csv", 80, (0.35, 0.62), 0.64), ("example_data_3.csv", 84, (0.66, 0.90), 0.925)],
)
def test_the_late_response_appears_at_low_strength_and_vanishes_at_high(
    name: str, count: int, there: tuple[float, float], gone: float
) -> None:
    late = measured(RODENT / name, "Late", "V")
    direct = measured(RODENT / name, "Direct", "V")

    assert len(late) == len(direct) == count
    low = [m for v, m in late if there[0] <= v <= there[1]]
    high = [m for v, m in late if v > gone]
    assert sum(bool(m.present) for m in low) >= 0.9 * len(low)
    assert not any(m.present for m in high)
    assert all(m.present for v, m in direct if v > there[0])
    for m in low:
        if m.present:
            assert m.amplitude is not None
            assert m.peak_latency is not None
            assert m.amplitude > 50e-6
            assert 3e-3 <= m.peak_latency <= 4.8e-3


def test_the_direct_response_grows_with_strength() -> None:
    direct = [m.amplitude or 0.0 for _, m in measured(RODENT / "example_data_2.csv", "Direct", "V")]

    assert direct[-1] > 10e-3
    assert sum(direct[60:]) > 2 * sum(direct[20:40])


def test_the_h_reflex_comes_before_the_m_wave_and_falls_as_it_grows() -> None:
    path = DATA / "emg_mh_human" / "example-waveforms.csv"
    h = [m for _, m in measured(path, "H", "intensity")]
    m_wave = [m.amplitude or 0.0 for _, m in measured(path, "M", "intensity")]

    assert not any(m.present for m in h[:4])
    assert all(m.present for m in h[8:24])
    assert max(m.amplitude or 0.0 for m in h[8:24]) > 5 * max(m.amplitude or 0.0 for m in h[-4:])
    assert m_wave[-1] > 5 * m_wave[12]
    assert all(30e-3 < m.peak_latency < 48e-3 for m in h if m.peak_latency is not None)
