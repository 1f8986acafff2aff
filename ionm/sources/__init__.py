"""Where chunks come from: recordings of every format."""

from ionm.sources.opening import open_recording
from ionm.sources.recording import Recording

__all__ = ["Recording", "open_recording"]
