"""Where chunks come from: recordings of every format."""

from ionm.sources.recording import Recording, open_recording

__all__ = ["Recording", "open_recording"]
