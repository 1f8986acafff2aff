from __future__ import annotations

from dataclasses import replace

import pytest

from ionm.simulate import Amplifier, Drift, Face, LateralSpread, Mains, MWave, Room, Script, StimulusArtefact
from ionm.simulate.script import Stimulation

FACE = Face(
    muscles=("OrbOculi", "Mentalis"),
    direct={"zygomatic>OrbOculi": MWave(variation=0.0, tail=0.0)},
    lateral={"zygomatic>Mentalis": LateralSpread(jitter=0.0, variation=0.0, after_discharge=0.0)},
    late={},
    background={},
    crosstalk={},
)


@pytest.fixture(scope="session")
def bare():
    """A script without anything random: no noise, hum, drift, artefact or background."""

    def make(*events, seconds=4, fs=10000.0, **changes):
        room = Room(artefact=StimulusArtefact(pulse=0.0, tails=()), mains=Mains(0.0), drift=Drift(0.0))
        script = Script(
            name="bare",
            seconds=seconds,
            face=FACE,
            amplifier=Amplifier(fs=fs, noise=0.0, bits=24),
            stimulations=(Stimulation("zygomatic", rate=2.3, begin=0.5, ma=50.0),),
            events=events,
            room=room,
        )
        return replace(script, **changes)

    return make
