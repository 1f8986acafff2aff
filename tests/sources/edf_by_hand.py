"""EDF and BDF files made byte by byte, so that every field can lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def tal(onset: float | str, *texts: str) -> bytes:
    """One annotation list; without texts the one that keeps a record's time."""
    stamp = onset if isinstance(onset, str) else f"{onset:+.9f}".rstrip("0").rstrip(".")
    return "\x14".join([stamp, *(texts or ("",)), "\0"]).encode()


def edf_bytes(
    steps: Sequence[NDArray[np.integer]],
    *,
    labels: Sequence[str] = (),
    duration: float | str = 1,
    variant: str = "EDF+C",
    tals: Sequence[bytes] | None = None,
    tal_bytes: int = 120,
    fields: Mapping[str, str] | None = None,
    units: Sequence[str] = (),
    physical: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A whole file.

    Parameters
    ----------
    steps
        One array per signal, shape (n_records, samples per record).
    labels, units, physical
        One per signal; "CH1", "uV" and -5000 to 5000 by default.
    duration
        Of a record, in s.
    variant
        "EDF", "EDF+C", "EDF+D", "BDF", "BDF+C" or "BDF+D".
    tals
        One per record, each list ended by a zero byte; None for no annotation signal.
    tal_bytes
        Room for them in each record.
    fields
        Fields of the header that lie: "bytes", "records", "duration", "signals", and
        "physical_min", "physical_max", "digital_min", "digital_max", "samples" of the first signal.
    """
    lies = dict(fields or {})
    bdf = variant.startswith("BDF")
    width, top = (3, 2**23 - 1) if bdf else (2, 2**15 - 1)
    n, n_records = len(steps), len(steps[0])
    names = [*(labels or [f"CH{i + 1}" for i in range(n)])]
    limits = [*(physical or [("-5000", "5000")] * n)]
    columns: dict[str, tuple[int, list[str]]] = {
        "label": (16, names),
        "transducer": (80, [""] * n),
        "unit": (8, [*(units or ["uV"] * n)]),
        "physical_min": (8, [low for low, _ in limits]),
        "physical_max": (8, [high for _, high in limits]),
        "digital_min": (8, [str(-top - 1)] * n),
        "digital_max": (8, [str(top)] * n),
        "prefilter": (80, [""] * n),
        "samples": (8, [str(signal.shape[1]) for signal in steps]),
        "reserved": (32, [""] * n),
    }
    for name, (_, values) in columns.items():
        values[0] = lies.get(name, values[0])
    if tals is not None:
        last = [
            f"{variant[:3]} Annotations",
            "",
            "",
            "-1",
            "1",
            str(-top - 1),
            str(top),
            "",
            str(tal_bytes // width),
            "",
        ]
        for (_, values), value in zip(columns.values(), last, strict=True):
            values.append(value)
    n_signals = n + (tals is not None)
    header = [
        "" if bdf else "0".ljust(8),
        "X X X X".ljust(80) + "Startdate X X X X".ljust(80) + "01.01.00" + "00.00.00",
        lies.get("bytes", str(256 * (n_signals + 1))).ljust(8)
        + (variant if "+" in variant else "").ljust(44),
        lies.get("records", str(n_records)).ljust(8) + lies.get("duration", str(duration)).ljust(8),
        lies.get("signals", str(n_signals)).ljust(4),
        *(value.ljust(size)[:size] for size, values in columns.values() for value in values),
    ]
    content = [b"\xffBIOSEMI"] if bdf else []
    content.append("".join(header).encode("latin-1"))
    for record in range(n_records):
        for signal in steps:
            words = signal[record].astype("<i4")[:, np.newaxis].view(np.uint8)
            content.append(words[:, :width].tobytes())
        if tals is not None:
            content.append(tals[record].ljust(tal_bytes, b"\0"))
    return b"".join(content)


def noise(
    n_signals: int, n_records: int, samples: int, *, seed: int = 0, top: int = 30000
) -> list[NDArray[np.int64]]:
    """Steps for `edf_bytes`, the extremes among them."""
    steps = np.random.default_rng(seed).integers(-top, top, (n_signals, n_records, samples))
    return [*steps]


def write(path: Path, content: bytes) -> Path:
    """The file, written."""
    path.write_bytes(content)
    return path
