"""The command line as its users meet it: what it prints, writes, refuses, and with which status."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import mne
import numpy as np
import pytest

from ionm.cli import main
from ionm.simulate import scenario, simulate_case, write_edf

FIXTURES = Path(__file__).parents[1] / "fixtures"
MAIN = FIXTURES / "lost-at-decompression.edf"

Edf = Callable[..., Path]


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds, 8 stimuli a second per site."""
    path = tmp_path_factory.mktemp("short") / "short.edf"
    write_edf(
        simulate_case(scenario("lost-at-decompression", minutes=1 / 6, fs=10_000.0, rate=8.3), seed=3), path
    )
    return path


@pytest.fixture
def fif(tmp_path: Path) -> Edf:
    """A maker of small FIF recordings: channels, stimuli, samples as asked for."""

    def make(
        channels: tuple[str, ...] = ("OrbOculi", "Mentalis"),
        marks: tuple[str, ...] = ("stim/zygomatic/mA=12",),
        fs: float = 5000.0,
        fill: float | None = None,
    ) -> Path:
        rng = np.random.default_rng(1)
        data = rng.normal(0, 5e-6, (len(channels), round(3 * fs)))
        if fill is not None:
            data[:] = fill
        raw = mne.io.RawArray(data, mne.create_info(list(channels), fs, "emg"), verbose="error")
        onsets = np.arange(len(marks) * 5) * 0.5 + 0.2
        raw.set_annotations(mne.Annotations(onsets, 0.0, [marks[i % len(marks)] for i in range(onsets.size)]))
        path = tmp_path / "made_raw.fif"
        raw.save(path, fmt="double", overwrite=True, verbose="error")
        return path

    return make


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """Run a command that must be refused; the one line it says."""
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("ionm: ")
    assert err.count("\n") == 1
    return err


def test_the_main_fixture_is_replayed_to_its_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, summary = tmp_path / "e.jsonl", tmp_path / "s.json"

    status = main(["replay", str(MAIN), "--events", str(events), "--summary", str(summary)])

    out = capsys.readouterr().out
    assert status == 0
    assert "note                   vessel-lifted vessel=AICA" in out
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert lines[0]["kind"] == "header"
    assert lines[0]["schema"] == 1
    assert all(a["sample"] <= b["sample"] for a, b in pairwise(lines))
    whole = json.loads(summary.read_text())
    assert {d["final_state"] for d in whole["derivations"].values()} == {"ABSENT"}
    assert whole["stimuli"].keys() == {"zygomatic", "mandibular"}


def test_every_line_has_its_kind_sample_and_time(short: Path, tmp_path: Path) -> None:
    events = tmp_path / "e.jsonl"

    main(["replay", str(short), "--events", str(events)])

    lines = [json.loads(line) for line in events.read_text().splitlines()]
    fs = lines[0]["fs"]
    assert {line["kind"] for line in lines} >= {"header", "response", "state", "hold", "baseline", "note"}
    assert all(line["t"] == line["sample"] / fs for line in lines)
    responses = [line for line in lines if line["kind"] == "response"]
    assert {r["present"] for r in responses} <= {True, False, None}
    assert all(r["amplitude_uv"] is None for r in responses if not r["present"])
    assert all(
        r["amplitude_uv"] > 0 and r["latency_ms"] < r["peak_latency_ms"] for r in responses if r["present"]
    )


@pytest.mark.parametrize(
    "extra", [["--chunk-ms", "0.05"], ["--chunk-ms", "1"], ["--chunk-ms", "50"], ["--speed", "40"]]
)
def test_chunk_length_and_speed_change_no_byte(short: Path, tmp_path: Path, extra: list[str]) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"

    main(["replay", str(short), "--events", str(whole), "--chunk-ms", "1e9"])
    main(["replay", str(short), "--events", str(cut), *extra])

    assert cut.read_bytes() == whole.read_bytes()


def test_a_recording_with_a_part_of_the_protocol_says_once_what_is_missing(
    fif: Edf, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["replay", str(fif())])

    out, err = capsys.readouterr()
    assert status == 0
    assert err.count("lacks") == 1
    assert "channel OrbOris" in err
    assert "stimulus mandibular" in err
    assert "zygomatic>Mentalis" in out


def test_a_hearing_only_recording_is_known_for_what_it_is(
    fif: Edf, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["replay", str(fif(channels=("Cz-A1", "Cz-A2"), marks=("stim/click/ear=L",)))])

    assert status == 0
    assert "channel Mentalis" in capsys.readouterr().err


def test_a_truncated_recording_replays_what_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn.edf"
    torn.write_bytes(MAIN.read_bytes()[:1_500_000])

    status = main(["replay", str(torn), "--summary", str(tmp_path / "s.json")])

    assert status == 0
    assert "truncated" in capsys.readouterr().err
    assert 10 < json.loads((tmp_path / "s.json").read_text())["duration_s"] < 30


def test_a_missing_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothere.edf" in refused(capsys, "replay", tmp_path / "nothere.edf")


