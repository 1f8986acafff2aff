"""Made-up signals with known truth, each part on its own physical or published footing."""

from ionm.simulate.case import SimulatedCase, simulate_case
from ionm.simulate.scenarios import scenario, scenarios
from ionm.simulate.script import Script
from ionm.simulate.truth import measure, truth
from ionm.simulate.writer import write_edf, write_edf_segments, write_truth

__all__ = [
    "Script",
    "SimulatedCase",
    "measure",
    "scenario",
    "scenarios",
    "simulate_case",
    "truth",
    "write_edf",
    "write_edf_segments",
    "write_truth",
]
