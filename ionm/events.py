"""What becomes known: facts from the paths, and what the judge says of them.

Everything here is stamped with ``sample``, the last sample that was needed to know it.
Amplitudes are in V and times in s; an absent response is None or False, never 0.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ionm.stream import Flags, Note, Samples, Trigger


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """The filtered samples around one stimulus.

    Parameters
    ----------
    sample
        Index of the last sample.
    trigger
        The stimulus; every stimulus gives exactly one sweep, a rejected one too.
    data
        Shape (n_rows, n_samples), in V: the channels of the site's derivations.
    valid
        Same shape.
    zero
        Column of the stimulus.
    """

    sample: int
    trigger: Trigger
    data: Samples
    valid: Flags
    zero: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one sweep shows in one derivation (a fact: no baseline and no state enter here).

    Parameters
    ----------
    present
        Whether a response is there; None when it cannot be judged.
    amplitude
        Peak to peak with its noise bias removed, in V; None where absent.
    latency, peak_latency
        Onset and largest peak after the stimulus, corrected for the filters' delay, in s.
    statistic
        The test's statistic.
    p_value
        Chance of a statistic as large in noise alone.
    noise
        RMS of the background in the band of the test, in V.
    detection_limit
        Amplitude, in V, of a response that every second sweep would show, and so one of three sweeps about
        nine times in ten (tried by hand in white noise; in dense EMG rather two times in three).
    reason
        Why it cannot be judged: "saturation", "electrode_off", "cautery", "foreign_stimulus", "gap".
    amplitude_error, latency_error
        Standard errors, in V and s; None where none is stated.
    estimate
        Amplitude by the patient's template whether or not a response was found, in V: it has no bias from
        noise and may be negative, so that medians over sweeps can be taken; None without a template.
    area, duration, turns
        Form of the response (`ionm.detectors.waveform.Shape`): integral of the absolute trace from onset to
        end, in V s; from onset to end, in s; changes of direction. The end is that of the after-discharges,
        at most that of the sweep. None where absent, and where only the template shows the response: one
        that does not stand out by itself has no measurable form.
    trace
        What the template is learnt from and searched in (`ionm.detectors.template.Trace`).
    """

    present: bool | None
    amplitude: float | None = None
    latency: float | None = None
    peak_latency: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    noise: float | None = None
    detection_limit: float | None = None
    reason: str | None = None
    amplitude_error: float | None = None
    latency_error: float | None = None
    estimate: float | None = None
    area: float | None = None
    duration: float | None = None
    turns: int | None = None
    trace: object = field(default=None, repr=False, compare=False)

    @property
    def chance(self) -> float:
        """Chance of a sweep like this in noise alone; a swing too small to be a response counts as none."""
        return self.p_value if self.present and self.p_value is not None else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SweepMeasured:
    """A fact: one sweep with a measurement for each derivation of its site, in their order."""

    sample: int
    sweep: Sweep
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True, slots=True)
class ArtefactMark:
    """A fact: from ``sample`` on, a channel carries an artefact, or carries it no longer."""

    sample: int
    channel: str
    reason: str
    active: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """A pattern of free-run EMG on one channel.

    A spike or a burst is told once, when it is over (``active`` is False). Anything longer is told
    when it is recognised (``active``, no ``offset`` yet) and again when it ended. A train that turns out to
    be an artefact is withdrawn: it ends where it began.

    Parameters
    ----------
    pattern
        "spike", "burst", "a_train", "b_train", "c_train", "tonic", "spasm" or "artefact".
    onset, offset
        First sample, and the sample behind the last, to the millisecond.
    peak
        Largest absolute value so far, in V.
    frequency
        In Hz: potentials a second in an A-train, elements a second in a B-train and in tonic firing.
    regularity
        Coefficient of variation of the period (A-train) or of the intervals (B-train, tonic).
    blind
        Share of the stretch that fell into blind frames and was bridged.
    elements
        "spikes" or "bursts", of a B-train.
    control
        Whether the channel is a control: another nerve's muscle, or the other side's.
    traintime
        Of an A-train: how long A-trains have lasted in the muscle so far, in s; the judge adds it, and not
        for a control.
    """

    sample: int
    channel: str
    pattern: str
    active: bool
    onset: int
    offset: int | None
    peak: float
    frequency: float | None = None
    regularity: float | None = None
    blind: float = 0.0
    elements: str | None = None
    control: bool = False
    traintime: float | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """A fact: for how long free-run EMG was followed since it was last said, and what of it was seen.

    Parameters
    ----------
    seconds
        In s.
    seen
        The same by channel, without what lay in stimulus frames, was not valid or carried an artefact.
    """

    sample: int
    seconds: float
    seen: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Response:
    """One measured response, set against the baseline of its derivation.

    ``above_baseline`` says that its stimulus was stronger than the baseline's: a response to it is no
    reappearance, and silence confirms an absence.
    """

    sample: int
    modality: str
    derivation: str
    site: str
    channel: str
    role: str
    trigger: Trigger
    measurement: Measurement
    percent_of_baseline: float | None
    sweep: Sweep = field(repr=False, compare=False)
    row: int = field(repr=False, compare=False)
    above_baseline: bool = False