def test_what_is_no_recording_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (
        ("a.edf", b"hello"),
        ("b.png", b"\x89PNG\r\n\x1a\n" + bytes(99)),
        ("c.csv", b"a,b\n1,2\n"),
    ):
        path = tmp_path / name
        path.write_bytes(content)

        assert name in refused(capsys, "replay", path)


@pytest.mark.parametrize(
    ("place", "lie"),
    [
        (236, b"-5      "),
        (244, b"0       "),
        (244, b"-1      "),
        (252, b"99  "),
        (252, b"0   "),
        (184, b"77      "),
    ],
)
def test_headers_that_lie_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: int, lie: bytes
) -> None:
    content = bytearray(MAIN.read_bytes()[:400_000])
    content[place : place + len(lie)] = lie
    path = tmp_path / "lies.edf"
    path.write_bytes(content)

    assert "lies.edf" in refused(capsys, "replay", path)


def test_no_stimuli_at_all_is_refused(fif: Edf, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no stimuli at all" in refused(capsys, "replay", fif(marks=()))


def test_other_marks_are_named_so_that_they_can_be_mapped(
    fif: Edf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "'Stim left'" in refused(capsys, "replay", fif(marks=("Stim left",)))


def test_none_of_the_protocols_channels_is_refused(fif: Edf, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Mentalis" in refused(capsys, "replay", fif(channels=("Biceps", "Triceps")))


def test_a_sampling_rate_too_low_is_refused(fif: Edf, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "replay", fif(fs=1000.0))

    assert "1000 Hz" in said
    assert "5000 Hz" in said


def test_nothing_but_nan_is_refused_and_leaves_no_file(
    fif: Edf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, summary = tmp_path / "e.jsonl", tmp_path / "s.json"

    status = main(["replay", str(fif(fill=np.nan)), "--events", str(events), "--summary", str(summary)])

    assert status == 2
    assert "no channel holds a single number" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made_raw.fif"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("highpass_hz = 10", "higpass_hz = 10", "higpass_hz"),
        ("alpha = 0.01", "alpha = 2", "alpha"),
        ('role = "lsr"', 'role = "lrs"', "role"),
        ("min_fs_hz = 5000", 'min_fs_hz = "fast"', "min_fs_hz"),
        ("window_ms = [7, 25]", "window_ms = [25, 7]", "window"),
        ("[lsr.response]", "[lsr.response", "TOML"),
    ],
)
def test_a_protocol_with_a_mistake_is_refused_with_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    from ionm.protocol import FOLDER

    path = tmp_path / "mine.toml"
    path.write_text((FOLDER / "mvd-hfs.toml").read_text().replace(old, new, 1))

    assert said in refused(capsys, "replay", MAIN, "--protocol", path)


def test_an_unknown_protocol_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mvd-hfs" in refused(capsys, "replay", MAIN, "--protocol", "mvd")


def test_an_output_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no/e.jsonl" in refused(capsys, "replay", MAIN, "--events", tmp_path / "no" / "e.jsonl")


def test_an_output_never_replaces_the_recording_the_protocol_or_another_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ionm.protocol import FOLDER

    recording, protocol = tmp_path / "case.edf", tmp_path / "mine.toml"
    recording.write_bytes(MAIN.read_bytes())
    protocol.write_bytes((FOLDER / "mvd-hfs.toml").read_bytes())
    one = tmp_path / "one.json"

    assert "is part of the recording" in refused(capsys, "replay", recording, "--events", recording)
    said = refused(capsys, "replay", recording, "--protocol", protocol, "--report", protocol)
    assert "is the protocol" in said
    assert "--events" in refused(capsys, "replay", recording, "--events", one, "--summary", one)
    assert recording.read_bytes() == MAIN.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case.edf", "mine.toml"]


def test_what_steers_a_terminal_is_not_printed() -> None:
    from ionm.sinks.console import printable

    assert printable("a\x1b[2Jb\u202ec") == "a?[2Jb?c"


def test_wrong_arguments_end_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["replay"],
        ["replay", "x", "--speed", "fast"],
        ["replay", "x", "--chunk-ms", "0"],
        ["nothing"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)

        assert ended.value.code == 2
    capsys.readouterr()


def test_a_simulated_case_is_written_with_its_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "case.edf"

    status = main(["simulate", str(out), "--minutes", "1.2", "--fs", "5000", "--scenario", "persisting"])

    assert status == 0
    assert json.loads((tmp_path / "case.truth.json").read_text())["scenario"] == "persisting"
    assert main(["info", str(out)]) == 0
    assert "stimuli at zygomatic" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--scenario", "no"], ["--minutes", "0.1"], ["--fs", "100"]])
def test_a_case_that_cannot_be_made_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    refused(capsys, "simulate", tmp_path / "case.edf", *wrong)

    assert list(tmp_path.iterdir()) == []


def test_info_names_the_kernel_and_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0

    out = capsys.readouterr().out
    assert "kernel" in out
    assert "not a medical device" in out
