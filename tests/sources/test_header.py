"""The guard before EDF and BDF: every lie of a header is one line that names it."""

import numpy as np
import pytest
from sources.edf_by_hand import edf_bytes, noise, tal, write

from ionm.errors import InputError
from ionm.sources import open_recording


def recording_with(tmp_path, **fields):
    content = edf_bytes(
        noise(2, 10, 50), labels=["OrbOculi", "Mentalis"], tals=[tal(r) for r in range(10)], fields=fields
    )
    return write(tmp_path / "a.edf", content)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"physical_min": "5000"}, "channel 'OrbOculi': physical minimum and maximum are both 5000"),
        ({"digital_min": "32767"}, "digital minimum 32767 must lie below digital maximum 32767"),
        ({"digital_min": "99999"}, "digital minimum 99999 must lie below digital maximum 32767"),
        (
            {"physical_max": "1e308", "physical_min": "-1e308"},
            "physical range -1e\\+308 to 1e\\+308 is too wide",
        ),
        ({"duration": "0"}, "record duration is 0 s, expected more than 0 s"),
        ({"duration": "-1"}, "record duration is -1 s, expected more than 0 s"),
        ({"duration": "1e-9"}, "sampling rate is 5e\\+10 Hz, expected 1 to 1e\\+06 Hz"),
        ({"duration": "1e9"}, "sampling rate is 5e-08 Hz, expected 1 to 1e\\+06 Hz"),
        ({"duration": "nan"}, "record duration is 'nan' in the header, expected a number"),
        ({"records": "0"}, "number of records is 0, expected at least 1, or -1 if unknown"),
        ({"records": "-7"}, "number of records is -7, expected at least 1"),
        ({"records": "4"}, "announces 4 records, but 10 follow; expected 10, or -1"),
        ({"records": "2.5"}, "number of records is 2.5 in the header, expected a whole number"),
        ({"signals": "2"}, "header length is 1024 bytes, but 2 signals need 768"),
        ({"signals": "0"}, "number of signals is 0, expected 1 to 4096"),
        ({"signals": "9999", "bytes": "2560000"}, "number of signals is 9999, expected 1 to 4096"),
        ({"signals": "x"}, "number of signals is 'x' in the header, expected a number"),
        ({"bytes": "512"}, "header length is 512 bytes, but 3 signals need 1024"),
        ({"bytes": ""}, "header length is '' in the header, expected a number"),
        ({"samples": "0"}, 'samples per record of "OrbOculi" \\(signal 1\\) is 0, expected at least 1'),
        ({"samples": "-5"}, "is -5, expected at least 1"),
        ({"samples": "99999999"}, "holds no whole record: a record is 200000218 bytes, only"),
        ({"physical_min": "low"}, "physical minimum of \"OrbOculi\" \\(signal 1\\) is 'low'"),
        ({"label": "EDF Annotations", "samples": "50"}, None),
    ],
)
def test_a_header_that_lies_is_refused_in_one_line(tmp_path, fields, message):
    path = recording_with(tmp_path, **fields)
    if message is None:  # one signal is left
        assert open_recording(path).info.names == ("Mentalis",)
        return

    with pytest.raises(InputError, match=message) as refusal:
        open_recording(path)

    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_truncated_recording_replays_what_is_whole_and_says_what_is_missing(tmp_path):
    path = recording_with(tmp_path)
    path.write_bytes(path.read_bytes()[:-400])

    recording = open_recording(path)

    assert recording.problems == ("the recording is truncated: 8 of 10 records are whole",)
    assert sum(chunk.n_samples for chunk in recording) == recording.n_samples == 400


def test_a_recording_that_was_never_closed_is_whole(tmp_path):
    recording = open_recording(recording_with(tmp_path, records="-1"))

    assert recording.n_samples == 500
    assert recording.problems == ("the recording was never closed (record count -1): 10 records are whole",)


def test_bytes_after_the_last_record_are_said(tmp_path):
    path = recording_with(tmp_path)
    path.write_bytes(path.read_bytes() + b"tail")

    assert open_recording(path).problems == ("4 bytes after the last record are ignored",)


def test_a_lie_about_a_signal_that_is_not_read_does_no_harm(tmp_path):
    path = recording_with(tmp_path, physical_min="5000")

    assert open_recording(path, channels=["Mentalis"]).info.names == ("Mentalis",)


def test_a_file_that_shrinks_after_opening_is_refused(tmp_path):
    path = recording_with(tmp_path)
    recording = open_recording(path)
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(InputError, match="became shorter while it was read"):
        list(recording)


@pytest.mark.parametrize("length", [1, 100, 255, 256, 300, 1023])
def test_a_header_cut_off_is_refused(tmp_path, length):
    path = recording_with(tmp_path)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(InputError, match=r"inside its \d+-byte header|does not begin as an EDF"):
        open_recording(path)


def test_annotations_alone_are_no_recording(tmp_path):
    content = edf_bytes([np.zeros((2, 50), int)], labels=["EDF Annotations"])

    with pytest.raises(InputError, match="holds annotations only"):
        open_recording(write(tmp_path / "a.edf", content))


def test_the_device_is_described_where_the_file_names_it(tmp_path):
    content = (
        recording_with(tmp_path).read_bytes().replace(b"Startdate X X X X     ", b"Startdate X X X Amp_16")
    )

    assert open_recording(write(tmp_path / "b.edf", content)).description == "EDF+C, Amp 16"