@dataclass(frozen=True, slots=True)
class StateChange:
    """A derivation passed from one state to another.

    ``since`` is the trigger of the first sweep that shows the new state. ``interval`` holds the moment of
    the change with 90 % confidence: it lies after the first and not after the second sample; None where
    no change of the response was seen (a baseline was taken).
    """

    sample: int
    modality: str
    derivation: str
    state: str
    previous: str
    since: int
    percent_of_baseline: float | None
    detection_limit_percent: float | None
    reason: str
    interval: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A derivation's state is frozen, or no longer: ``reasons`` all that stand, ``reason`` the newest."""

    sample: int
    derivation: str
    active: bool
    reason: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelHold:
    """A channel of ongoing activity cannot be judged, or can again; ``reasons`` as in `Hold`."""

    sample: int
    modality: str
    channel: str
    active: bool
    reason: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BaselineTaken:
    """A baseline was accepted, or refused with its reason."""

    sample: int
    modality: str
    derivation: str
    accepted: bool
    reason: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NoteTaken:
    """A note entered the session."""

    sample: int
    note: Note


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which act a fall of the LSR goes with, as far as the case shows it (see `ionm.vessel`).

    The last one of a derivation counts. ``vessel`` and ``manoeuvre`` are None where none is named;
    ``role`` is "guiding", "confirming", "indirect", "inconclusive" or "not_attributable"; ``score`` is
    the share, 0 to 1, that speaks for what is named; ``evidence`` holds what it rests on, in plain
    numbers, texts and lists.
    """

    sample: int
    derivation: str
    vessel: str | None
    manoeuvre: str | None
    role: str
    score: float
    evidence: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must know now, or no longer (``raised`` False).

    Parameters
    ----------
    sample
        When it became known.
    modality
        Whose it is.
    derivation, site
        Where, as far as that is one of them; else None.
    raised
        Whether it begins or ends.
    category
        "physiological" (the patient) or "technical" (the recording).
    priority
        "high", "medium", "low" or "info".
    criterion
        Name of the rule.
    value, limit
        What was seen and what the rule asks for, in ``unit``.
    reason
        The whole in words.
    """

    sample: int
    modality: str
    derivation: str | None
    site: str | None
    raised: bool
    category: str
    priority: str
    criterion: str
    value: float | None
    limit: float | None
    unit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Samples from ``start`` up to ``stop`` never came."""

    sample: int
    start: int
    stop: int


Event = (
    Response
    | StateChange
    | Hold
    | ChannelHold
    | Finding
    | BaselineTaken
    | NoteTaken
    | Alarm
    | Attribution
    | Gap
)
