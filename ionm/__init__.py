"""Streaming signal processing for intraoperative neuromonitoring.

Research software, not a medical device.
"""

from ionm.errors import InputError, IonmError, SetupError, SignalError
from ionm.protocol import Protocol
from ionm.protocol import load as load_protocol
from ionm.replay import Replay, prepare
from ionm.session import Session
from ionm.sources import Recording, open_recording
from ionm.stream import Channel, Chunk, Note, StreamInfo, Trigger, chunk

__all__ = [
    "Channel",
    "Chunk",
    "InputError",
    "IonmError",
    "Note",
    "Protocol",
    "Recording",
    "Replay",
    "Session",
    "SetupError",
    "SignalError",
    "StreamInfo",
    "Trigger",
    "chunk",
    "load_protocol",
    "open_recording",
    "prepare",
]
