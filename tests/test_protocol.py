"""Protocols: the shipped ones, their hash, and one clear line for everything a file can get wrong."""

from dataclasses import replace

import numpy as np
import pytest

from ionm.detectors.activity import Frame
from ionm.errors import InputError, SetupError
from ionm.events import Response
from ionm.filters.bandpass import Bandpass
from ionm.filters.line_noise import LineNoise
from ionm.protocol import FOLDER, load, shipped
from ionm.session import Session
from ionm.stream import Channel, StreamInfo, Trigger, chunk

MVD = (FOLDER / "mvd-hfs.toml").read_text(encoding="utf-8")
FS = 20_000.0


def info(*names, fs=FS):
    return StreamInfo(fs, tuple(Channel(name) for name in names))


@pytest.fixture
def written(tmp_path):
    """Load the main protocol with one text replaced."""

    def load_changed(old, new):
        assert MVD.count(old) >= 1
        path = tmp_path / "mine.toml"
        path.write_text(MVD.replace(old, new, 1), encoding="utf-8")
        return load(str(path))

    return load_changed


# what ships


def test_three_protocols_ship_with_the_package():
    assert shipped() == ("late-response-rodent", "m-h-reflex", "mvd-hfs")


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_protocol_loads_fits_its_channels_and_runs(name):
    protocol = load(name)
    stream = info(*protocol.channels)

    montage = protocol.derived(stream, None)
    modalities, missing = protocol.fit(montage.output(stream) if montage else stream, None)
    events = Session(modalities, stream, montage).push(chunk(np.zeros((stream.n_channels, 100))))

    assert protocol.name == name
    assert missing == ()
    assert len(events) == len([d for d in protocol.modality().derivations if d.role == "lsr"])


def test_the_main_protocol_holds_both_classical_pairs():
    names = {d.name: d.role for d in load("mvd-hfs").modality().derivations}

    assert names == {
        "zygomatic>Mentalis": "lsr",
        "zygomatic>OrbOris": "lsr",
        "zygomatic>OrbOculi": "m_control",
        "mandibular>OrbOculi": "lsr",
        "mandibular>Frontalis": "lsr",
        "mandibular>Mentalis": "m_control",
    }


def test_the_mask_ends_within_1_ms_on_the_m_control_and_by_2_5_ms_elsewhere():
    blanking = load("mvd-hfs").modality().blanking
    stream = info("OrbOculi", "Mentalis", "OrbOris", "Frontalis")

    assert blanking.lengths("zygomatic", stream) == [20, 50, 50, 50]
    assert blanking.lengths("mandibular", stream) == [50, 20, 50, 50]
    assert blanking.lengths("click", stream) == [0, 0, 0, 0]
    assert blanking.lengths("tes", stream) == [50, 50, 50, 50]


def test_every_number_of_the_main_protocol_has_its_source_near_by():
    """A comment above or beside each line with a number; two lines of one thought may share it."""
    lines = MVD.splitlines()
    bare = [
        line
        for i, line in enumerate(lines)
        if "=" in line
        and any(c.isdigit() for c in line.split("=")[1])
        and not line.startswith(("schema", "[", "name"))
        and not any("#" in lines[j] for j in range(max(0, i - 4), i + 1))
    ]
    assert bare == []


@pytest.mark.parametrize(("key", "mains"), [("50", 50.0), ("60", 60.0), ('"auto"', "auto")])
def test_mains_hum_is_taken_away_first_where_the_protocol_asks_for_it(written, key, mains):
    asked = written("highpass_hz = 10\n", f"line_noise_hz = {key}\nhighpass_hz = 10\n")

    first, *others = asked.modality().filters

    assert first == LineNoise(mains, harmless=("click",))
    assert tuple(others) == load("mvd-hfs").modality().filters
    assert asked.hash != load("mvd-hfs").hash


