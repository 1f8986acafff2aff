"""The falls of one derivation's LSR: how they add up, when they are taken back, and what is said of them.

The rules and the roles stand in `ionm.vessel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ionm.baseline import Stimulus
from ionm.drop import SUSTAINED, Around, Drop, Explanation, as_evidence, explain, listed
from ionm.events import Attribution, BaselineTaken, Hold, NoteTaken, Response, StateChange
from ionm.levels import MEMORY, Levels
from ionm.manoeuvres import AFTER, BEFORE, Kind, Notebook
from ionm.protocols import FOREVER
from ionm.states import HYSTERESIS, NEAR_ABSENT_BELOW, State

NEAR_HOLD = 5.0
"""A hold that ended less than this before a fall may hide its moment, in s (our choice)."""

LATE_FAULTS = ("electrode_off", "relaxant")
"""Holds that are found out only after they took the LSR away: they count up to `AFTER` later."""

MOST = 0.5
"""Share of what was lost that the named acts must account for (our choice: the larger part)."""

DEPTH = {State.PRESENT: 0, State.REAPPEARED: 0, State.REDUCED: 1, State.NEAR_ABSENT: 2, State.ABSENT: 3}

UNNAMED = ("inconclusive", "not_attributable")
"""Roles without a name."""

INCONCLUSIVE = ("two_vessels", "opening")
"""Reasons for the role "inconclusive"; all others make a fall not attributable."""


@dataclass(frozen=True, slots=True)
class _Return:
    """The LSR came back between two samples; ``named``: the vessels that its falls had been put down to."""

    first: int
    second: int
    reason: str
    named: frozenset[str | None]


class Attributor:
    """The falls of one derivation.

    Parameters
    ----------
    derivation, site
        Its name, and the site whose M-control is its control.
    fs
        Sampling rate, in Hz.
    notebook
        The case's notes; whoever holds it takes a note before it is pushed here.
    """

    def __init__(self, derivation: str, site: str, fs: float, notebook: Notebook) -> None:
        self.site = site
        self._derivation = derivation
        self._fs = fs
        self._notebook = notebook
        self._levels = Levels(fs)
        self._state = State.UNKNOWN
        self._begin = 0  # from here on the LSR is followed
        self._drops: list[Drop] = []  # falls in effect, oldest first
        self._burden: list[Drop] = []  # unexplained falls before the LSR reappeared
        self._returns: list[_Return] = []
        self._pending: Response | None = None  # a sweep that a hold may still take back
        self._attributes: Mapping[str, str] = {}
        self._stimulus: Stimulus | None = None
        self._intensities: list[int] = []  # first stimuli of another strength
        self._holds: list[tuple[str, int, int | None]] = []  # (reason, begin, end)
        self._held = False
        self._waiting = False  # the newest fall's time is up, but a hold hides whether the LSR is back
        self._said: tuple[object, ...] = ()

    @property
    def deadline(self) -> int:
        """When the newest fall will have stood for `SUSTAINED`."""
        if not self._drops or self._drops[-1].sustained or self._waiting:
            return FOREVER
        return self._drops[-1].due

    def push(self, event: Response | StateChange | Hold | BaselineTaken | NoteTaken) -> list[Attribution]:
        """Take the derivation's next event, or a note; what is said of it."""
        match event:
            case Response():
                said = self._settle(event.sample)
                self._stimulated(event)
                self._pending = event
                return said
            case Hold():
                return self._hold(event)
            case StateChange():
                return self._settle(event.sample) + self._change(event)
            case BaselineTaken():
                if event.accepted:  # percents are of another whole from now on
                    self._pending = None
                    self._levels.clear()
                    self._drops.clear()
                    self._burden.clear()
                    self._waiting = False
                return []
            case NoteTaken():
                return self._say(event.sample)

    def control(self, response: Response) -> None:
        """Take a response of the M-control; without an answer its level is 0."""
        m, percent = response.measurement, response.percent_of_baseline
        if m.present is False:
            self._levels.control(response.trigger.sample, 0.0)
        elif percent is not None:
            self._levels.control(response.trigger.sample, percent)

    def sustain(self, sample: int) -> list[Attribution]:
        """Let the newest fall have stood for `SUSTAINED`; a hold puts that off until its end."""
        said = self._settle(sample)
        if self.deadline > sample and not self._waiting:
            return said  # that sweep showed another fall
        self._waiting = self._held
        return said if self._held else said + self._say(sample, sustained=True)

    def _settle(self, sample: int) -> list[Attribution]:
        """Count the newest sweep, now that no hold came with it."""
        response, self._pending = self._pending, None
        if response is None or self._held or response.above_baseline:
            return []
        present = response.measurement.present
        if present is None:
            return []
        percent = response.percent_of_baseline if present else None
        step = self._levels.judged(response.trigger.sample, percent)
        if step is None or self._state is State.ABSENT:
            return []
        self._fall(step, None, sample)
        return self._say(sample)

    def _stimulated(self, response: Response) -> None:
        """Note where the stimulus changes."""
        if response.trigger.attributes == self._attributes:
            return
        stimulus = Stimulus.of(response.trigger)
        if self._stimulus is not None and stimulus != self._stimulus:
            self._intensities.append(response.trigger.sample)
        self._attributes, self._stimulus = response.trigger.attributes, stimulus

    def _hold(self, hold: Hold) -> list[Attribution]:
        with_sweep = self._pending is not None and self._pending.sample == hold.sample
        said = [] if with_sweep else self._settle(hold.sample)
        begin = self._pending.trigger.sample if self._pending is not None else hold.sample
        standing = {reason for reason, _, end in self._holds if end is None}
        horizon = min([hold.sample - round(MEMORY * self._fs), *(d.first for d in self._drops)])
        self._holds = [
            (reason, start, hold.sample if end is None and reason not in hold.reasons else end)
            for reason, start, end in self._holds
            if end is None or end >= horizon - NEAR_HOLD * self._fs
        ]
        self._intensities = [s for s in self._intensities if s >= horizon - BEFORE * self._fs]
        self._holds += [(reason, begin, None) for reason in hold.reasons if reason not in standing]
        self._held = hold.active
        said += self._settle(hold.sample)  # unless the hold takes that sweep back
        if self._held:
            self._levels.restart_steps()
        elif self._waiting:
            return said + self.sustain(hold.sample)
        return said + self._say(hold.sample)

    def _change(self, change: StateChange) -> list[Attribution]:
        before, self._state = State(change.previous), State(change.state)
        if before not in DEPTH or self._state not in DEPTH:
            self._begin = change.since
            return []
        interval = change.interval or self._moment(change)
        if DEPTH[self._state] > DEPTH[before]:
            self._fall(interval, change, change.sample)
        else:
            self._rise(interval, change)
        return self._say(change.sample)

    def _fall(self, interval: tuple[int, int], change: StateChange | None, known: int) -> None:
        """Begin a fall, or go on with the newest one."""
        first, second = interval
        state = None if change is None else str(change.state)
        limit = change.detection_limit_percent if change is not None else None
        around = self._around(first, second, gone=state == State.ABSENT)
        level = 100.0 if around.before is None else around.before
        soon = round(SUSTAINED * self._fs)
        self._drops = [d for d in self._drops if first - d.second < soon or not d.undone_by(level)]
        newest = self._drops[-1] if self._drops else None
        if newest is not None and around.after is not None and not newest.goes_below(around.after):
            newest.state = newest.state or state
            return  # it wavers about the border between two grades
        self._levels.restart_steps()
        due = max(max(second, newest.second if newest else 0) + soon, known)
        if newest is not None and first - newest.second < soon:
            newest.go_on(first, second, state, limit, due)
        elif newest is not None and state == State.ABSENT and level <= NEAR_ABSENT_BELOW + HYSTERESIS:
            newest.vanish(limit)
            return
        else:
            self._drops += [*self._unexplained(level), Drop(first, second, due, state, around, limit)]
        self._waiting = False

    def _unexplained(self, level: float) -> list[Drop]:
        """Falls before the LSR reappeared that nothing explained and that it has not made up for."""
        kept = [drop for drop in self._burden if not drop.undone_by(level)]
        self._burden = []
        for drop in kept:
            drop.levels = replace(drop.levels, after=level)
        return kept

    def _moment(self, change: StateChange) -> tuple[int, int]:
        """When a change of state that does not say it took place."""
        found = None if State.ABSENT in (change.state, change.previous) else self._levels.moment()
        return found or (self._levels.last_before(change.since), change.since)

    def _rise(self, interval: tuple[int, int], change: StateChange) -> None:
        """Take back the falls that a return undoes."""
        level = self._levels.now()
        if level is None:
            level = 100.0 if change.percent_of_baseline is None else change.percent_of_baseline
        named: list[str | None] = []
        told = False
        while self._drops and (self._state is State.REAPPEARED or self._drops[-1].undone_by(level)):
            drop = self._drops[-1]
            act = self._explain(drop, change.sample).act
            if act is not None:
                named.append(act.key)
            elif self._state is State.REAPPEARED:
                self._burden.append(drop)  # unless it turns out to be whole again
            told = told or drop.state is not None
            self._drops.pop()
            self._waiting = False
        if self._drops and self._state is State.PRESENT:
            told = told or any(drop.state is not None for drop in self._drops)
            for drop in self._drops:  # what is left of them is no lower grade any more
                drop.state = None
        self._levels.restart_steps()
        if told:
            reason = "reappeared" if self._state is State.REAPPEARED else "returned"
            self._returns = [back for back in self._returns if back.named]
            self._returns.append(_Return(*interval, reason, frozenset(named)))

    def _around(self, first: int, second: int, *, gone: bool) -> Around:
        return Around(
            self._levels.before(first),
            None if gone else self._levels.after(second),
            self._levels.control_before(first),
            self._levels.control_after(second),
        )

    def _faults(self, drop: Drop) -> list[tuple[str, int]]:
        """(reason, sample) of holds and changed stimuli near a fall."""
        fs, first, second = self._fs, drop.first, drop.second
        found = [
            (reason, begin)
            for reason, begin, end in self._holds
            if reason != "no_baseline"
            and begin <= second + (AFTER * fs if reason in LATE_FAULTS else 0)
            and (end is None or end >= first - NEAR_HOLD * fs)
        ]
        return found + [
            ("intensity_change", s) for s in self._intensities if first - BEFORE * fs <= s <= second
        ]

    def _explain(self, drop: Drop, sample: int) -> Explanation:
        stood = SUSTAINED if drop.sustained else max((sample - drop.second) / self._fs, 0.0)
        return explain(drop, self._notebook, self._faults(drop), stood, self._reversed())

    def _reversed(self) -> frozenset[str | None]:
        """Vessels named for a fall that was undone when they, and no other, were let go."""
        found: set[str | None] = set()
        for back in self._returns:
            let_go = {
                c.act.key
                for c in self._notebook.near(back.first, back.second)
                if c.act.kind is Kind.UNDOING and c.act.key is not None
            }
            if len(let_go) == 1:
                found |= let_go & back.named
        return frozenset(found)

    def _say(self, sample: int, *, sustained: bool = False) -> list[Attribution]:
        """The answer as it stands, if it is another than the last one."""
        if self._drops:
            newest = self._drops[-1]
            if not newest.sustained:
                newest.see(self._around(newest.first, newest.second, gone=newest.state == State.ABSENT))
                newest.sustained = sustained
        if any(drop.state is not None for drop in self._drops):
            answer = self._answer(sample)
        elif self._returns:
            answer = self._taken_back(sample)
        else:
            return []
        telling = TELLING if answer.role not in UNNAMED else TELLING[:2]
        told = (answer.vessel, answer.manoeuvre, answer.role, *(answer.evidence[key] for key in telling))
        if told == self._said:
            return []
        self._said = told
        return [answer]

    def _answer(self, sample: int) -> Attribution:
        """What the falls in effect are due to, all together."""
        told = [(drop, self._explain(drop, sample)) for drop in self._drops]
        drop, newest = told[-1]
        total = sum(d.size for d, _ in told)
        shares = [d.size / total if total > 0 else 1 / len(told) for d, _ in told]
        masses: dict[str | None, float] = {}
        for share, (_, found) in zip(shares, told, strict=True):
            for key, mass in found.masses.items():
                masses[key] = masses.get(key, 0.0) + share * mass
        reason = newest.reason
        unnamed = [(share, e.reason) for share, (_, e) in zip(shares, told, strict=True) if e.act is None]
        if reason is None and sum(share for share, _ in unnamed) > MOST:
            reason = max(unnamed, key=lambda part: part[0])[1]
        vessel, manoeuvre, score = None, None, 0.0
        role = "inconclusive" if reason in INCONCLUSIVE else "not_attributable"
        if reason is None and newest.act is not None:
            acts = {e.act.key: e.act for _, e in told if e.act is not None}
            parts = [part for act in acts.values() if act.vessel for part in act.vessel.split("+")]
            vessel = "+".join(dict.fromkeys(parts)) or None
            manoeuvre = newest.act.event
            score = sum((masses[key] for key in acts), 0.0)
            role = self._role(drop, newest)
        names = {c.act.key: c.act.vessel for _, e in told for c in e.candidates}
        evidence: dict[str, object] = {
            "reason": reason,
            "state": drop.state,
            "interval": [drop.first, drop.second],
            "lag_s": newest.lag if reason is None else None,
            "before_percent": drop.levels.before,
            "after_percent": drop.levels.after,
            "detection_limit_percent": drop.limit,
            "m_before_percent": drop.levels.control_before,
            "m_after_percent": drop.levels.control_after,
            "sustained": drop.sustained,
            "reversed": newest.act is not None and newest.act.key in self._reversed(),
            "candidates": [{"vessel": names[key], "share": share} for key, share in masses.items()],
            "unattributable": 1.0 - sum(masses.values(), 0.0),
            "steps": [as_evidence(d, e) for d, e in told],
        }
        return Attribution(sample, self._derivation, vessel, manoeuvre, role, score, evidence)

    def _role(self, drop: Drop, found: Explanation) -> str:
        act = found.act
        if act is None or act.kind is not Kind.DECOMPRESSIVE:
            return "indirect"
        if act.key is None:
            return "confirming"
        again = any(act.key in back.named for back in self._returns)
        earliest = drop.first - BEFORE * self._fs
        outlasted = any(
            a.kind is Kind.DECOMPRESSIVE
            and a.key not in (None, act.key)
            and self._begin <= a.sample < earliest
            for a in self._notebook.acts
        )
        return "guiding" if again or outlasted else "confirming"

    def _taken_back(self, sample: int) -> Attribution:
        """What is said once the LSR is back: no name stands."""
        back = self._returns[-1]
        near = self._notebook.near(back.first, back.second)
        evidence: dict[str, object] = {
            "reason": back.reason,
            "state": None,
            "interval": [back.first, back.second],
            "lag_s": None,
            "before_percent": None,
            "after_percent": self._levels.after(back.second),
            "detection_limit_percent": None,
            "m_before_percent": self._levels.control_before(back.first),
            "m_after_percent": self._levels.control_after(back.second),
            "sustained": False,
            "reversed": bool(back.named & self._reversed()),
            "candidates": [],
            "unattributable": 1.0,
            "steps": [],
            "undone_by": listed([c for c in near if c.act.kind is Kind.UNDOING]),
        }
        return Attribution(sample, self._derivation, None, None, "not_attributable", 0.0, evidence)


TELLING = ("reason", "state", "sustained", "reversed")
"""What of the evidence, beside name and role, makes an answer another one; the last two only with a name."""
