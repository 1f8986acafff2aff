"""The command line: ``ionm replay | simulate | info | bench | demo``."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ionm.errors import InputError, IonmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ionm.protocols import Sink
    from ionm.replay import Replay

Tallies = dict[str, dict[str, Any]]

DISCLAIMER = "ionm is research software, not a medical device."

CHUNK_SECONDS = {"max": 0.5, "timed": 0.02}
"""Chunk length when nobody asks for one, in s: long where only throughput counts, 20 ms where time does."""

PARTS = (".vhdr", ".vmrk", ".eeg", ".dat", ".data", ".head", ".hea", ".set", ".fdt", ".bdf", ".edf", ".fif")
"""Endings of files that, beside a recording and of its name, may be parts of it."""

PIPE_WIDTH = 140
"""Columns of the tables where there is no terminal to say its own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 = done, 2 = the input or the arguments are wrong, 1 = anything else."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except IonmError as error:
        print(f"ionm: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except OSError as error:
        print(f"ionm: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ionm: stopped", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ionm",
        description=f"Streaming signal processing for intraoperative neuromonitoring. {DISCLAIMER}",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ionm {version('ionm')}. {DISCLAIMER}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    replay = commands.add_parser(
        "replay", help="replay a recording through the live path", allow_abbrev=False
    )
    replay.add_argument("recording", type=Path, metavar="RECORDING")
    replay.add_argument(
        "--protocol", metavar="NAME|FILE", help="shipped protocol or .toml file (default: mvd-hfs)"
    )
    replay.add_argument("--side", choices=("L", "R"), help="side of the case")
    replay.add_argument(
        "--speed", type=_speed, default=math.inf, metavar="max|1|2...", help="times real time"
    )
    replay.add_argument("--chunk-ms", type=_positive, metavar="N", help="chunk length")
    replay.add_argument(
        "--events", type=Path, metavar="FILE.jsonl", help="write every event as a line of JSON"
    )
    replay.add_argument("--summary", type=Path, metavar="FILE.json", help="write one object for the case")
    replay.add_argument("--report", type=Path, metavar="FILE.html", help="write a report with pictures")
    replay.set_defaults(run=_replay)

    simulate = commands.add_parser("simulate", help="write a made-up case with its truth", allow_abbrev=False)
    simulate.add_argument("out", type=Path, metavar="OUT.edf", help="also writes OUT.truth.json")
    simulate.add_argument("--scenario", default="lost-at-decompression", metavar="NAME")
    simulate.add_argument("--seed", type=int, default=1, metavar="N")
    simulate.add_argument("--minutes", type=_positive, default=5.0, metavar="M")
    simulate.add_argument("--fs", type=_positive, default=20_000.0, metavar="HZ")
    simulate.set_defaults(run=_simulate)

    info = commands.add_parser("info", help="say what a recording holds", allow_abbrev=False)
    info.add_argument("recording", type=Path, metavar="RECORDING", nargs="?")
    info.set_defaults(run=_info)

    bench = commands.add_parser("bench", help="test this machine", allow_abbrev=False)
    bench.set_defaults(run=_bench)
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


def _say(text: str) -> None:
    print(f"ionm: {text}", file=sys.stderr)


@contextmanager
def _progress(total: float, what: str) -> Iterator[Callable[[float], None]]:
    """A bar on a terminal, nothing in a pipe; the function takes how far the work has come."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _replay(arguments: argparse.Namespace) -> None:
    from rich.console import Console as Screen

    from ionm.replay import prepare
    from ionm.sinks.console import Console
    from ionm.sinks.jsonl import JsonLines
    from ionm.sinks.summary import Summary
    from ionm.sinks.whole_file import WholeFile

    _check_outputs(arguments)
    replay = prepare(arguments.recording, arguments.protocol, arguments.side)
    recording, fs = replay.recording, replay.recording.info.fs
    facts = {
        "schema": 1,
        "software": f"ionm {version('ionm')}",
        "protocol": replay.protocol.name,
        "protocol_hash": replay.protocol.hash,
        "side": replay.side,
        "fs": fs,
    }
    stimuli = dict(Counter(trigger.site for trigger in recording.triggers))
    if replay.missing:
        _say(f"{recording.path}: of protocol {replay.protocol.name} it lacks {', '.join(replay.missing)}")
    others = [site for site in stimuli if site not in replay.protocol.sites]
    if others:
        unused = ", ".join(others)
        _say(f"{recording.path}: protocol {replay.protocol.name} does not use its stimuli at {unused}")
    for problem in recording.problems:
        _say(f"{recording.path}: {problem}")

    tracked = [d.name for d in replay.lsr.derivations if d.role == "lsr"]
    summary = Summary(fs, tracked)
    terminal = Screen(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    screen = Console(terminal, fs, tracked, measured=recording.suggested_protocol is not None)
    sinks: list[Sink] = [summary, screen]
    with ExitStack() as files:
        if arguments.events:
            header = {"version": version("ionm"), **facts, "channels": list(recording.info.names)}
            sinks.append(files.enter_context(JsonLines(arguments.events, fs, header)))
        summary_file = files.enter_context(WholeFile(arguments.summary)) if arguments.summary else None
        report_file = files.enter_context(WholeFile(arguments.report)) if arguments.report else None
        report = _report(replay) if arguments.report else None
        if report is not None:
            sinks.append(report)
        tallies = _run(replay, arguments, sinks)
        whole = summary.close(recording.stop, {**facts, "stimuli": stimuli}, tallies)
        if summary_file is not None:
            summary_file.write(json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
        if report is not None and report_file is not None:
            report_file.write(report.close(whole))
    screen.close(whole)
    for written in filter(None, (arguments.events, arguments.summary, arguments.report)):
        print(f"written: {written}")


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse an output that would replace an input, a part of it, or another output."""
    recording: Path = arguments.recording
    parts = [path for path in recording.parent.glob(f"{recording.stem}.*") if path.suffix.lower() in PARTS]
    taken = {path.resolve(): "is part of the recording" for path in (recording, *parts)}
    if arguments.protocol:
        taken[Path(arguments.protocol).resolve()] = "is the protocol"
    for name in ("events", "summary", "report"):
        path = getattr(arguments, name)
        if path is not None and path.resolve() in taken:
            raise InputError(f"--{name} {path}: {taken[path.resolve()]}, expected another name")
        if path is not None:
            taken[path.resolve()] = f"is already written by --{name}"


def _report(replay: Replay) -> Any:
    from ionm.sinks.report import Heading, Report

    protocol, recording = replay.protocol, replay.recording
    heading = Heading(
        recording=recording.path.name,
        protocol=protocol.name,
        protocol_title=protocol.title,
        protocol_hash=protocol.hash,
        version=version("ionm"),
        side=replay.side,
        description=recording.description,
        missing=replay.missing,
        problems=recording.problems,
    )
    return Report(replay.lsr, recording.info.fs, heading)


def _run(replay: Replay, arguments: argparse.Namespace, sinks: Iterable[Sink]) -> Tallies:
    """Push the whole recording, at the pace asked for; what the modalities added up."""
    timed = math.isfinite(arguments.speed)
    seconds = arguments.chunk_ms / 1e3 if arguments.chunk_ms else CHUNK_SECONDS["timed" if timed else "max"]
    fs = replay.recording.info.fs
    begun = time.monotonic()
    first = replay.recording.segments[0].start
    with _progress(replay.recording.stop, "replaying") as show:

        def passed(sample: int) -> None:
            show(sample)
            if timed:
                due = begun + (sample - first) / fs / arguments.speed
                time.sleep(max(0.0, due - time.monotonic()))

        tallies: Tallies = {}
        for events in replay.events(seconds, passed, tallies.update):
            for event in events:
                for sink in sinks:
                    sink.write(event)
    return tallies


def _simulate(arguments: argparse.Namespace) -> None:
    from ionm.simulate import scenario, scenarios, simulate_case, write_edf, write_truth

    out: Path = arguments.out
    if arguments.scenario not in scenarios():
        known = "; ".join(f"{name}: {text}" for name, text in scenarios().items())
        raise InputError(f"no scenario {arguments.scenario!r}; there are {known}")
    if out.suffix.lower() not in (".edf", ".bdf"):
        raise InputError(f"{out}: expected a name that ends in .edf or .bdf")
    try:
        script = scenario(arguments.scenario, minutes=arguments.minutes, fs=arguments.fs)
        case = simulate_case(script, arguments.seed)
    except ValueError as error:
        raise InputError(str(error)) from error
    try:
        with _progress(script.seconds, "simulating") as show:
            write_edf(case, out, progress=show)
        write_truth(case, out.with_suffix(".truth.json"))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from error
    print(
        f"{out}: {arguments.scenario}, {case.n_samples / case.info.fs:g} s, {case.info.n_channels} channels"
    )
    print(f"{out.with_suffix('.truth.json')}: what is true in it")


def _info(arguments: argparse.Namespace) -> None:
    from ionm.compiled import kernel
    from ionm.protocol import shipped

    if arguments.recording is None:
        print(f"ionm {version('ionm')}, kernel {kernel()}, protocols {', '.join(shipped())}. {DISCLAIMER}")
        return
    from ionm.sources import open_recording

    recording = open_recording(arguments.recording)
    print(f"{recording.path}: {recording.description}")
    print(f"{recording.duration:g} s at {recording.info.fs:g} Hz, {recording.info.n_channels} channels:")
    print(f"  {', '.join(f'{c.name} ({c.kind})' for c in recording.info.channels)}")
    if len(recording.segments) > 1:
        print(f"{len(recording.segments)} segments, {recording.n_samples / recording.info.fs:g} s of samples")
    for site, count in Counter(trigger.site for trigger in recording.triggers).items():
        print(f"stimuli at {site}: {count}")
    for event, count in Counter(note.event for note in recording.notes).items():
        print(f"notes {ascii(event)[1:-1]}: {count}")
    for text, count in recording.unmapped.items():
        print(f"mark {text!a}, which no protocol maps: {count}")
    for problem in recording.problems:
        print(f"problem: {problem}")
    print(f"kernel {kernel()}")


def _bench(arguments: argparse.Namespace) -> None:
    del arguments
    from ionm.bench import filter_times, kernel_is_exact, machine, session_times

    print(machine())
    exact = kernel_is_exact()
    print(f"every kernel gives the bits of scipy: {'yes' if exact else 'NO'}")
    print(f"band-pass, 16 channels x 5 ms: {filter_times()}")
    with_sweep, idle = session_times()
    print(f"live path, 4 channels x 5 ms, chunk completes a sweep: {with_sweep}")
    print(f"live path, 4 channels x 5 ms, other chunks: {idle}")
    if not exact:
        raise IonmError("the compiled kernel disagrees with scipy on this machine; set IONM_KERNEL=scipy")
