"""Say once per site that its stimuli keep step with the mains, and when they do so no longer."""

from __future__ import annotations

from ionm.detectors.mains_lock import MainsLock, RunningMainsLock, Step
from ionm.events import Alarm, Event
from ionm.stream import StreamInfo, Trigger

LOCK = MainsLock()


class MainsWatch:
    """The watch on all sites of one modality.

    In a recording of single sweeps nothing is said: its clock does not run between them.

    Parameters
    ----------
    modality
        As events name it.
    info
        The stream.
    """

    def __init__(self, modality: str, info: StreamInfo) -> None:
        self._modality = modality
        self._info = info
        self._sites: dict[str, RunningMainsLock] = {}
        self._standing: dict[str, float] = {}  # frequency with which a site keeps step

    def push(self, sample: int, trigger: Trigger) -> list[Event]:
        """Take a stimulus whose sweep became known at ``sample``."""
        if self._info.segmented:
            return []
        watch = self._sites.get(trigger.site)
        if watch is None:
            watch = self._sites[trigger.site] = LOCK.start(self._info.fs)
        step = watch.push(trigger.sample)
        if step is None or (step.frequency is None) is (trigger.site not in self._standing):
            return []
        return [self._said(sample, trigger.site, step)]

    def _said(self, sample: int, site: str, step: Step) -> Alarm:
        raised = step.frequency is not None
        if step.frequency is not None:
            limit = self._standing[site] = step.frequency
            reason = (
                f"stimuli at {site} keep step with {limit:g} Hz: hum looks like a response "
                "that never changes; rates such as 1.1, 2.3 or 4.7 Hz do not"
            )
        else:
            limit = self._standing.pop(site)
            reason = f"stimuli at {site} keep step with {limit:g} Hz no longer"
        return Alarm(
            sample=sample,
            modality=self._modality,
            derivation=None,
            site=site,
            raised=raised,
            category="technical",
            priority="info",
            criterion="mains_locked",
            value=step.rate,
            limit=limit,
            unit="Hz",
            reason=reason,
        )
