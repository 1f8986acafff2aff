"""Made-up signals with known truth, each part on its own physical or published footing."""

from ionm.simulate.arteries import Artery, Probe, probe_series
from ionm.simulate.case import SimulatedCase, simulate_case
from ionm.simulate.emg import Interference, MotorUnits
from ionm.simulate.faces import usual_face, usual_room, with_spares
from ionm.simulate.facial_nerve import FWave, LateralSpread, MWave, Recruitment
from ionm.simulate.operating_room import Drift, Mains, StimulusArtefact
from ionm.simulate.scenarios import scenario, scenarios
from ionm.simulate.script import Amplifier, Face, Room, Script
from ionm.simulate.sweeps import ResponseSweeps, noise_sweeps, response_sweeps, sweep_times
from ionm.simulate.truth import measure, truth
from ionm.simulate.writer import write_edf, write_edf_segments, write_truth

__all__ = [
    "Amplifier",
    "Artery",
    "Drift",
    "FWave",
    "Face",
    "Interference",
    "LateralSpread",
    "MWave",
    "Mains",
    "MotorUnits",
    "Probe",
    "Recruitment",
    "ResponseSweeps",
    "Room",
    "Script",
    "SimulatedCase",
    "StimulusArtefact",
    "measure",
    "noise_sweeps",
    "probe_series",
    "response_sweeps",
    "scenario",
    "scenarios",
    "simulate_case",
    "sweep_times",
    "truth",
    "usual_face",
    "usual_room",
    "with_spares",
    "write_edf",
    "write_edf_segments",
    "write_truth",
]
