from __future__ import annotations

import json
import re

import edfio
import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ionm.errors import InputError
from ionm.simulate import (
    Amplifier,
    SimulatedCase,
    simulate_case,
    truth,
    write_edf,
    write_edf_segments,
    write_truth,
)
from ionm.simulate.script import Noted, Stimulation, TriggerFault
from ionm.sources import open_recording

NOTES = (Noted(0.0, "case", {"side": "L"}), Noted(1.2345, "vessel-lifted", {"vessel": "VA+AICA"}))


def read_mne(path):
    return (mne.io.read_raw_edf if path.suffix == ".edf" else mne.io.read_raw_bdf)(path, verbose="error")


def read_edfio(path):
    return (edfio.read_edf if path.suffix == ".edf" else edfio.read_bdf)(path)


@pytest.mark.parametrize("name", ["case.edf", "case.bdf"])
@pytest.mark.parametrize("fs", [2000.0, 10000.0, 20000.0])
def test_what_mne_reads_is_what_the_stream_gives(bare, tmp_path, name, fs):
    script = bare(*NOTES, fs=fs)
    case = simulate_case(script, 1)
    step = 10e-3 / (2**15 - 1) if name.endswith("edf") else 10e-3 / (2**23 - 1)

    write_edf(case, tmp_path / name)
    raw = read_mne(tmp_path / name)

    assert raw.ch_names == list(case.info.names)
    assert raw.info["sfreq"] == fs
    expected = np.hstack([chunk.data for chunk in case.chunks(1.0)])
    np.testing.assert_allclose(raw.get_data(), expected, atol=step * 0.51)
    if name.endswith("bdf"):
        np.testing.assert_allclose(raw.get_data(), expected, atol=1e-15)


@pytest.mark.parametrize(("name", "bits"), [("case.edf", 16), ("case.bdf", 24)])
@pytest.mark.parametrize("rails", [10e-3, 5e-3, 20e-3])
def test_a_recording_is_the_stream_to_the_bit(bare, tmp_path, name, bits, rails):
    case = simulate_case(bare(*NOTES, amplifier=Amplifier(fs=10000.0, rails=rails, bits=bits)), 1)

    write_edf(case, tmp_path / name)
    recording = open_recording(tmp_path / name)
    recorded = list(recording)

    read, streamed = (np.hstack([chunk.data for chunk in chunks]) for chunks in (recorded, case))
    np.testing.assert_array_equal(read, streamed)
    assert recording.info == case.info
    assert tuple(trigger for chunk in recorded for trigger in chunk.triggers) == case.triggers
    assert tuple(note for chunk in recorded for note in chunk.notes) == case.notes


@pytest.mark.parametrize("name", ["case.edf", "case.bdf"])
def test_mne_and_edfio_read_every_mark_at_its_exact_sample(bare, tmp_path, name):
    case = simulate_case(bare(*NOTES, fs=20000.0), 1)
    expected = [(t.sample, "stim/zygomatic/mA=50/side=L") for t in case.triggers]
    expected += [(0, "note/case/side=L"), (24690, "note/vessel-lifted/vessel=VA+AICA")]

    write_edf(case, tmp_path / name)
    raw, file = read_mne(tmp_path / name), read_edfio(tmp_path / name)

    by_mne = [(a["onset"] * 20000, a["description"]) for a in raw.annotations]
    by_edfio = [(a.onset * 20000, a.text) for a in file.annotations]
    for found in (by_mne, by_edfio):
        assert sorted((round(onset), text) for onset, text in found) == sorted(expected)
        assert max(abs(onset - round(onset)) for onset, _ in found) < 1e-6
    assert file.num_data_records * file.data_record_duration == 4.0
    assert [(s.label, s.physical_min, s.physical_max, s.physical_dimension) for s in file.signals] == [
        (name, -10000.0, 10000.0, "uV") for name in case.info.names
    ]