def test_a_session_without_hum_sees_less_noise(written):
    stream, n = info("OrbOculi", "Mentalis", "OrbOris", "Frontalis", fs=5000.0), 30_000
    t = np.arange(n) / 5000.0
    data = np.random.default_rng(1).normal(0, 2e-6, (4, n)) + 40e-6 * np.sin(2 * np.pi * 150.1 * t)
    triggers = [Trigger(k, "zygomatic") for k in range(1000, n, 1613)]

    def noise(protocol):
        (lsr, *_), _ = protocol.fit(stream, ["zygomatic"])
        events = Session((lsr,), stream).push(chunk(data, 0, triggers))
        seen = [e.measurement.noise for e in events if isinstance(e, Response) and e.role == "lsr"]
        return np.median([value for value in seen[-12:] if value is not None])

    with_hum = noise(load("mvd-hfs"))
    without = noise(written("highpass_hz = 10\n", "line_noise_hz = 50\nhighpass_hz = 10\n"))

    assert without < 0.2 * with_hum
    assert without < 3e-6


# the hash


def test_the_hash_is_stable_and_comments_do_not_change_it(written):
    assert load("mvd-hfs").hash == load("mvd-hfs").hash
    assert written("# Every number", "# no number").hash == load("mvd-hfs").hash
    assert written("highpass_hz = 10\n", "highpass_hz=10.0 # ten\n").hash == load("mvd-hfs").hash
    assert len(load("mvd-hfs").hash) == 16
    assert int(load("mvd-hfs").hash, 16) >= 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("highpass_hz = 10\n", "highpass_hz = 10.000001\n"),
        ('"OOc" = "OrbOculi"', '"OOc" = "OrbOris"'),
        ('role = "lsr"', 'role = "spare"'),
        ("crosstalk = true", "crosstalk = false"),
        ("[marks]", '[marks]\n"S  1" = "stim/zygomatic"'),
    ],
)
def test_anything_else_changes_the_hash(written, old, new):
    assert written(old, new).hash != load("mvd-hfs").hash


# what is refused

