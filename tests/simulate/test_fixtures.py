from __future__ import annotations

import pytest

from fixtures import make


def test_what_is_in_git_equals_a_rebuild():
    assert make.check() == []


def test_what_is_in_git_stays_below_20_megabytes():
    files = [*make.HERE.glob("*.edf"), *make.HERE.glob("*.json*"), *make.HERE.glob("golden/*")]

    assert len(files) == 3 * len(make.COMMITTED)
    assert sum(file.stat().st_size for file in files) < 20e6


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(make, "HERE", tmp_path)
    monkeypatch.setattr(make, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(make, "COMMITTED", {"short": make.Recipe("quiet", 1, 24, fs=5000.0)})
    monkeypatch.setattr(make, "CACHED", {"long": make.Recipe("quiet", 1, 30, fs=5000.0, spares=True)})
    return tmp_path


def test_a_changed_file_is_told_until_it_is_made_again(elsewhere, capsys):
    assert make.main([]) == 0
    assert make.main(["--check"]) == 0

    (elsewhere / "short.truth.json").write_text("{}")

    assert make.main(["--check"]) == 1
    assert "short.truth.json differs from its rebuild" in capsys.readouterr().err


def test_a_long_recording_is_made_once_and_kept_in_the_cache(elsewhere):
    path = make.recording("long")
    first = path.stat().st_mtime_ns

    assert path == elsewhere / "cache" / "long.edf"
    assert make.recording("long").stat().st_mtime_ns == first
    assert make.recording("short") == elsewhere / "short.edf"


@pytest.mark.usefixtures("elsewhere")
def test_single_recordings_go_where_they_belong(capsys):
    assert make.main(["short", "long"]) == 0

    assert capsys.readouterr().out.split() == [
        "short.edf",
        "short.truth.json",
        "cache/long.edf",
        "cache/long.truth.json",
    ]


@pytest.mark.usefixtures("elsewhere")
def test_an_unknown_recording_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit, match="2"):
        make.main(["lost"])
    assert "no recording 'lost', only short, long" in capsys.readouterr().err
