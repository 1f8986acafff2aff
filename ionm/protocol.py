"""A case protocol: what is stimulated and recorded, and how it is judged. A TOML file.

The file speaks of milliseconds and microvolts; the specs made from it are in s and V.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from ionm.annotations import SITES, parse
from ionm.derivation import ROLES, Derivation
from ionm.detectors.lsr import Lsr
from ionm.detectors.m_wave import MWave
from ionm.errors import InputError, SetupError
from ionm.filters.blanking import Blanking, Mask
from ionm.filters.highpass import Highpass
from ionm.filters.lowpass import Lowpass
from ionm.filters.montage import Derived, Montage
from ionm.modality import LsrModality
from ionm.protocols import Filter, Modality
from ionm.stream import StreamInfo

FOLDER = Path(__file__).parent / "protocols"

# upper bounds keep infinity, and slips of a unit, from ever becoming numbers of samples
Hertz = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
Duration = Annotated[float, msgspec.Meta(gt=0, le=10_000)]  # ms
Moment = Annotated[float, msgspec.Meta(ge=-10_000, le=10_000)]  # ms after the stimulus
Jitter = Annotated[float, msgspec.Meta(ge=0, le=10)]  # ms
Tau = Annotated[float, msgspec.Meta(ge=0.01, le=1000)]  # ms
Microvolts = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Weight = Annotated[float, msgspec.Meta(ge=-1000, le=1000)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Order = Annotated[int, msgspec.Meta(ge=1, le=8)]
Chance = Annotated[float, msgspec.Meta(gt=0, lt=0.25)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file: unknown keys are refused with their path."""


class ResponseTable(_Table, frozen=True):
    """``[lsr.response]``; see `ionm.detectors.lsr.Lsr`."""

    window_ms: tuple[Duration, Duration]
    blank_ms: Duration
    phase_ms: Duration
    background_ms: Annotated[list[tuple[Moment, Moment]], msgspec.Meta(min_length=1, max_length=8)]
    tail_ms: Annotated[list[Tau], msgspec.Meta(max_length=4)]
    crosstalk: bool
    alpha: Chance
    floor_uv: Microvolts

    def __post_init__(self) -> None:
        quiet = [] if not self.tail_ms else [("blank_ms to window_ms", (self.blank_ms, self.window_ms[0]))]
        stretches = [
            ("window_ms", self.window_ms),
            *(("background_ms", pair) for pair in self.background_ms),
            *quiet,
        ]
        for name, (first, last) in stretches:
            if last - first < self.phase_ms:
                raise ValueError(
                    f"{name} must be at least one phase long (phase_ms={self.phase_ms:g}), "
                    f"got {first:g} to {last:g}"
                )
        if any(b <= a for a, b in pairwise(self.tail_ms)):
            raise ValueError(f"tail_ms must increase, got {', '.join(f'{tau:g}' for tau in self.tail_ms)}")


class MControlTable(_Table, frozen=True):
    """``[lsr.m_control]``; see `ionm.detectors.m_wave.MWave`."""

    window_ms: tuple[Duration, Duration]
    blank_ms: Duration
    alpha: Chance
    floor_uv: Microvolts

    def __post_init__(self) -> None:
        if not self.blank_ms <= self.window_ms[0]:
            raise ValueError(
                f"window_ms must begin behind blank_ms={self.blank_ms:g}, got {self.window_ms[0]:g}"
            )


class DerivationTable(_Table, frozen=True):
    """``[[lsr.derivation]]``."""

    site: Text
    muscle: Text
    role: Text

    def __post_init__(self) -> None:
        _check_site(self.site)
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")


class LsrTable(_Table, frozen=True):
    """``[lsr]``."""

    sweep_ms: tuple[Annotated[float, msgspec.Meta(ge=-10_000, le=0)], Duration]
    jitter_ms: Jitter
    response: ResponseTable
    m_control: MControlTable
    derivation: Annotated[list[DerivationTable], msgspec.Meta(min_length=1)]
    highpass_hz: Hertz | None = None
    highpass_order: Order = 2
    lowpass_hz: Hertz | None = None
    lowpass_order: Order = 2

    def __post_init__(self) -> None:
        if (
            self.highpass_hz is not None
            and self.lowpass_hz is not None
            and self.highpass_hz >= self.lowpass_hz
        ):
            raise ValueError(
                f"need highpass_hz < lowpass_hz, got {self.highpass_hz:g} and {self.lowpass_hz:g}"
            )
        inside = [
            ("response.window_ms", self.response.window_ms),
            ("m_control.window_ms", self.m_control.window_ms),
        ]
        inside += [("response.background_ms", pair) for pair in self.response.background_ms]
        for name, (first, last) in inside:
            if first < self.sweep_ms[0] or last > self.sweep_ms[1]:
                raise ValueError(
                    f"{name} must lie in sweep_ms={self.sweep_ms[0]:g} to {self.sweep_ms[1]:g}, "
                    f"got {first:g} to {last:g}"
                )