REFUSED = [
    ("highpass_hz = 10\n", "line_noise_hz = 55\n", "at `lsr.line_noise_hz`"),
    # stimulated arteries
    (
        "window_ms = [4, 15]",
        "window_ms = [3.4, 15]",
        "zlr.window_ms must begin phase_ms=1 or more behind lsr.response.blank_ms=2.5, got 3.4",
    ),
    ("window_ms = [4, 15]", "window_ms = [4, 4.9]", "zlr.window_ms must be at least one phase long"),
    ("window_ms = [4, 15]", "window_ms = [4, 50.1]", "zlr.window_ms must end by sweep_ms=50, got 50.1"),
    ("window_ms = [4, 15]", "window_ms = [4, 40]", "must end before the stimulus or begin after the window"),
    ('muscles = ["Mentalis", "OrbOris"', 'muscles = ["OrbOris", "OrbOris"', "each may stand there once"),
    ('site = "zygomatic"', 'site = "probe"', "lsr.derivation: site 'probe' belongs to zlr"),
    ('role = "m_control"', 'role = "zlr"', "role must be one of lsr, m_control, spare, got 'zlr'"),
    # free-run EMG
    ("highpass_hz = 30", "highpass_hz = 1000", "need highpass_hz < lowpass_hz, got 1000 and 1000"),
    ("lowpass_hz = 1000", "lowpass_hz = 2500", "free_run.lowpass_hz must lie below half of min_fs_hz=5000"),
    ('controls = ["Masseter"]', 'controls = ["Mentalis"]', "each may stand there once, got 'Mentalis' twice"),
    ('"Platysma"]', '"Tongue"]', "muscles must be of the facial nerve: Frontalis"),
    ("frame_ms = [-2, 40]", "frame_ms = [-2, 2]", "blank_ms must end within frame_ms=2, got 2.5"),
    ("frame_ms = [-2, 40]", "frame_ms = [1, 40]", "at `free_run.frame_ms[0]`"),
    ("tes_blank_ms = 20", "tes_blank_ms = 200", "need 0 <= until <= 0.1 s, got until=0.2 s"),
    ("floor_uv = 30\n# The", "floor_uv = -1\n# The", "at `free_run.floor_uv`"),
    # unknown and missing keys
    ("highpass_hz = 10", "highpas_hz = 10", "unknown field `highpas_hz` - at `lsr`"),
    ("[marks]", "[bogus]\nx = 1\n[marks]", "unknown field `bogus`"),
    ("phase_ms = 1\n", "phase_ms = 1\nphase = 1\n", "unknown field `phase` - at `lsr.response`"),
    (
        'muscle = "Mentalis"\nrole = "lsr"',
        'muscle = "Mentalis"',
        "missing required field `role` - at `lsr.derivation[0]`",
    ),
    ('name = "mvd-hfs"', "", "missing required field `name`"),
    # wrong types
    ("highpass_hz = 10", 'highpass_hz = "10"', "got `str` - at `lsr.highpass_hz`"),
    ("highpass_hz = 10", "highpass_hz = true", "got `bool` - at `lsr.highpass_hz`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = [-100]", "of length 2, got 1 - at `lsr.sweep_ms`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = 100", "at `lsr.sweep_ms`"),
    ("crosstalk = true", "crosstalk = 1", "got `int` - at `lsr.response.crosstalk`"),
    ("lowpass_order = 2", "lowpass_order = 2.5", "got `float` - at `lsr.lowpass_order`"),
    ("schema = 1", 'schema = "1"', "got `str` - at `schema`"),
    # out of range
    ("schema = 1", "schema = 2", "at `schema`"),
    ("min_fs_hz = 5000", "min_fs_hz = 0", "> 0.0 - at `min_fs_hz`"),
    ("min_fs_hz = 5000", "min_fs_hz = inf", "at `min_fs_hz`"),
    (
        "min_fs_hz = 5000",
        "min_fs_hz = 4000",
        "lsr.lowpass_hz must lie below half of min_fs_hz=4000, got 2000",
    ),
    ("highpass_hz = 10", "highpass_hz = -1", "> 0.0 - at `lsr.highpass_hz`"),
    ("highpass_hz = 10", "highpass_hz = nan", "at `lsr.highpass_hz`"),
    ("highpass_hz = 10", "highpass_hz = inf", "at `lsr.highpass_hz`"),
    ("highpass_hz = 10", "highpass_hz = 3000", "need highpass_hz < lowpass_hz, got 3000 and 2000 - at `lsr`"),
    ("lowpass_order = 2", "lowpass_order = 9", "at `lsr.lowpass_order`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = [10, 50]", "at `lsr.sweep_ms[0]`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = [-inf, 50]", "at `lsr.sweep_ms[0]`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = [nan, 50]", "at `lsr.sweep_ms[0]`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = [-1e9, 50]", "at `lsr.sweep_ms[0]`"),
    ("sweep_ms = [-100, 50]", "sweep_ms = [-100, inf]", "at `lsr.sweep_ms[1]`"),
    (
        "sweep_ms = [-100, 50]",
        "sweep_ms = [-100, 49]",
        "response.background_ms must lie in sweep_ms=-100 to 49, got 32 to 50",
    ),
    (
        "window_ms = [1, 9]",
        "window_ms = [1, 60]",
        "m_control.window_ms must lie in sweep_ms=-100 to 50, got 1 to 60",
    ),
    ("jitter_ms = 0.1", "jitter_ms = -0.1", ">= 0.0 - at `lsr.jitter_ms`"),
    ("jitter_ms = 0.1", "jitter_ms = 100", "at `lsr.jitter_ms`"),
    ("window_ms = [7, 25]", "window_ms = [25, 7]", "window_ms must be at least one phase long"),
    ("window_ms = [7, 25]", "window_ms = [7, inf]", "at `lsr.response.window_ms[1]`"),
    ("window_ms = [7, 25]", "window_ms = [3, 25]", "blank_ms to window_ms must be at least one phase long"),
    ("window_ms = [7, 25]", "window_ms = [7, 33]", "background 0.032 to 0.05 s must end before the stimulus"),
    ("blank_ms = 2.5", "blank_ms = 0", "> 0.0 - at `lsr.response.blank_ms`"),
    ("blank_ms = 2.5", "blank_ms = 8", "at `lsr.response`"),
    ("phase_ms = 1\n", "phase_ms = 0\n", "> 0.0 - at `lsr.response.phase_ms`"),
    ("phase_ms = 1\n", "phase_ms = 20\n", "at least one phase long (phase_ms=20)"),
    ("phase_ms = 1\n", "phase_ms = inf\n", "at `lsr.response.phase_ms`"),
    ("[[-98, -2], [-48, -2], [32, 50], [27, 42]]", "[]", ">= 1 - at `lsr.response.background_ms`"),
    (
        "[[-98, -2], [-48, -2], [32, 50], [27, 42]]",
        "[[-2, -98]]",
        "background_ms must be at least one phase long",
    ),
    (
        "[[-98, -2], [-48, -2], [32, 50], [27, 42]]",
        "[[-2.1, -2]]",
        "background_ms must be at least one phase long",
    ),
    (
        "[[-98, -2], [-48, -2], [32, 50], [27, 42]]",
        "[[5, 20]]",
        "background 0.005 to 0.02 s must end before the stimulus",
    ),
    ("[[-98, -2], [-48, -2], [32, 50], [27, 42]]", "[[-inf, -2]]", "at `lsr.response.background_ms[0][0]`"),
    (
        "[[-98, -2], [-48, -2], [32, 50], [27, 42]]",
        "[[-1000, -2]]",
        "response.background_ms must lie in sweep_ms",
    ),
    ("tail_ms = [0.5, 1, 2, 4]", "tail_ms = [0]", "at `lsr.response.tail_ms[0]`"),
    ("tail_ms = [0.5, 1, 2, 4]", "tail_ms = [1, 1]", "tail_ms must increase, got 1, 1 - at `lsr.response`"),
    ("tail_ms = [0.5, 1, 2, 4]", "tail_ms = [1, 2, 3, 4, 5]", "at `lsr.response.tail_ms`"),
    ("alpha = 0.01", "alpha = 0", "> 0.0 - at `lsr.response.alpha`"),
    ("alpha = 0.01", "alpha = 0.25", "< 0.25 - at `lsr.response.alpha`"),
    ("floor_uv = 20", "floor_uv = -1", ">= 0.0 - at `lsr.response.floor_uv`"),
    ("floor_uv = 20", "floor_uv = inf", "at `lsr.response.floor_uv`"),
    ("window_ms = [1, 9]", "window_ms = [9, 1]", "need 0 < window start < end"),
    (
        "window_ms = [1, 9]",
        "window_ms = [0.5, 9]",
        "window_ms must begin behind blank_ms=1, got 0.5 - at `lsr.m_control`",
    ),
    # names
    ('site = "zygomatic"', 'site = "zygo"', "site must be one of zygomatic, temporal"),
    ('site = "click"', 'site = "clik"', "got 'clik' - at `recorded[0]`"),
    (
        'role = "lsr"',
        'role = "LSR"',
        "role must be one of lsr, m_control, spare, got 'LSR' - at `lsr.derivation[0]`",
    ),
    ('muscle = "Mentalis"', 'muscle = ""', "at `lsr.derivation[0].muscle`"),
    ('muscle = "Mentalis"', 'muscle = "OrbOris"', "each pair of site and muscle may stand there once"),
    ('role = "lsr"', 'role = "m_control"', "site 'zygomatic' has 2 m_control, need at most one"),
    (
        "[marks]",
        '[marks]\n"S  1" = "stimulus/zygomatic"',
        "marks must map to stim/<site>... or note/<event>...",
    ),
    ("[marks]", '[marks]\n"S  1" = "stim/zygo"', "site must be one of"),
    ("[marks]", "[montage]\nX = {}\n[marks]", "at `montage[...]`"),
    ("[marks]", "[montage]\nX = { A = nan }\n[marks]", "at `montage[...][...]`"),
    # not TOML
    (
        "highpass_hz = 10",
        "highpass_hz = 10\nhighpass_hz = 11",
        "is not TOML: Cannot overwrite a value (at line",
    ),
    ("[marks]", "[marks", "is not TOML"),
]


