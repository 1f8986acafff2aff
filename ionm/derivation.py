"""One muscle that answers one site, and what part it plays."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("lsr", "m_control", "spare", "zlr")


@dataclass(frozen=True, slots=True)
class Derivation:
    """One muscle that answers one site.

    Parameters
    ----------
    site, channel
        Stimulated site and recorded channel.
    role
        "lsr" (has a state), "m_control" (the stimulated branch's own muscle), "spare", or "zlr" (answers an
        artery's wall).
    """

    site: str
    channel: str
    role: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")

    @property
    def name(self) -> str:
        """As events name it, "zygomatic>Mentalis"."""
        return f"{self.site}>{self.channel}"
