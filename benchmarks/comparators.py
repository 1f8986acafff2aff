"""What others do to see an LSR, each in its best honest form, as a score per sweep: the larger, the surer.

House rules have no published settings, so every method comes in variants (search window, what the noise is
taken from, lags), and the best one is chosen on cases of their own for each background and ratio: more than a
user could do. All of them see the filtered sweeps that ionm sees, and the first twenty sweeps of a case, in
which the response is there, as their baseline. Their thresholds are swept. Scores have shape (n_sweeps,
n_rows)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from backgrounds import Samples
from numpy.lib.stride_tricks import sliding_window_view
from scipy.linalg import toeplitz

BASELINE = 20  # sweeps
WINDOW = (7e-3, 25e-3)  # s: where an LSR may lie, as in the protocol
NARROW = 6e-3  # s: the stretch with most of the baseline's average
QUIET = (-98e-3, -2e-3)  # s: the prestimulus
LAG = 0.5e-3  # s: largest shift of a template, either way


@dataclass(frozen=True, eq=False)
class Seen:
    """The sweeps of one case as comparators see them.

    Parameters
    ----------
    sweeps
        Shape (n_sweeps, n_rows, n_samples), in V, filtered.
    zero
        Column of the stimulus.
    fs
        In Hz.
    """

    sweeps: Samples
    zero: int
    fs: float

    def column(self, time: float) -> int:
        """The column of a time in s."""
        return self.zero + round(time * self.fs)

    @property
    def baseline(self) -> Samples:
        """Average of the first sweeps, shape (n_rows, n_samples)."""
        average: Samples = self.sweeps[:BASELINE].mean(axis=0)
        return average

    def windows(self, *, narrow: bool) -> list[slice]:
        """Per row the columns in which the response is looked for."""
        first, last = self.column(WINDOW[0]), self.column(WINDOW[1])
        rows = self.sweeps.shape[1]
        if not narrow:
            return [slice(first, last)] * rows
        width = round(NARROW * self.fs)
        energy = sliding_window_view(self.baseline[:, first:last] ** 2, width, axis=1).sum(axis=2)
        return [slice(first + begin, first + begin + width) for begin in np.argmax(energy, axis=1).tolist()]

    def noise(self, *, own: bool) -> Samples:
        """RMS of the prestimulus: of each sweep, or of the baseline's sweeps."""
        quiet = self.sweeps[:, :, self.column(QUIET[0]) : self.column(QUIET[1])]
        rms: Samples = np.sqrt(np.mean(quiet**2, axis=2))
        return rms if own else np.broadcast_to(np.sqrt(np.mean(rms[:BASELINE] ** 2, axis=0)), rms.shape)


Score = Callable[[Seen], Samples]


def size(sweeps: Samples, windows: list[slice]) -> Samples:
    """Peak to peak in each row's window."""
    return np.stack([np.ptp(sweeps[:, row, w], axis=1) for row, w in enumerate(windows)], axis=1)


def height(sweeps: Samples, windows: list[slice]) -> Samples:
    """Largest deflection in each row's window."""
    return np.stack([np.abs(sweeps[:, row, w]).max(axis=1) for row, w in enumerate(windows)], axis=1)


def last_five(values: Samples) -> Samples:
    """Shape (n_sweeps, n_rows, ..., 5): each sweep and the four before it; the first is repeated."""
    padded = np.concatenate([np.repeat(values[:1], 4, axis=0), values])
    return sliding_window_view(padded, 5, axis=0)


def microvolts(*, narrow: bool) -> Score:
    return lambda seen: size(seen.sweeps, seen.windows(narrow=narrow))


def times_noise(*, narrow: bool, own: bool, peak: bool) -> Score:
    measure = height if peak else size
    return lambda seen: measure(seen.sweeps, seen.windows(narrow=narrow)) / seen.noise(own=own)


def three_of_five(*, narrow: bool, own: bool | None) -> Score:
    """The third largest of five: it passes a limit exactly if three do. ``own`` None: in uV, not in noise."""

    def score(seen: Seen) -> Samples:
        values = size(seen.sweeps, seen.windows(narrow=narrow))
        if own is not None:
            values = values / seen.noise(own=own)
        return np.sort(last_five(values), axis=-1)[..., 2]

    return score


def five_averaged(*, narrow: bool, own: bool | None) -> Score:
    def score(seen: Seen) -> Samples:
        sums = np.cumsum(np.concatenate([np.repeat(seen.sweeps[:1], 5, axis=0), seen.sweeps]), axis=0)
        averaged = Seen((sums[5:] - sums[:-5]) / 5, seen.zero, seen.fs)
        values = size(averaged.sweeps, seen.windows(narrow=narrow))
        return values if own is None else values / averaged.noise(own=own)

    return score


