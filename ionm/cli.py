"""The command line: ``ionm replay | simulate | info | bench | demo``."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionm.errors import IonmError

if TYPE_CHECKING:
    from ionm.replay import Replay

DISCLAIMER = "ionm is research software, not a medical device."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 2 = the input or the arguments are wrong, 1 = anything else."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except IonmError as error:
        print(f"ionm: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print("ionm: stopped", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ionm", description=f"Streaming signal processing for intraoperative neuromonitoring. {DISCLAIMER}"
    )
    parser.add_argument("--version", action="version", version=f"ionm {version('ionm')}. {DISCLAIMER}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    replay = commands.add_parser("replay", help="replay a recording through the live path")
    replay.add_argument("recording", type=Path, metavar="RECORDING")
    replay.add_argument("--protocol", metavar="NAME|FILE", help="shipped protocol or .toml file (default: mvd-hfs)")
    replay.add_argument("--side", choices=("L", "R"), help="side of the case")
    replay.add_argument("--speed", type=_speed, default=math.inf, metavar="max|1|2...", help="times real time")
    replay.add_argument("--chunk-ms", type=_positive, metavar="N", help="chunk length")
    replay.add_argument("--events", type=Path, metavar="FILE.jsonl", help="write every event as a line of JSON")
    replay.add_argument("--summary", type=Path, metavar="FILE.json", help="write one object for the case")
    replay.add_argument("--report", type=Path, metavar="FILE.html", help="write a report with pictures")
    replay.set_defaults(run=_replay)
    return parser


def _speed(text: str) -> float:
    return math.inf if text == "max" else _positive(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def _replay(arguments: argparse.Namespace) -> None:
    from ionm.replay import prepare
    from ionm.sinks.jsonl import JsonLines
    from ionm.sinks.summary import Summary

    replay = prepare(arguments.recording, arguments.protocol, arguments.side)
    lsr = [d.name for d in replay.modality.derivations if d.role == "lsr"]
    summary = Summary(replay.recording.info.fs, lsr)
    sinks: list[Any] = [summary]
    if arguments.events:
        header = {"channels": list(replay.recording.info.names), "protocol": replay.protocol.name}
        with JsonLines(arguments.events, replay.recording.info.fs, header) as lines:
            sinks.append(lines)
            _run(replay, arguments, sinks)
    else:
        _run(replay, arguments, sinks)
    print(summary.close(replay.recording.stop, {}))


def _run(replay: Replay, arguments: argparse.Namespace, sinks: list[Any]) -> None:
    seconds = arguments.chunk_ms / 1e3 if arguments.chunk_ms else 0.5
    for events in replay.events(seconds):
        for event in events:
            for sink in sinks:
                sink.write(event)
    time.sleep(0)
