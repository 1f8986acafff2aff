"""The face and the room that the ready scenarios start from."""

from __future__ import annotations

from dataclasses import replace

from ionm.simulate.emg import MotorUnits
from ionm.simulate.facial_nerve import FWave, LateralSpread, MWave
from ionm.simulate.operating_room import StimulusArtefact
from ionm.simulate.script import Face, Room

_FROM_TOP = ("Frontalis", "OrbOculi", "Nasalis", "OrbOris", "Mentalis")


def usual_face() -> Face:
    """A face with hemifacial spasm: zygomatic spreads to mouth and chin, mandibular to eye and forehead.

    Latencies and sizes lie within the ranges of their descriptions; crosstalk falls with distance
    (general knowledge: 3 % between neighbours).
    """
    muscles = ("Frontalis", "OrbOculi", "OrbOris", "Mentalis")
    return Face(
        muscles=muscles,
        direct={
            "zygomatic>OrbOculi": MWave(latency=2.4e-3, size=1.4e-3, width=0.55e-3),
            "mandibular>Mentalis": MWave(latency=2.9e-3, size=1.9e-3, width=0.65e-3),
            # the marginal mandibular branch supplies the lower lip as well
            "mandibular>OrbOris": MWave(latency=3.1e-3, size=0.25e-3, width=0.7e-3),
        },
        lateral={
            "zygomatic>Mentalis": LateralSpread(latency=10.3e-3, size=260e-6, waves=1, after_discharge=0.2),
            "zygomatic>OrbOris": LateralSpread(latency=9.8e-3, size=190e-6, waves=3, form=3),
            "mandibular>OrbOculi": LateralSpread(latency=10.6e-3, size=210e-6, waves=2, form=5),
            "mandibular>Frontalis": LateralSpread(latency=11.2e-3, size=110e-6, waves=1, after_discharge=0.1),
        },
        late={
            "zygomatic>OrbOculi": FWave(latency=9.2e-3, form=1),
            "mandibular>Mentalis": FWave(form=2),
        },
        background={
            "Frontalis": MotorUnits(units=2),
            "OrbOculi": MotorUnits(units=4),
            "OrbOris": MotorUnits(units=3),
            "Mentalis": MotorUnits(units=3),
        },
        crosstalk=_crosstalk(muscles, 0.03),
    )


def with_spares(face: Face) -> Face:
    """The same face with two more muscles.

    The zygomatic branch reaches Nasalis too; Masseter belongs to another nerve and hears the face by
    volume conduction only.
    """
    muscles = (*face.muscles, "Nasalis", "Masseter")
    return replace(
        face,
        muscles=muscles,
        direct={**face.direct, "zygomatic>Nasalis": MWave(latency=2.7e-3, size=0.6e-3)},
        lateral={**face.lateral, "mandibular>Nasalis": LateralSpread(latency=10.2e-3, size=120e-6)},
        background={
            **face.background,
            "Nasalis": MotorUnits(units=2),
            "Masseter": MotorUnits(units=6, size=20e-6),
        },
        crosstalk={
            **_crosstalk(muscles, 0.03),
            ("OrbOris", "Masseter"): 0.01,
            ("Mentalis", "Masseter"): 0.01,
            ("Masseter", "OrbOris"): 0.02,
            ("Masseter", "Mentalis"): 0.02,
        },
    )


def usual_room() -> Room:
    """Artefacts of moderate size: each site's nearest channel gets the whole pulse, the others less."""
    return Room(
        reach={
            ("zygomatic", "Frontalis"): 0.6,
            ("zygomatic", "OrbOculi"): 1.0,
            ("zygomatic", "OrbOris"): 0.5,
            ("zygomatic", "Mentalis"): 0.3,
            ("mandibular", "Frontalis"): 0.25,
            ("mandibular", "OrbOculi"): 0.35,
            ("mandibular", "OrbOris"): 0.7,
            ("mandibular", "Mentalis"): 1.0,
        },
        artefact=StimulusArtefact(tails=((0.8e-3, 0.6e-3), (-0.15e-3, 2.0e-3))),
    )


def _crosstalk(muscles: tuple[str, ...], near: float) -> dict[tuple[str, str], float]:
    """Neighbours from forehead to chin hear each other with ``near``, the ones after that with a quarter."""
    row = [muscle for muscle in _FROM_TOP if muscle in muscles]
    pairs = {}
    for distance, fraction in ((1, near), (2, near / 4)):
        for a, b in zip(row[:-distance], row[distance:], strict=True):
            pairs[a, b] = pairs[b, a] = fraction
    return pairs