def template(*, narrow: bool, lag: float, kind: str) -> Score:
    """Correlation ("r") or dot product with the baseline's average, in uV ("dot") or in noise ("snr")."""

    def score(seen: Seen) -> Samples:
        average, found = seen.baseline, []
        noise = seen.noise(own=True) if kind == "snr" else None
        reach = round(lag * seen.fs)
        for row, w in enumerate(seen.windows(narrow=narrow)):
            shape = average[row, w] - average[row, w].mean()
            shape = shape / np.linalg.norm(shape)
            best = np.full(len(seen.sweeps), -np.inf)
            for shift in range(-reach, reach + 1):
                cut = seen.sweeps[:, row, w.start + shift : w.stop + shift]
                dot = cut @ shape
                if kind == "r":
                    spread = np.linalg.norm(cut - cut.mean(axis=1, keepdims=True), axis=1)
                    dot = dot / np.maximum(spread, 1e-15)
                best = np.maximum(best, dot)
            found.append(best if noise is None else best / noise[:, row])
        return np.stack(found, axis=1)

    return score


@dataclass(frozen=True)
class Method:
    """A method with its variants; ``limits`` are the house rules', in the unit of the score.

    ``sweeps``: how many of them one score rests on.
    """

    name: str
    variants: dict[str, Score]
    limits: dict[str, float]
    sweeps: int = 1


def _windows(make: Callable[..., Score], **settings: object) -> dict[str, Score]:
    return {f"{'narrow' if narrow else 'wide'}": make(narrow=narrow, **settings) for narrow in (False, True)}


def _noises(make: Callable[..., Score], **settings: object) -> dict[str, Score]:
    return {
        f"{window}, {'own' if own else 'baseline'} noise": score
        for own in (True, False)
        for window, score in _windows(make, own=own, **settings).items()
    }


RMS_VARIANTS = {
    **{f"peak, {k}": s for k, s in _noises(times_noise, peak=True).items()},
    **{f"peak to peak, {k}": s for k, s in _noises(times_noise, peak=False).items()},
}
METHODS = (
    Method("fixed 50 uV", _windows(microvolts), {"50 uV": 50e-6}),
    # one score, two house limits: the ROC is the same
    Method("3x and 5x RMS", RMS_VARIANTS, {"3x": 3.0, "5x": 5.0}),
    Method(
        "3 of 5",
        {**_windows(three_of_five, own=None), **_noises(three_of_five)},
        {"50 uV": 50e-6},
        sweeps=5,
    ),
    Method(
        "average of 5",
        {**_windows(five_averaged, own=None), **_noises(five_averaged)},
        {},
        sweeps=5,
    ),
    Method(
        "template correlation",
        {
            f"{window}, lag {lag * 1e3:g} ms": score
            for lag in (0.0, LAG)
            for window, score in _windows(template, lag=lag, kind="r").items()
        },
        {"r = 0.5": 0.5},
    ),
    Method(
        "template dot product",
        {
            f"{kind}, {window}, lag {lag * 1e3:g} ms": score
            for kind in ("dot", "snr")
            for lag in (0.0, LAG)
            for window, score in _windows(template, lag=lag, kind=kind).items()
        },
        {},
    ),
)


def whitened(*, lag: float) -> Score:
    """Template dot product after whitening by the prestimuli's covariance: what a template can about reach.

    For one exactly known shape in stationary Gaussian noise no test would beat it. The shape is the
    baseline's average, the covariance (Toeplitz) that of all prestimuli of the case, the later ones too: a
    reference, not a method for use."""

    def score(seen: Seen) -> Samples:
        quiet = seen.sweeps[:, :, seen.column(QUIET[0]) : seen.column(QUIET[1])]
        first, last = seen.column(WINDOW[0]), seen.column(WINDOW[1])
        reach, n, found = round(lag * seen.fs), last - first, []
        for row in range(seen.sweeps.shape[1]):
            part = quiet[:, row]
            spectrum = np.abs(np.fft.rfft(part, 2 * part.shape[1])) ** 2
            lags = np.fft.irfft(spectrum.mean(axis=0))[:n]
            lags = lags / (part.shape[1] - np.arange(n))  # unbiased
            covariance = toeplitz(lags) + 1e-3 * lags[0] * np.eye(n)
            weights = np.linalg.solve(covariance, seen.baseline[row, first:last])
            cuts = [seen.sweeps[:, row, first + k : last + k] @ weights for k in range(-reach, reach + 1)]
            found.append(np.max(cuts, axis=0) / np.sqrt(weights @ covariance @ weights))
        return np.stack(found, axis=1)

    return score


REFERENCE = Method(
    "whitened template (reference)", {f"lag {k:g} ms": whitened(lag=k * 1e-3) for k in (0.0, 0.5)}, {}
)


def scores(seen: Seen, chosen: dict[str, str] | None = None) -> dict[str, dict[str, Samples]]:
    """Every variant of every method, or the chosen one of each."""
    return {
        m.name: {
            name: score(seen)
            for name, score in m.variants.items()
            if chosen is None or chosen[m.name] == name
        }
        for m in (*METHODS, REFERENCE)
    }