@settings(max_examples=15, deadline=None)
@given(
    begin=st.floats(0.05, 0.9),
    rate=st.floats(0.7, 9.7),
    fs=st.sampled_from([2000, 2048, 12500, 44100, 48000]),
)
def test_stimuli_at_any_time_and_rate_survive_the_text_of_the_onsets(bare, tmp_path_factory, begin, rate, fs):
    path = tmp_path_factory.mktemp("edf") / "case.edf"
    case = simulate_case(
        bare(fs=float(fs), seconds=2, stimulations=(Stimulation("zygomatic", rate, begin),)), 1
    )

    write_edf(case, path)

    onsets = [annotation.onset for annotation in edfio.read_edf(path).annotations]
    assert [round(onset * fs) for onset in onsets] == [trigger.sample for trigger in case.triggers]


def test_a_record_never_exceeds_the_formats_largest(bare, tmp_path):
    write_edf(simulate_case(bare(fs=48000.0, seconds=1), 1), tmp_path / "case.edf")

    file = edfio.read_edf(tmp_path / "case.edf")

    assert file.data_record_duration == 0.25
    assert file.num_data_records == 4


def test_a_rate_that_fits_no_record_is_refused(bare, tmp_path):
    case = simulate_case(bare(fs=2e6, seconds=1, stimulations=()), 1)

    with pytest.raises(ValueError, match="2 channels at fs=2000000 Hz do not fit records of 61440 bytes"):
        write_edf(case, tmp_path / "case.edf")
    assert not list(tmp_path.iterdir())


def test_progress_counts_the_seconds(bare, tmp_path):
    seen = []

    write_edf(simulate_case(bare(fs=2000.0), 1), tmp_path / "case.edf", progress=seen.append)

    assert seen == [1, 2, 3, 4]


def test_another_suffix_is_refused(bare, tmp_path):
    with pytest.raises(ValueError, match=r"written as .edf or .bdf, got 'case.csv'"):
        write_edf(simulate_case(bare(), 1), tmp_path / "case.csv")


def test_a_name_too_long_for_the_header_is_refused(bare, tmp_path):
    face = bare().face
    long = type(face)(("A muscle of the face",), {}, {}, {}, {}, {})

    with pytest.raises(ValueError, match="16 characters here, got 'A muscle of the face'"):
        write_edf(simulate_case(bare(face=long), 1), tmp_path / "case.edf")
    assert not list(tmp_path.iterdir())


