"""Open needle recordings: what the eye sees in their pictures, the findings say."""

import os
from pathlib import Path

import numpy as np
import pytest

from ionm.detectors.free_run import FreeRun
from ionm.filters.bandpass import Bandpass
from ionm.stream import Channel, StreamInfo, chunk

DATA = Path(os.environ.get("IONM_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "emg_needle"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the open recordings are not on this machine")
FS = 4000.0  # Hz, of all three


def findings(name):
    """What is found in one record: format 16, one signal, 10000 counts a millivolt."""
    counts = np.fromfile(DATA / f"emg_{name}.dat", "<i2").astype(float)
    info = StreamInfo(FS, (Channel("needle"),))
    filtered = Bandpass(30.0, 1000.0).start(info).push(chunk(counts[None] * 1e-7))
    return FreeRun().start(info).push(filtered)


@pytest.mark.parametrize("name", ["healthy", "myopathy", "neuropathy"])
def test_no_needle_record_holds_an_a_train(name):
    found = findings(name)

    assert not [f for f in found if f.pattern == "a_train"]
    assert [f for f in found if f.pattern == "burst"]


def test_the_two_long_regular_trains_of_the_neuropathy_are_found_where_the_eye_sees_them():
    tonic = [f for f in findings("neuropathy") if f.pattern == "tonic" and not f.active]

    # by eye: a giant unit, from the record's begin or the switch at 18.7 s up to the first foreign potential
    assert [(f.onset / FS, f.offset / FS) for f in tonic] == [
        (pytest.approx(0.07, abs=0.2), pytest.approx(11.48, abs=0.2)),
        (pytest.approx(18.78, abs=0.2), pytest.approx(29.9, abs=0.2)),
    ]
    for f in tonic:
        assert f.frequency == pytest.approx(10.4, abs=0.3)
        assert f.elements == "spikes"
        assert f.regularity < 0.2


def test_the_bursts_of_the_neuropathy_are_bursts():
    bursts = [f for f in findings("neuropathy") if f.pattern == "burst"]

    for begin, end in ((12.0, 18.0), (30.5, 36.9)):
        inside = [f for f in bursts if begin <= f.onset / FS < end]
        assert len(inside) >= 30
    between = [f for f in bursts if 1.0 <= f.onset / FS < 11.4 or 19.0 <= f.onset / FS < 29.5]
    assert len(between) <= 5