@pytest.mark.parametrize(
    ("old", "new", "says"), REFUSED, ids=[f"{new.strip()[:50]}" for _, new, _ in REFUSED]
)
def test_what_cannot_be_right_is_refused_in_one_line_with_file_and_key(written, old, new, says):
    with pytest.raises(InputError) as refused:
        written(old, new)

    message = str(refused.value)
    assert says in message
    assert "mine.toml" in message
    assert "\n" not in message


def test_a_protocol_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(
        InputError, match=r"protocol 'mvd': not one of late-response-rodent, m-h-reflex, mvd-hfs"
    ):
        load("mvd")
    with pytest.raises(InputError, match=r"none\.toml: there is no such file"):
        load(str(tmp_path / "none.toml"))


def test_a_protocol_that_is_a_folder_or_no_text_is_refused(tmp_path):
    folder, binary = tmp_path / "a.toml", tmp_path / "b.toml"
    folder.mkdir()
    binary.write_bytes(b"name = \xff")

    with pytest.raises(InputError, match=r"a\.toml: cannot be read"):
        load(str(folder))
    with pytest.raises(InputError, match=r"b\.toml: is not UTF-8 text \(byte 7\)"):
        load(str(binary))


# fitting a stream


def test_channels_with_the_side_of_the_case_in_front_are_taken():
    protocol = load("mvd-hfs")
    both = info("L OrbOculi", "L Mentalis", "R OrbOculi", "R Mentalis")

    left = protocol.derived(both, "L").output(both).names

    assert sorted(left) == ["Mentalis", "OrbOculi", "R Mentalis", "R OrbOculi"]