def test_a_writer_that_stops_half_way_leaves_the_old_file_and_no_other(bare, tmp_path, monkeypatch):
    path = tmp_path / "case.edf"
    path.write_bytes(b"old")
    case, volts = simulate_case(bare(), 1), SimulatedCase.volts

    def failing(self, number):
        if number == 2:
            raise OSError("no space left")
        return volts(self, number)

    monkeypatch.setattr(SimulatedCase, "volts", failing)

    with pytest.raises(OSError, match="no space"):
        write_edf(case, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_refused(bare, tmp_path):
    with pytest.raises(
        InputError, match=r"nowhere.case.edf: cannot be written \(No such file or directory\)"
    ):
        write_edf(simulate_case(bare(), 1), tmp_path / "nowhere" / "case.edf")


def test_the_truth_is_written_as_json(bare, tmp_path):
    case = simulate_case(bare(), 1)

    write_truth(case, tmp_path / "case.truth.json")

    assert json.loads((tmp_path / "case.truth.json").read_text()) == truth(case)


def records(path, bits=16):
    """Header fields, and per record its samples and the raw bytes of its annotations."""
    raw, size = path.read_bytes(), bits // 8
    fields = {
        "reserved": raw[192:236].decode().strip(),
        "records": int(raw[236:244]),
        "seconds": float(raw[244:252]),
    }
    rows, at = int(raw[252:256]), int(raw[184:192])
    counts = [int(raw[256 + rows * 216 + 8 * k : 256 + rows * 216 + 8 * k + 8]) for k in range(rows)]
    found = []
    for _ in range(fields["records"]):
        data = []
        for count in counts[:-1]:
            block = np.frombuffer(raw[at : at + size * count], np.uint8).reshape(count, size).astype(np.int64)
            value = sum(block[:, k] << (8 * k) for k in range(size))
            data.append(np.where(value >= 1 << (bits - 1), value - (1 << bits), value))
            at += size * count
        found.append((np.array(data), raw[at : at + size * counts[-1]]))
        at += size * counts[-1]
    assert at == len(raw)
    return fields, found


@pytest.mark.parametrize(("name", "bits"), [("case.edf", 16), ("case.bdf", 24)])
def test_segments_hold_one_record_per_stimulus_with_its_true_onset_and_samples(bare, tmp_path, name, bits):
    case = simulate_case(bare(*NOTES, fs=10000.0), 1)
    whole = np.hstack([case.counts(number, bits) for number in range(4)])

    write_edf_segments(case, tmp_path / name, 5e-3, 50e-3)
    fields, found = records(tmp_path / name, bits)

    assert fields == {"reserved": f"{name[-3:].upper()}+D", "records": len(case.triggers), "seconds": 0.055}
    for trigger, (data, marks) in zip(case.triggers, found, strict=True):
        lists = [entry for entry in marks.split(b"\0") if entry]
        onset, rest = lists[0].split(b"\x14", 1)
        start = float(onset) * 10000
        assert rest == b"\x14"
        assert start == pytest.approx(trigger.sample - 50, abs=1e-6)
        np.testing.assert_array_equal(data, whole[:, round(start) : round(start) + 550])
        stimulus = [entry for entry in lists if b"stim/" in entry]
        assert len(stimulus) == 1
        assert round(float(stimulus[0].split(b"\x14")[0]) * 10000) == trigger.sample
        assert stimulus[0].endswith(b"\x14stim/zygomatic/mA=50/side=L\x14")


def test_segments_keep_notes_between_records_and_identical_stimuli_identical(bare, tmp_path):
    case = simulate_case(bare(*NOTES, Noted(3.95, "closure")), 1)

    write_edf_segments(case, tmp_path / "case.edf", 5e-3, 50e-3)
    _, found = records(tmp_path / "case.edf")
    everything = b"".join(marks for _, marks in found)

    assert re.findall(rb"([+\d.]+)\x14(note/[^\x14]+)", everything) == [
        (b"+0", b"note/case/side=L"),
        (b"+1.2345", b"note/vessel-lifted/vessel=VA+AICA"),
        (b"+3.95", b"note/closure"),
    ]
    assert len(set(re.findall(rb"stim/[^\x14]+", everything))) == 1


def test_a_double_mark_shares_the_record_of_the_true_one(bare, tmp_path):
    case = simulate_case(bare(TriggerFault(1.0, 1.5, "double mark")), 1)

    write_edf_segments(case, tmp_path / "case.edf", 5e-3, 50e-3)
    fields, found = records(tmp_path / "case.edf")

    assert fields["records"] == len(case.triggers) - 1
    assert found[2][1].count(b"stim/") == 2


def test_a_record_across_the_end_of_a_second_is_whole(bare, tmp_path):
    case = simulate_case(bare(stimulations=(Stimulation("zygomatic", 1.0, 0.99, ma=50.0),)), 1)
    whole = np.hstack([case.counts(number, 16) for number in range(4)])

    write_edf_segments(case, tmp_path / "case.edf", 5e-3, 50e-3)
    _, found = records(tmp_path / "case.edf")

    assert len(found) == 3
    for k, (data, _) in enumerate(found):
        np.testing.assert_array_equal(data, whole[:, 9850 + 10000 * k : 9850 + 10000 * k + 550])


def test_segments_that_do_not_begin_in_the_first_second_are_refused(bare, tmp_path):
    late = simulate_case(bare(stimulations=(Stimulation("zygomatic", 1.0, 1.5),)), 1)
    never = simulate_case(bare(stimulations=()), 1)

    with pytest.raises(ValueError, match=r"within the first second of the case, got 1.495 s"):
        write_edf_segments(late, tmp_path / "case.edf", 5e-3, 50e-3)
    with pytest.raises(ValueError, match="within the first second of the case, got none"):
        write_edf_segments(never, tmp_path / "case.edf", 5e-3, 50e-3)


@pytest.mark.parametrize(("pre", "post"), [(-1e-3, 0.05), (0.5, 0.6), (0.0, 0.0)])
def test_records_longer_than_a_second_or_empty_are_refused(bare, tmp_path, pre, post):
    with pytest.raises(ValueError, match=r"a record lasts up to 1 s around its stimulus, got pre="):
        write_edf_segments(simulate_case(bare(), 1), tmp_path / "case.edf", pre, post)
