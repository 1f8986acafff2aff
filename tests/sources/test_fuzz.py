"""Damaged EDF and BDF files: each opens and replays to its end, or is refused in one line."""

import time
import tracemalloc

import numpy as np
import pytest
from sources.edf_by_hand import edf_bytes, noise, tal, write

from ionm.errors import InputError
from ionm.sources import open_recording

WORST = [
    b"-1",
    b"0",
    b"1e308",
    b"nan",
    b"inf",
    b"99999999",
    b"-9999999",
    b"2,5",
    b"0x10",
    b"1e-300",
    b"\0\xff",
]
TAL_PIECES = [
    b"\x14",
    b"\x15",
    b"\0",
    b"+1e9",
    b"+-3",
    b"-0.5\x14x\x14\0",
    b"+9" * 9,
    b"\xff\xfe",
    b"\x14\0" * 8,
]


def originals():
    marks = [tal(r / 2) + tal(r / 2 + 0.1, "stim/zygomatic/mA=12", "note/dura-open") for r in range(6)]
    sweeps = [tal(r * 2.5) + tal(r * 2.5 + 0.1, "stim/mandibular") for r in range(6)]
    return {
        "EDF+C": edf_bytes(noise(3, 6, 40), duration=0.5, tals=marks),
        "EDF+D": edf_bytes(noise(3, 6, 40), duration=0.5, variant="EDF+D", tals=sweeps),
        "BDF+C": edf_bytes(noise(3, 6, 40), duration=0.5, variant="BDF+C", tals=marks),
        "BDF": edf_bytes(
            [*noise(2, 6, 40), np.zeros((6, 20), int)], variant="BDF", labels=["A", "B", "Status"]
        ),
    }


def mutant(rng, content, header):
    """One to three changes: a number field, bytes of the header, of the annotations, or the length."""
    damaged = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        kind = rng.integers(5)
        if kind == 0:  # a number field, by its place: those of the file, then of the signals
            n = header // 256 - 1
            widths = [(8, 184), (8, 236), (8, 244), (4, 252)]
            widths += [(8, 256 + n * at + 8 * i) for at in (104, 112, 120, 128, 216) for i in range(n)]
            width, at = widths[rng.integers(len(widths))]
            damaged[at : at + width] = WORST[rng.integers(len(WORST))].ljust(width)[:width]
        elif kind == 1:
            at = rng.integers(header)
            damaged[at : at + 4] = rng.integers(0, 256, 4, dtype=np.uint8).tobytes()
        elif kind == 2:
            at = damaged.find(b"+", header + rng.integers(len(content) - header))
            piece = TAL_PIECES[rng.integers(len(TAL_PIECES))]
            damaged[at : at + len(piece)] = piece
        elif kind == 3:
            del damaged[rng.integers(1, len(damaged) + 1) :]
        else:
            at = rng.integers(len(damaged))
            del damaged[at : at + rng.integers(1, 40)]
    return bytes(damaged)


@pytest.mark.parametrize("name", ["EDF+C", "EDF+D", "BDF+C", "BDF"])
def test_no_mutant_hangs_bursts_or_ends_in_a_traceback(tmp_path, name):
    original = originals()[name]
    header = int(original[184:192])
    rng = np.random.default_rng(20)
    opened, refusals = 0, []
    tracemalloc.start()
    begin = time.perf_counter()

    for k in range(150):
        path = write(tmp_path / f"{k}.edf", mutant(rng, original, header))
        try:
            recording = open_recording(path, trigger_channels=["Status"], marks={"Status=4": "stim/tof"})
            n = sum(chunk.n_samples for chunk in recording.chunks(0.05))
            assert n == recording.n_samples
            assert sum(len(chunk.triggers) for chunk in recording) == len(recording.triggers)
            opened += 1
        except InputError as error:
            refusals.append(str(error))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert opened > 10
    assert len(refusals) > 30
    assert all("\n" not in line and len(line) < 500 for line in refusals)
    assert peak < 50e6  # bytes
    assert time.perf_counter() - begin < 30  # s, for all together


def test_the_originals_open_without_problems(tmp_path):
    for name, content in originals().items():
        recording = open_recording(write(tmp_path / f"{name}.edf", content))

        assert recording.n_samples == 240
        assert not [problem for problem in recording.problems if not problem.startswith("Status: left out")]
