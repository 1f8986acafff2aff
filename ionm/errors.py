"""What can go wrong, by whose doing.

``ValueError`` from a spec says that the settings cannot be right anywhere. The three errors
here say what settings alone cannot know.
"""


class IonmError(Exception):
    """Something ionm cannot work with; the message is one line: what, where, what would be right."""


class SetupError(IonmError):
    """Settings that cannot work with this stream (raised by ``start``)."""


class SignalError(IonmError):
    """Data that break the promise of a stream (raised by ``push``)."""


class InputError(IonmError):
    """A file, a protocol or an argument that cannot be used (raised by sources and protocols)."""
