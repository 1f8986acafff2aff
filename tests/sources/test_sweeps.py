"""Sweep tables: each sweep a segment, its stimulus at time 0."""

import os
from pathlib import Path

import numpy as np
import pytest
from sources.edf_by_hand import write

from ionm.errors import InputError
from ionm.sources import open_recording

SHARED = Path(os.environ.get("IONM_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
HEAD = "recording_index,channel_index,stimulus_V,time_point,amplitude_mV"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")


def long_table(tmp_path, *, recordings=3, channels=(1,), times=(-0.2, -0.1, 0.0, 0.1), head=HEAD):
    lines = [head]
    lines += [
        f"{r},{c},{0.3 + r / 10},{t},{r + c / 10 + k / 100}"
        for r in range(recordings)
        for c in channels
        for k, t in enumerate(times)
    ]
    return write(tmp_path / "a.csv", "\n".join(lines).encode())


def test_a_long_table_gives_one_segment_per_sweep(tmp_path):
    recording = open_recording(long_table(tmp_path))
    chunks = list(recording.chunks(1))

    assert recording.info.segmented
    assert recording.info.fs == 10_000
    assert [(c.name, c.kind) for c in recording.info.channels] == [("EMG", "emg")]
    assert [chunk.start for chunk in chunks] == [0, 10_000, 20_000]
    assert np.allclose(chunks[2].data, np.array([[2.1, 2.11, 2.12, 2.13]]) * 1e-3, rtol=0, atol=1e-15)
    assert [(t.sample, t.site, dict(t.attributes)) for t in recording.triggers] == [
        (2, "trunk", {"V": "0.3"}),
        (10_002, "trunk", {"V": "0.4"}),
        (20_002, "trunk", {"V": "0.5"}),
    ]
    assert recording.suggested_protocol == "late-response-rodent"
    assert recording.description == "table of 3 sweeps without times, placed 1 s apart"


def test_several_channels_of_a_table_stay_apart(tmp_path):
    recording = open_recording(long_table(tmp_path, channels=(1, 4)), aliases={"EMG 4": "Mentalis"})

    assert recording.info.names == ("EMG 1", "Mentalis")
    assert np.allclose(next(recording.chunks(1)).data[:, 0], [0.1e-3, 0.4e-3])


def test_a_table_has_no_trigger_codes(tmp_path):
    recording = open_recording(long_table(tmp_path), marks={"EMG=1": "stim/tof"})

    assert recording.sites == ("trunk",)


def test_a_wide_table_is_read_by_its_numbers(tmp_path):
    path = write(tmp_path / "a.csv", b"0,1.5,2\n0,0,0\n0.5,0.1,0.2\n1,0.3,0.4\n")

    recording = open_recording(path)
    data = [chunk.data for chunk in recording.chunks(1)]

    assert recording.info.fs == 2000
    assert [dict(t.attributes) for t in recording.triggers] == [{"intensity": "1.5"}, {"intensity": "2"}]
    assert np.allclose(data[1], [[0, 0.2e-3, 0.4e-3]])
    assert recording.suggested_protocol == "m-h-reflex"
    assert recording.problems == ("the table states no unit: amplitudes are taken as mV",)


def test_a_sweep_that_begins_after_its_stimulus_is_missing_until_then(tmp_path):
    recording = open_recording(long_table(tmp_path, recordings=1, times=(2.0, 2.5, 3.0)))
    chunk = next(recording.chunks(1))

    assert recording.triggers[0].sample == 0
    assert chunk.valid.tolist() == [[False] * 4 + [True] * 3]


def test_sweeps_longer_than_a_second_are_placed_further_apart(tmp_path):
    recording = open_recording(long_table(tmp_path, recordings=2, times=tuple(range(0, 2500, 500))))

    assert [segment.start for segment in recording.segments] == [0, 6]
    assert "placed 3 s apart" in recording.description


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n \n", "holds no text, expected a sweep table"),
        (b"a,b\n1,2\n", "is no sweep table of a known layout \\(could not convert string 'a'"),
        (b"1,2\n1,2,3\n", "is no sweep table of a known layout"),
        (b"1\n2\n3\n", "has 1 columns and 3 lines, too few for sweeps"),
        (b"0,1\n0,1\n0,1\n", "its times do not rise"),
        (b"0,1\n0,1\nnan,1\n", "its times do not rise"),
        (b"0,1\n0,1\n1,1\n3,1\n", "its times are not evenly spaced"),
        (b"0,1\n-3,1\n-2,1\n", "times run from -3 to -2 ms, expected sweeps around the stimulus at 0"),
        (HEAD.encode(), "holds no line of numbers"),
        (HEAD.replace("time_point", "t").encode() + b"\n0,1,1,1,1", "lacks the column 'time_point'"),
        (
            HEAD.replace("_mV", "_dB").encode() + b"\n0,1,1,1,1",
            "has an unknown unit, expected one of V, mV, uV",
        ),
        (HEAD.encode() + b"\n0,1,1,0,1\n0,1,1,1,1\n1,1,1,0,1", "its sweeps differ in their times"),
        (HEAD.encode() + b"\n0,1,1,0,1\n1,2,1,0,1", "holds 2 sweeps, expected one for each of 2 recordings"),
    ],
)
def test_what_is_no_sweep_table_is_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as refusal:
        open_recording(write(tmp_path / "a.csv", content))

    assert "\n" not in str(refusal.value)


def test_a_table_too_large_to_load_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("ionm.sources.sweeps._MAX_BYTES", 10)

    with pytest.raises(InputError, match="is larger than 0 MB"):
        open_recording(long_table(tmp_path))


@needs_shared
@pytest.mark.parametrize(
    ("name", "n_sweeps", "fs", "lead"),
    [
        ("emg_late_response_rodent/example_data_2.csv", 80, 10_000, 10),
        ("emg_late_response_rodent/example_data_3.csv", 84, 30_000, 30),
        ("emg_mh_human/example-waveforms.csv", 41, 3200, 0),
    ],
)
def test_shared_tables_give_every_sweep_and_stimulus(name, n_sweeps, fs, lead):
    recording = open_recording(SHARED / name)
    chunks = list(recording.chunks(1))

    assert recording.info.fs == fs
    assert [len(chunk.triggers) for chunk in chunks] == [1] * n_sweeps
    assert [chunk.triggers[0].sample - chunk.start for chunk in chunks] == [lead] * n_sweeps
    assert all(chunk.valid.all() for chunk in chunks)
    assert 0.5e-3 < max(np.abs(chunk.data).max() for chunk in chunks) < 20e-3  # V