class RecordedTable(_Table, frozen=True):
    """``[[recorded]]``: a site and channels that belong to the case and are not judged."""

    site: Text
    channels: list[Text]

    def __post_init__(self) -> None:
        _check_site(self.site)


class Protocol(_Table, frozen=True):
    """A case protocol, as its file says it.

    Use `load` to read one and `Protocol.modalities` for the specs made from it.
    """

    name: Text
    title: Text
    schema: Annotated[int, msgspec.Meta(ge=1, le=1)]
    min_fs_hz: Hertz
    lsr: LsrTable
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
                _check_site(mark.name)
        if self.lsr.lowpass_hz is not None and self.lsr.lowpass_hz >= self.min_fs_hz / 2:
            raise ValueError(
                f"lsr.lowpass_hz must lie below half of min_fs_hz={self.min_fs_hz:g}, "
                f"got {self.lsr.lowpass_hz:g}"
            )
        self.modality()

    def modality(self) -> LsrModality:
        """The spec of the LSR; `ValueError` if its numbers do not fit each other."""
        table, response, control = self.lsr, self.lsr.response, self.lsr.m_control
        derivations = tuple(Derivation(d.site, d.muscle, d.role) for d in table.derivation)
        if len(set(derivations)) != len(derivations) or len({d.name for d in derivations}) != len(
            derivations
        ):
            raise ValueError("lsr.derivation: each pair of site and muscle may stand there once")
        masks = [Mask("*", response.blank_ms * 1e-3), *(Mask(r.site, 0.0) for r in self.recorded)]
        for site in dict.fromkeys(d.site for d in derivations):
            controls = tuple(d.channel for d in derivations if d.site == site and d.role == "m_control")
            if len(controls) > 1:
                raise ValueError(
                    f"lsr.derivation: site {site!r} has {len(controls)} m_control, need at most one"
                )
            masks.append(Mask(site, response.blank_ms * 1e-3))
            if controls:
                masks.append(Mask(site, control.blank_ms * 1e-3, controls))
        filters: list[Filter] = []
        if table.highpass_hz is not None:
            filters.append(Highpass(table.highpass_hz, table.highpass_order))
        if table.lowpass_hz is not None:
            filters.append(Lowpass(table.lowpass_hz, table.lowpass_order))
        background = tuple((first * 1e-3, last * 1e-3) for first, last in response.background_ms)
        return LsrModality(
            derivations,
            tuple(filters),
            Blanking(tuple(masks), table.jitter_ms * 1e-3),
            (table.sweep_ms[0] * 1e-3, table.sweep_ms[1] * 1e-3),
            Lsr(
                (response.window_ms[0] * 1e-3, response.window_ms[1] * 1e-3),
                background,
                response.blank_ms * 1e-3,
                response.phase_ms * 1e-3,
                tuple(tau * 1e-3 for tau in response.tail_ms),
                response.crosstalk,
                response.alpha,
                response.floor_uv * 1e-6,
            ),
            MWave(
                (control.window_ms[0] * 1e-3, control.window_ms[1] * 1e-3),
                background,
                control.alpha,
                control.floor_uv * 1e-6,
            ),
            harmless=tuple(r.site for r in self.recorded),
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Every channel of a recording that the protocol can use."""
        judged = [d.muscle for d in self.lsr.derivation]
        inputs = [name for terms in self.montage.values() for name in terms]
        plain = [name for name in judged if name not in self.montage]
        recorded = [name for table in self.recorded for name in table.channels]
        return tuple(dict.fromkeys((*plain, *inputs, *recorded)))

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site whose stimuli the protocol knows."""
        return tuple(dict.fromkeys([d.site for d in self.lsr.derivation] + [r.site for r in self.recorded]))

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
        return (self.modality(),)

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
            Those that the stream can give, as far as it can (perhaps none).
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
        missing = [f"channel {name}" for name in judged if name not in there]
        if sites is not None:
            missing += [f"stimulus {site}" for site in stimulated if site not in sites]
        fitted = [modality.within(info.names, sites) for modality in wanted]
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


def _check_site(site: str) -> None:
    if site not in SITES:
        raise ValueError(f"site must be one of {', '.join(SITES)}, got {site!r}")


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
