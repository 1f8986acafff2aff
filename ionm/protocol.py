"""A case protocol: what is stimulated and recorded, and how it is judged. A TOML file.

What its tables may hold stands in `ionm.protocol_tables`.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from ionm.annotations import parse
from ionm.errors import InputError, SetupError
from ionm.filters.montage import Derived, Montage
from ionm.free_running import FreeRunning
from ionm.modality import LsrModality
from ionm.protocol_tables import (
    FreeRunTable,
    Hertz,
    LsrTable,
    RecordedTable,
    Text,
    Weight,
    ZlrTable,
    check_site,
)
from ionm.protocols import Modality
from ionm.stream import StreamInfo
from ionm.zlr import ZlrModality

FOLDER = Path(__file__).parent / "protocols"


class Protocol(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A case protocol, as its file says it.

    Use `load` to read one and `Protocol.modalities` for the specs made from it.
    """

    name: Text
    title: Text
    schema: Annotated[int, msgspec.Meta(ge=1, le=1)]
    min_fs_hz: Hertz
    lsr: LsrTable
    zlr: ZlrTable | None = None
    free_run: FreeRunTable | None = None
    aliases: dict[Text, Text] = {}
    marks: dict[Text, Text] = {}
    montage: dict[Text, Annotated[dict[Text, Weight], msgspec.Meta(min_length=1)]] = {}
    recorded: list[RecordedTable] = []

    def __post_init__(self) -> None:
        for text in self.marks.values():
            mark = parse(text)
            if mark is None:
                raise ValueError(f"marks must map to stim/<site>... or note/<event>..., got {text!r}")
            if mark.kind == "stim":
                check_site(mark.name)
        if self.lsr.lowpass_hz is not None and self.lsr.lowpass_hz >= self.min_fs_hz / 2:
            raise ValueError(
                f"lsr.lowpass_hz must lie below half of min_fs_hz={self.min_fs_hz:g}, "
                f"got {self.lsr.lowpass_hz:g}"
            )
        if self.free_run is not None and self.free_run.lowpass_hz >= self.min_fs_hz / 2:
            raise ValueError(
                f"free_run.lowpass_hz must lie below half of min_fs_hz={self.min_fs_hz:g}, "
                f"got {self.free_run.lowpass_hz:g}"
            )
        self.modalities()

    def modality(self) -> LsrModality:
        """The spec of the LSR, with the sweeps it cuts for others; `ValueError` if numbers do not fit."""
        lsr = self.lsr.modality(self._harmless)
        return lsr if self.zlr is None else self.zlr.added(self.lsr, lsr)

    @property
    def _harmless(self) -> list[str]:
        return [table.site for table in self.recorded]

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel of a recording that the protocol can use."""
        judged = [d.muscle for d in self.lsr.derivation] + (self.zlr.muscles if self.zlr else [])
        judged += [*self.free_run.muscles, *self.free_run.controls] if self.free_run else []
        inputs = [name for terms in self.montage.values() for name in terms]
        plain = [name for name in judged if name not in self.montage]
        recorded = [name for table in self.recorded for name in table.channels]
        return tuple(dict.fromkeys((*plain, *inputs, *recorded)))

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site whose stimuli the protocol knows."""
        judged = [site for modality in self.modalities() for site in modality.sites]
        return tuple(dict.fromkeys(judged + [r.site for r in self.recorded]))

    @property
    def hash(self) -> str:
        """A hash of everything the protocol says, comments aside: 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

    def derived(self, info: StreamInfo, side: str | None) -> Montage | None:
        """The montage that makes the protocol's channels from the stream's.

        A channel that is recorded with its side in front ("L OrbOculi") is taken for the
        protocol's "OrbOculi" if it is on the side of the case; channels of the other side stay
        as they are.

        Parameters
        ----------
        info
            The stream.
        side
            "L" or "R"; None if nobody has said it.

        Returns
        -------
        Montage or None
            None if every channel stays as it is.

        Raises
        ------
        SetupError
            If a channel is recorded on both sides and ``side`` is None.
        """
        kept = {name: ((name, 1.0),) for name in info.names}
        renamed: dict[str, tuple[tuple[str, float], ...]] = {}
        for name in self.channels:
            sides = [s for s in ("L", "R") if f"{s} {name}" in info.names]
            if name in info.names or not sides:
                continue
            if side is None and len(sides) == 2:
                raise SetupError(
                    f"channel {name} is recorded on both sides: say which with --side L or --side R"
                )
            if side is None or side in sides:
                recorded = f"{side or sides[0]} {name}"
                renamed[name] = kept.pop(recorded)
        made = {
            name: tuple((term, weight) for term, weight in terms.items())
            for name, terms in self.montage.items()
            if all(term in info.names for term in terms)
        }
        if not renamed and not made:
            return None
        return Montage(tuple(Derived(name, terms) for name, terms in {**renamed, **made, **kept}.items()))

    def modalities(self) -> tuple[Modality, ...]:
        """The specs of everything that is judged, in the order in which their events come."""
        lsr = self.modality()
        modalities: list[Modality] = [lsr]
        if self.zlr is not None:
            modalities.append(ZlrModality(lsr))
        if self.free_run is not None:
            modalities.append(self.free_run.modality(self.lsr.jitter_ms, self._harmless))
        return tuple(modalities)

    def fit(
        self, info: StreamInfo, sites: Sequence[str] | None
    ) -> tuple[tuple[Modality, ...], tuple[str, ...]]:
        """What of the protocol a stream can give.

        Parameters
        ----------
        info
            The stream, after the montage.
        sites
            The sites that are stimulated in it; None if that is not known (a live stream).

        Returns
        -------
        modalities
            Those that the stream can give, as far as it can (perhaps none); free-run EMG of a continuous
            stream only.
        missing
            One text for each channel and stimulus that it lacks.

        Raises
        ------
        SetupError
            If the rate is too low, or nothing of the protocol is there.
        """
        if info.fs < self.min_fs_hz:
            raise SetupError(
                f"sampling rate {info.fs:g} Hz is too low for protocol {self.name!r}: "
                f"need {self.min_fs_hz:g} Hz"
            )
        wanted = self.modalities()
        judged = list(dict.fromkeys(name for modality in wanted for name in modality.channels))
        stimulated = list(dict.fromkeys(site for modality in wanted for site in modality.sites))
        recorded = [name for table in self.recorded for name in table.channels]
        there = set(info.names)
        if not there & {*judged, *recorded}:
            raise SetupError(
                f"none of the channels of protocol {self.name!r} is there: "
                f"it wants {', '.join(judged)}; the stream has {_few(info.names)}"
            )
        if sites is not None and not set(sites) & set(self.sites):
            found = f"only stimuli at {', '.join(sites)}" if sites else "no stimuli at all"
            raise SetupError(f"{found}: protocol {self.name!r} wants stim/{' or stim/'.join(stimulated)}")
        routine = [modality for modality in wanted if modality.routine]
        lacking = dict.fromkeys(name for m in routine for name in m.channels if name not in there)
        missing = [f"channel {name}" for name in lacking]
        if sites is not None:
            lacking = dict.fromkeys(site for m in routine for site in m.sites if site not in sites)
            missing += [f"stimulus {site}" for site in lacking]
        fitted = [
            modality.within(info.names, sites)
            for modality in wanted
            if not (info.segmented and isinstance(modality, FreeRunning))  # nothing goes on between stretches
        ]
        return tuple(modality for modality in fitted if modality is not None), tuple(missing)


def shipped() -> tuple[str, ...]:
    """Names of the protocols that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def load(name: str) -> Protocol:
    """Read a protocol: the name of a shipped one, or the path of a TOML file.

    Raises
    ------
    InputError
        If there is none, or it is not what a protocol must be; the message names the key.
    """
    path = Path(name)
    if name in shipped():
        path = FOLDER / f"{name}.toml"
    elif path.suffix != ".toml":
        raise InputError(
            f"protocol {name!r}: not one of {', '.join(shipped())}, nor the path of a .toml file"
        )
    try:
        text = path.read_text(encoding="utf-8")
        return msgspec.convert(tomllib.loads(text), Protocol)
    except FileNotFoundError:
        raise InputError(f"protocol {path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"protocol {path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"protocol {path}: is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"protocol {path}: is not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise InputError(
            f"protocol {path}: {str(error).replace('`$.', '`').replace(chr(10), ' ')}"
        ) from error


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
