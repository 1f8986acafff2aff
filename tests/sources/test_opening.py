"""Opening: format, channels, stimuli and notes of recordings of every kind."""

import os
from pathlib import Path

import mne
import numpy as np
import pytest
from sources.edf_by_hand import edf_bytes, noise, tal, write

from ionm.errors import InputError
from ionm.sources import open_recording

SHARED = Path(os.environ.get("IONM_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
FORMATS = SHARED / "formats"
needs_formats = pytest.mark.skipif(not FORMATS.is_dir(), reason="the shared recordings are not here")


def edf_with(tmp_path, labels, *texts):
    """A recording of a second at 100 Hz, each text at its own second's hundredth."""
    lists = tal(0) + b"".join(tal((k + 1) / 100, text) for k, text in enumerate(texts))
    content = edf_bytes(noise(len(labels), 1, 100), labels=labels, tals=[lists], tal_bytes=1000)
    return write(tmp_path / "a.edf", content)


def test_channels_take_the_protocols_names(tmp_path):
    labels = ["L OOc", "r ooc", "EMG mentalis", "EEG Cz-A1", "Ground"]

    info = open_recording(edf_with(tmp_path, labels), aliases={"ooc": "OrbOculi"}).info

    assert info.names == ("L OrbOculi", "R OrbOculi", "Mentalis", "Cz-A1", "Ground")
    assert [channel.kind for channel in info.channels] == ["emg", "emg", "emg", "eeg", "eeg"]


def test_only_the_protocols_channels_are_read_on_either_side(tmp_path):
    path = edf_with(tmp_path, ["Ground", "L Mentalis", "R Mentalis", "L Nasalis"])

    recording = open_recording(path, channels=["Mentalis", "L Nasalis", "Platysma"])
    chunk = next(recording.chunks(1))

    assert recording.info.names == ("L Mentalis", "R Mentalis", "L Nasalis")
    assert np.array_equal(chunk.data, next(open_recording(path).chunks(1)).data[1:])


def test_a_recording_with_nothing_of_the_protocol_is_refused(tmp_path):
    path = edf_with(tmp_path, ["Fp1", "Fp2"])

    with pytest.raises(
        InputError, match=r"has none of the protocol's channels Mentalis, only Fp1, Fp2 \(aliases"
    ):
        open_recording(path, channels=["Mentalis"])


def test_channels_of_the_same_name_are_told_apart(tmp_path):
    assert open_recording(edf_with(tmp_path, ["A", "A", "A-0"])).info.names == ("A-0-0", "A-1", "A-0-1")


def test_another_devices_texts_become_stimuli_and_notes(tmp_path):
    path = edf_with(tmp_path, ["Mentalis"], "S  1", "Trig/S 2", "stim/tof/mA=50", "lunch", "lunch", "Dura")
    marks = {"s 1": "stim/zygomatic/mA=10", "S 2": "stim/mandibular", "Dura": "note/dura-open"}

    recording = open_recording(path, marks=marks)

    assert [(t.sample, t.site, dict(t.attributes)) for t in recording.triggers] == [
        (1, "zygomatic", {"mA": "10"}),
        (2, "mandibular", {}),
        (3, "tof", {"mA": "50"}),
    ]
    assert [(n.sample, n.event) for n in recording.notes] == [(6, "dura-open")]
    assert recording.unmapped == {"lunch": 2}
    assert recording.annotations[0] == (1, "S  1")


def test_a_mark_that_maps_to_nothing_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"mark 'S1' is mapped to 'stmi/x', expected stim/<site> or note/<event>"
    ):
        open_recording(edf_with(tmp_path, ["A"]), marks={"S1": "stmi/x"})


def test_a_site_that_nobody_knows_is_said(tmp_path):
    recording = open_recording(edf_with(tmp_path, ["A"], "stim/zygoma", "stim/zygoma"))

    assert recording.sites == ("zygoma",)
    assert recording.problems == ("site 'zygoma' is not a known one (2 stimuli)",)


def test_marks_before_and_after_the_samples(tmp_path):
    lists = tal(0) + tal(-0.5, "note/text/early") + tal(1.0, "note/text/late") + tal(1.0, "stim/tof")
    path = write(tmp_path / "a.edf", edf_bytes(noise(1, 1, 100), tals=[lists]))

    recording = open_recording(path)

    assert [(n.sample, n.accepted) for n in recording.notes] == [(0, 0), (99, 99)]
    assert recording.triggers == ()
    assert recording.problems == ("1 stimuli lie where nothing was recorded and are left out",)
    assert [len(chunk.notes) for chunk in recording.chunks(0.5)] == [1, 1]


@pytest.mark.parametrize(("bdf", "rate"), [(True, 100), (False, 100), (True, 50)])
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_rising_codes_of_a_trigger_channel_become_stimuli(tmp_path, monkeypatch, bdf, rate, block):
    monkeypatch.setattr("ionm.sources.marks._BLOCK", block)
    codes = np.zeros((4, rate), int)
    flat = codes.reshape(-1)
    flat[0:3], flat[10:13], flat[13:15], flat[15], flat[40] = 4, 4, 6, 4, 4
    flat[-1] = 9
    limits = [("-5000", "5000"), ("-8388608", "8388607") if bdf else ("-32768", "32767")]
    content = edf_bytes(
        [*noise(1, 4, 100), codes + (1 << 16 if bdf else 0)],
        variant="BDF" if bdf else "EDF",
        labels=["Mentalis", "Status"],
        physical=limits,
    )
    path = write(tmp_path / "a.bdf", content)

    recording = open_recording(path, marks={"status=4": "stim/mandibular", "Status=6": "stim/zygomatic"})

    scale = 100 // rate
    assert [(t.sample, t.site) for t in recording.triggers] == [
        (10 * scale, "mandibular"),
        (13 * scale, "zygomatic"),
        (40 * scale, "mandibular"),
    ]
    assert recording.unmapped == {"Status=9": 1}
    assert open_recording(path).annotations == ()
    assert open_recording(path, trigger_channels=["STATUS"]).unmapped == {
        "Status=4": 2,
        "Status=6": 1,
        "Status=9": 1,
    }


@pytest.mark.parametrize("first_sample", [0, 12345])
def test_a_fif_recording_keeps_samples_and_marks(tmp_path, first_sample):
    fs, n = 1000.0, 3000
    data = np.random.default_rng(0).normal(0, 1e-5, (2, n))
    raw = mne.io.RawArray(
        data, mne.create_info(["L OrbOculi", "Mentalis"], fs, "emg"), first_samp=first_sample, verbose="error"
    )
    raw.set_meas_date(0)
    onsets = (np.array([17, 999, 2999]) + first_sample) / fs
    raw.set_annotations(
        mne.Annotations(onsets, 0, ["stim/zygomatic", "note/dura-open", "stim/tof"], raw.info["meas_date"])
    )
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")

    recording = open_recording(tmp_path / "a_raw.fif")
    read = np.hstack([chunk.data for chunk in recording.chunks(0.0123)])

    assert np.array_equal(read, data)
    assert [t.sample for t in recording.triggers] == [17, 2999]
    assert [n.sample for n in recording.notes] == [999]
    assert [channel.kind for channel in recording.info.channels] == ["emg", "emg"]


def test_what_was_skipped_while_acquiring_is_a_hole(tmp_path):
    raw = mne.io.RawArray(np.ones((1, 1000)), mne.create_info(1, 100.0, "emg"), verbose="error")
    raw.set_annotations(mne.Annotations([2.0], [3.0], ["BAD_ACQ_SKIP"]))
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")

    recording = open_recording(tmp_path / "a_raw.fif")

    assert [(c.start, c.stop) for c in recording.chunks(9)] == [(0, 200), (500, 1000)]
    assert not recording.info.segmented


def test_a_recording_that_was_skipped_altogether_is_refused(tmp_path):
    raw = mne.io.RawArray(np.ones((1, 100)), mne.create_info(1, 100.0, "emg"), verbose="error")
    raw.set_annotations(mne.Annotations([0.0], [1.0], ["BAD_ACQ_SLIP"]))
    path = tmp_path / "a_raw.fif"
    raw.save(path, verbose="error")
    path.write_bytes(path.read_bytes().replace(b"SLIP", b"SKIP"))  # MNE itself refuses to write this

    with pytest.raises(InputError, match="holds no samples"):
        open_recording(path)


def test_an_interrupt_is_no_bad_input(tmp_path, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mne.io, "read_raw", interrupt)

    with pytest.raises(KeyboardInterrupt):
        open_recording(write(tmp_path / "a.fif", b"x"))


def test_a_trigger_channel_of_a_fif_recording_gives_its_codes(tmp_path):
    codes = np.zeros(1000)
    codes[[100, 700]] = 4, 5
    info = mne.create_info(["Nasalis", "STI"], 500.0, ["emg", "stim"])
    raw = mne.io.RawArray([np.zeros(1000), codes], info, verbose="error")
    raw.save(tmp_path / "a_raw.fif", fmt="double", verbose="error")

    recording = open_recording(tmp_path / "a_raw.fif", marks={"STI=4": "stim/tof"})

    assert [(t.sample, t.site) for t in recording.triggers] == [(100, "tof")]
    assert recording.unmapped == {"STI=5": 1}
    assert [channel.kind for channel in recording.info.channels] == ["emg", "trigger"]


def test_a_fif_recording_that_shrinks_is_refused(tmp_path):
    path = tmp_path / "a_raw.fif"
    raw = mne.io.RawArray(np.zeros((1, 90_000)), mne.create_info(1, 100.0, "emg"), verbose="error")
    raw.save(path, fmt="double", buffer_size_sec=1, verbose="error")
    recording = open_recording(path)
    path.write_bytes(path.read_bytes()[:90_000])

    with pytest.raises(InputError, match="cannot be read as"):
        list(recording)


def test_fif_times_coarser_than_a_sample_are_said(tmp_path):
    info = mne.create_info(1, 20_000.0, "emg")
    raw = mne.io.RawArray(np.zeros((1, 60_000)), info, first_samp=20_000 * 3600, verbose="error")
    raw.set_meas_date(0)
    raw.set_annotations(mne.Annotations([3601.0], 0, ["stim/tof"], raw.info["meas_date"]))
    raw.save(tmp_path / "a_raw.fif", verbose="error")

    assert (
        "FIF stores annotation times in steps of 0.24 ms here"
        in open_recording(tmp_path / "a_raw.fif").problems[0]
    )


VHDR = """BrainVision Data Exchange Header File Version 1.0
[Common Infos]
DataFile=a.eeg
MarkerFile=a.vmrk
DataFormat=BINARY
DataOrientation=MULTIPLEXED
NumberOfChannels=2
SamplingInterval=500
[Binary Infos]
BinaryFormat=INT_16
[Channel Infos]
Ch1=OrbOculi,,0.5,µV
Ch2=Mentalis,,0.5,µV
"""
VMRK = """BrainVision Data Exchange Marker File Version 1.0
[Common Infos]
DataFile=a.eeg
[Marker Infos]
Mk1=Stimulus,S  1,101,1,0
Mk2=Stimulus,S  2,2000,1,0
"""


def test_a_brainvision_recording_is_opened_by_its_header(tmp_path):
    steps = np.random.default_rng(0).integers(-9999, 9999, (2000, 2))
    (tmp_path / "a.vhdr").write_text(VHDR, "utf-8")
    (tmp_path / "a.vmrk").write_text(VMRK, "utf-8")
    (tmp_path / "a.eeg").write_bytes(steps.astype("<i2").tobytes())

    recording = open_recording(tmp_path / "a.vhdr", marks={"S  1": "stim/zygomatic", "S  2": "stim/tof"})

    assert recording.description == "BrainVision"
    assert [(t.sample, t.site) for t in recording.triggers] == [(100, "zygomatic"), (1999, "tof")]
    assert np.allclose(next(recording.chunks(1)).data, steps.T * 0.5e-6, rtol=0, atol=1e-18)
    assert [channel.kind for channel in recording.info.channels] == ["emg", "emg"]
    for part in ("a.vmrk", "a.eeg"):
        with pytest.raises(InputError, match=r"is a part of a recording, open a\.vhdr instead"):
            open_recording(tmp_path / part)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.edf", None, "cannot be opened \\(No such file or directory\\)"),
        ("empty.edf", b"", "is empty, expected a recording"),
        ("a.png", PNG, "cannot be read as EDF, BDF, a CSV sweep table or a recording of a format that MNE"),
        ("a.edf", PNG, "does not begin as an EDF or BDF file"),
        ("a.txt", b"just text\n", "cannot be read as EDF"),
        ("a", b"just text\n", "cannot be read as EDF"),
        ("a.fif", b"\0\0\0\x64" * 40, "cannot be read as EDF"),
        (
            "a.vhdr",
            b"BrainVision Data Exchange Header File Version 1.0\n[Common Infos]\n",
            "cannot be read as",
        ),
        ("a.xdf", b"XDF:" + bytes(99), "is an XDF file, which is not read yet; export its stream to EDF"),
        ("a.csv", b'\r\nTest name: "X"\r\nMarker Amplitude Mode: ABS\r\n', "holds stored averages"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InputError, match=message) as refusal:
        open_recording(path)

    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_folders_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.edf")

    for path in (tmp_path, tmp_path / "pipe.edf"):
        with pytest.raises(InputError, match="is a folder or device, expected a recording"):
            open_recording(path)


def test_a_format_of_folders_goes_to_mne(tmp_path):
    (tmp_path / "a.mff").mkdir()

    with pytest.raises(InputError, match="cannot be read as EDF"):
        open_recording(tmp_path / "a.mff")


@needs_formats
@pytest.mark.parametrize("path", sorted(p for p in FORMATS.rglob("*") if p.is_file()), ids=lambda p: p.name)
def test_every_shared_recording_opens_or_is_refused_in_one_line(path):
    opens = path.suffix in (".edf", ".bdf", ".vhdr", ".data")
    if not opens:
        with pytest.raises(InputError) as refusal:
            open_recording(path)
        assert "\n" not in str(refusal.value)
        return

    recording = open_recording(path, trigger_channels=["Status", "Trigger"])

    assert sum(chunk.n_samples for chunk in recording) == recording.n_samples > 0


@needs_formats
@pytest.mark.parametrize(
    "name", ["test.edf", "test.bdf", "test_edf_stim_channel.edf", "duplicate_channel_labels.edf"]
)
def test_shared_edf_samples_equal_mne(name):
    read = np.hstack([chunk.data for chunk in open_recording(FORMATS / name).chunks(0.3)])

    expected = mne.io.read_raw(FORMATS / name, stim_channel=None, verbose="error").get_data()
    assert np.array_equal(read, expected)


@needs_formats
def test_shared_annotations_equal_mne():
    recording = open_recording(FORMATS / "test.edf")

    annotations = mne.io.read_raw(FORMATS / "test.edf", verbose="error").annotations
    assert [text for _, text in recording.annotations] == list(annotations.description)
    assert [sample for sample, _ in recording.annotations] == [
        round(onset * 512) for onset in annotations.onset
    ]


@needs_formats
def test_shared_status_edges_equal_mne():
    recording = open_recording(FORMATS / "test_bdf_stim_channel.bdf", trigger_channels=["Status"])

    raw = mne.io.read_raw(FORMATS / "test_bdf_stim_channel.bdf", verbose="error")
    events = mne.find_events(raw, "Status", mask=0xFFFF, mask_type="and", consecutive="increasing",
                             min_duration=0, shortest_event=1, verbose="error")  # fmt: skip
    assert [sample for sample, _ in recording.annotations] == events[:, 0].tolist()
    assert [text for _, text in recording.annotations] == [f"Status={code}" for code in events[:, 2]]