@pytest.mark.parametrize("side", ["L", "R"])
def test_the_samples_of_the_side_are_those_that_are_judged(side):
    both = info("L Mentalis", "R Mentalis")
    montage = load("mvd-hfs").derived(both, side)

    out = montage.start(both).push(chunk([[1.0], [2.0]]))

    row = montage.output(both).names.index("Mentalis")
    assert out.data[row, 0] == (1.0 if side == "L" else 2.0)


def test_a_channel_on_both_sides_needs_the_side():
    with pytest.raises(
        SetupError, match="Mentalis is recorded on both sides: say which with --side L or --side R"
    ):
        load("mvd-hfs").derived(info("L Mentalis", "R Mentalis"), None)


def test_a_single_side_needs_no_saying_and_the_wrong_one_takes_nothing():
    protocol, right = load("mvd-hfs"), info("R Mentalis")

    assert protocol.derived(right, None).output(right).names == ("Mentalis",)
    assert protocol.derived(right, "L") is None


def test_a_stream_without_sides_needs_no_montage():
    assert load("mvd-hfs").derived(info("OrbOculi", "Mentalis"), None) is None


def test_a_stream_that_lacks_channels_and_stimuli_gives_what_it_has_and_says_what_is_missing():
    (modality, free_run), missing = load("mvd-hfs").fit(info("OrbOculi", "Mentalis", "EEG"), ["zygomatic"])

    assert [d.name for d in modality.derivations] == ["zygomatic>Mentalis", "zygomatic>OrbOculi"]
    assert missing == ("channel OrbOris", "channel Frontalis", "stimulus mandibular")
    assert free_run.channels == ("OrbOculi", "Mentalis")
    Session((modality, free_run), info("OrbOculi", "Mentalis", "EEG"))


