"""Who else can run a band-pass and four notches on a stream, each in its best honest composition.

Every composition is prepared outside the clock and then takes one chunk per step; where a library has a
message type of its own, the message is made outside the clock too, as its source would.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import signal

from ionm.compiled import paths
from ionm.filters.bandpass import Bandpass
from ionm.filters.notch import Notch
from ionm.filters.sos import fuse, start_on
from ionm.stream import Channel, StreamInfo, chunk

FS = 20_000.0  # Hz
BANDPASS = Bandpass(30.0, 3000.0, 4)  # 4 sections
NOTCHES = tuple(Notch(frequency, 2.0) for frequency in (60.0, 120.0, 180.0, 240.0))  # Hz; 1 section each


@dataclass(frozen=True)
class Peer:
    """One composition.

    ``wrap`` turns an array of shape (n_channels, n_samples) into the message that ``step`` takes; ``unwrap``
    turns what ``step`` returns back into such an array.
    """

    name: str
    kind: str  # "ionm", "peer" (public functions) or "private"
    step: Callable[[Any], Any]
    wrap: Callable[[Any], Any]
    unwrap: Callable[[Any], Any]


def stream(n_channels: int) -> StreamInfo:
    """The stream; segmented, so that the first chunk is a settled one and timings are of the common case."""
    return StreamInfo(FS, tuple(Channel(f"ch{i}") for i in range(n_channels)), segmented=True)


def everyone(first: Any) -> list[Peer]:
    """All compositions, started for a stream whose first chunk is ``first``."""
    n_channels, n_samples = first.shape
    return [
        *ionm(n_channels),
        *scipy_sosfilt(first),
        *ezmsg(),
        mne_lsl(n_channels, n_samples),
        timeflux(),
        psiaudio(),
        brainflow(),
    ]


def ionm(n_channels: int) -> list[Peer]:
    info = stream(n_channels)
    fused = fuse((BANDPASS, *NOTCHES), info)
    found = []
    for path in paths():
        name = f"ionm, one cascade, {path}" + (" fallback" if path == "scipy" else "")
        found.append(Peer(name, "ionm", start_on(path, fused, info).push, chunk, lambda out: out.data))
    stages = [part.start(info).push for part in (BANDPASS, *NOTCHES)]

    def in_a_row(message: Any) -> Any:
        for push in stages:
            message = push(message)
        return message

    found.append(Peer(f"ionm, five filters, {paths()[0]}", "ionm", in_a_row, chunk, lambda out: out.data))
    return found


def scipy_sosfilt(first: Any) -> list[Peer]:
    """``sosfilt`` on all sections at once, on five filters in a row, and its private kernel."""
    from scipy.signal._sosfilt import _sosfilt

    info = stream(len(first))

    def public(stages: list[Any], name: str) -> Peer:
        states = [None] * len(stages)

        def step(data: Any) -> Any:
            for i, sos in enumerate(stages):
                if states[i] is None:
                    states[i] = signal.sosfilt_zi(sos)[:, None, :] * data[None, :, :1]
                data, states[i] = signal.sosfilt(sos, data, axis=-1, zi=states[i])
            return data

        return Peer(name, "peer", step, np.asarray, np.asarray)

    cascade = np.array(fuse((BANDPASS, *NOTCHES), info).coefficients)
    zi = signal.sosfilt_zi(cascade)[None] * first[:, :1, None]

    def private(data: Any) -> Any:
        out = data.copy()
        _sosfilt(cascade, out, zi)
        return out

    return [
        public([cascade], "scipy sosfilt, one call"),
        public([np.array(part.sections(info)) for part in (BANDPASS, *NOTCHES)], "scipy sosfilt, five calls"),
        Peer("scipy private _sosfilt, own state", "private", private, np.asarray, np.asarray),
    ]


def ezmsg() -> list[Peer]:
    """Its transformers, called directly without the graph around them; "sos" is its stable form."""
    from ezmsg.sigproc.filter import FilterSettings, FilterTransformer
    from ezmsg.util.messages.axisarray import AxisArray

    info = stream(1)

    def wrap(data: Any) -> Any:
        return AxisArray(data, dims=["ch", "time"], axes={"time": AxisArray.TimeAxis(fs=FS)}, key="bench")

    def node(sections: Any) -> Any:
        return FilterTransformer(FilterSettings(coef_type="sos", coefs=np.array(sections)))

    one = node(fuse((BANDPASS, *NOTCHES), info).coefficients)
    five = [node(part.sections(info)) for part in (BANDPASS, *NOTCHES)]

    def in_a_row(message: Any) -> Any:
        for transformer in five:
            message = transformer(message)
        return message

    return [
        Peer("ezmsg-sigproc, one node (sos)", "peer", one, wrap, lambda out: out.data),
        Peer("ezmsg-sigproc, five nodes (sos)", "peer", in_a_row, wrap, lambda out: out.data),
    ]


def mne_lsl(n_channels: int, n_samples: int) -> Peer:
    """Its own acquisition step, unchanged, on an inlet that answers at once.

    The buffer is one chunk long, which suits it best: it rolls the whole buffer in each step. Its notches are
    Butterworth band-stops of order 1: one section each, as many as the others run.
    """
    import mne
    from mne_lsl.stream import StreamLSL

    mne.set_log_level("ERROR")
    live = StreamLSL(bufsize=n_samples / FS, stype="eeg", name="bench")
    live._sinfo = object()
    live._info = mne.create_info(n_channels, FS, "eeg")
    live._info._unlocked = False
    live._lock = threading.Lock()
    live._picks_inlet = np.arange(n_channels)
    live._buffer = np.zeros((n_samples, n_channels))
    live._timestamps = np.zeros(n_samples)
    live._n_new_samples = 0
    times = np.arange(n_samples) / FS

    class Inlet:
        def __init__(self) -> None:
            self.n_channels = n_channels
            self.data = live._buffer

        def pull_chunk(self, timeout: float, max_samples: int) -> Any:
            del timeout, max_samples
            return self.data, times

    live._inlet = Inlet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        live.filter(30.0, 3000.0, iir_params={"order": 4, "ftype": "butter", "output": "sos"})
        for notch in NOTCHES:
            live.notch_filter(
                notch.frequency,
                notch_widths=notch.bandwidth,
                trans_bandwidth=0.0,
                iir_params={"order": 1, "ftype": "butter", "output": "sos"},
            )
    assert sum(len(part["sos"]) for part in live.filters) == 8

    def step(data: Any) -> Any:
        live._inlet.data = data
        live._acquire()
        return live._buffer

    return Peer(
        "mne-lsl, its acquisition step",
        "peer",
        step,
        lambda data: np.ascontiguousarray(data.T),
        lambda out: out.T.copy(),
    )


def timeflux() -> Peer:
    """Its node for recursive filters with all sections at once; a message is a DataFrame."""
    import pandas as pd
    from timeflux_dsp.nodes.filters import IIRFilter

    node = IIRFilter(rate=FS, sos=np.array(fuse((BANDPASS, *NOTCHES), stream(1)).coefficients))

    def step(frame: Any) -> Any:
        node.i.data = frame
        node.update()
        return node.o.data

    return Peer(
        "timeflux-dsp, one node (sos)",
        "peer",
        step,
        lambda data: pd.DataFrame(np.ascontiguousarray(data.T)),
        lambda frame: frame.to_numpy().T.copy(),
    )


def psiaudio() -> Peer:
    """Five of its coroutines in a row: it designs each filter itself, as polynomials (b, a)."""
    from psiaudio.pipeline import iirfilter

    received: list[Any] = []
    target: Any = received.append
    for notch in reversed(NOTCHES):
        edges = (notch.frequency - notch.bandwidth / 2, notch.frequency + notch.bandwidth / 2)
        target = iirfilter(FS, 1, edges, None, None, "bandstop", "butter", target).send
    target = iirfilter(FS, 4, (30.0, 3000.0), None, None, "bandpass", "butter", target).send

    def step(data: Any) -> Any:
        target(data)
        return received.pop()

    return Peer("psiaudio, five coroutines (ba)", "peer", step, np.asarray, np.asarray)


def brainflow() -> Peer:
    """Its filters, channel by channel and in place as it asks for; it keeps no state between chunks."""
    from brainflow.data_filter import DataFilter, FilterTypes

    butterworth = FilterTypes.BUTTERWORTH.value

    def step(data: Any) -> Any:
        out = data.copy()
        for row in out:
            DataFilter.perform_bandpass(row, int(FS), 30.0, 3000.0, 4, butterworth, 0.0)
            for notch in NOTCHES:
                low, high = notch.frequency - notch.bandwidth / 2, notch.frequency + notch.bandwidth / 2
                DataFilter.perform_bandstop(row, int(FS), low, high, 1, butterworth, 0.0)
        return out

    return Peer("BrainFlow, per channel (no state)", "peer", step, np.ascontiguousarray, np.asarray)


def ezmsg_canceller(frequency: float, harmonics: int, fs: float, **settings: Any) -> Peer:
    """Its adaptive canceller of mains; ``settings`` are those of AdaptiveLNCSettings."""
    from ezmsg.sigproc.adaptive_lnc import AdaptiveLNCSettings, AdaptiveLNCTransformer
    from ezmsg.util.messages.axisarray import AxisArray

    node = AdaptiveLNCTransformer(
        AdaptiveLNCSettings(line_freq=frequency, num_harmonics=harmonics, **settings)
    )

    def wrap(data: Any) -> Any:
        # time first: its stream dimension
        return AxisArray(
            np.ascontiguousarray(data.T),
            dims=["time", "ch"],
            axes={"time": AxisArray.TimeAxis(fs=fs)},
            key="bench",
        )

    told = ", ".join(f"{k}={getattr(v, 'value', v)}" for k, v in settings.items()) or "its defaults"
    return Peer(f"ezmsg-sigproc canceller ({told})", "peer", node, wrap, lambda out: np.asarray(out.data).T)