def test_a_recording_of_hearing_alone_fits_with_nothing_to_judge():
    modalities, missing = load("mvd-hfs").fit(info("Cz-A1"), ["click"])

    assert modalities == ()
    assert "channel OrbOculi" in missing
    Session(modalities, info("Cz-A1")).push(chunk(np.zeros((1, 10))))


def test_a_live_stream_may_bring_any_site():
    stream = info("OrbOculi", "Mentalis", "OrbOris", "Frontalis")
    (lsr, zlr, free_run), missing = load("mvd-hfs").fit(stream, None)

    assert len(lsr.derivations) == 6
    assert zlr.sites == ("probe",)
    assert free_run.sites == ()
    assert missing == ()


def test_free_run_emg_is_followed_in_a_continuous_stream_of_all_muscles_and_controls():
    stream = info("R Mentalis", "Mentalis", "Nasalis", "Masseter", "Cz-A1")

    (*_, free_run), missing = load("mvd-hfs").fit(stream, None)
    segmented, _ = load("mvd-hfs").fit(replace(stream, segmented=True), None)

    assert free_run.muscles == ("Nasalis", "Mentalis")
    assert free_run.controls == ("R Mentalis", "Masseter")
    assert "channel Platysma" not in missing
    assert {"Nasalis", "Platysma", "Masseter"} <= set(load("mvd-hfs").channels)
    assert [m.name for m in segmented] == ["lsr", "zlr"]
    Session((free_run,), stream)


def test_the_numbers_of_free_run_emg_are_those_of_the_file():
    *_, spec = load("mvd-hfs").modalities()

    assert spec.filters == (Bandpass(30.0, 1000.0, 2),)
    assert spec.detector.frames == (
        Frame("*", 2e-3, 40e-3),
        Frame("click", 0.0, 1e-3),
        Frame("tes", 2e-3, 0.1),
    )
    assert spec.detector.floor == pytest.approx(30e-6)
    assert spec.blanking.before == pytest.approx(1e-4)
    untils = {mask.site: mask.until for mask in spec.blanking.masks}
    assert untils == {"*": 2.5e-3, "tes": 20e-3, "click": 0.0}
    assert spec.risk is False


@pytest.mark.parametrize(
    ("stream", "sites", "says"),
    [
        (info("EEG", "EOG"), ["zygomatic"], "none of the channels of protocol 'mvd-hfs' is there"),
        (info("OrbOculi"), ["tof"], "only stimuli at tof: protocol 'mvd-hfs' wants stim/zygomatic"),
        (info("OrbOculi"), [], "no stimuli at all"),
        (
            info("OrbOculi", fs=4999.0),
            None,
            "sampling rate 4999 Hz is too low for protocol 'mvd-hfs': need 5000 Hz",
        ),
    ],
)
def test_a_stream_with_nothing_of_the_protocol_is_refused(stream, sites, says):
    with pytest.raises(SetupError) as refused:
        load("mvd-hfs").fit(stream, sites)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_many_channels_are_listed_in_part():
    with pytest.raises(SetupError, match="and 192 more"):
        load("mvd-hfs").fit(info(*(f"E{i}" for i in range(200))), None)


@pytest.mark.parametrize("fs", [5000.0, 6000.0, 8192.0, 9999.0, 10_000.0, 25_000.0, 44_100.0, 48_000.0])
def test_the_main_protocol_starts_at_any_rate(fs):
    stream = info("OrbOculi", "Mentalis", "OrbOris", "Frontalis", fs=fs)

    modalities, _ = load("mvd-hfs").fit(stream, None)

    assert Session(modalities, stream).push(chunk(np.zeros((4, 1000))))


def test_a_protocol_is_frozen_and_comparable():
    assert load("mvd-hfs") == load("mvd-hfs")
    assert load("mvd-hfs").modality() == load("mvd-hfs").modality()
    assert hash(load("mvd-hfs").modality()) == hash(load("mvd-hfs").modality())
    assert replace(load("mvd-hfs").modality(), answer=0.02) != load("mvd-hfs").modality()
