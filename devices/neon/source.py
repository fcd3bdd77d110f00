"""Whose packets a stream takes: one sender, known by its SSRC, and nobody who follows it."""

from __future__ import annotations

from dataclasses import dataclass

from devices.neon.wire import RtpPacket, SenderReport

MOST_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class HeardReport:
    """A sender report, and when it arrived (Unix ns, host): it may be believed long after."""

    report: SenderReport
    arrived_at: int


@dataclass(slots=True)
class _Candidate:
    """A sender that has not been believed yet: what speaks for it so far."""

    sequence: int | None = None
    in_row: int = 0
    heard: HeardReport | None = None

    @property
    def is_valid(self) -> bool:
        return self.in_row > 1 or (self.in_row > 0 and self.heard is not None)


class Source:
    """Pins a connection's SSRC: to what SETUP said, else to the first sender of two packets in a
    row (RFC 3550, A.1), or of a packet and a sender report. It stays until the connection ends.
    """

    def __init__(self, pinned: int | None) -> None:
        """`pinned`: the SSRC that SETUP told; None where it did not."""
        self.pinned = pinned
        self._candidates: dict[int, _Candidate] = {}

    def packet(self, packet: RtpPacket) -> HeardReport | None:
        """A packet has come; returns the sender report that came before, once it is believed."""
        if self.pinned is not None:
            return None
        candidate = self._candidate(packet.source)
        follows = candidate.sequence == (packet.sequence - 1) % 2**16
        candidate.in_row = candidate.in_row + 1 if follows else 1
        candidate.sequence = packet.sequence
        return self._settle(packet.source, candidate)

    def report(self, report: SenderReport, arrived_at: int) -> HeardReport | None:
        """A sender report has come (Unix ns, host); returns it if it is to be believed."""
        heard = HeardReport(report, arrived_at)
        if self.pinned is not None:
            return heard if report.source == self.pinned else None
        candidate = self._candidate(report.source)
        candidate.heard = heard
        return self._settle(report.source, candidate)

    def _settle(self, source: int, candidate: _Candidate) -> HeardReport | None:
        if not candidate.is_valid:
            return None
        self.pinned = source
        self._candidates.clear()
        return candidate.heard

    def _candidate(self, source: int) -> _Candidate:
        """The newest few are remembered."""
        candidate = self._candidates.pop(source, None) or _Candidate()
        self._candidates[source] = candidate
        if len(self._candidates) > MOST_CANDIDATES:
            del self._candidates[next(iter(self._candidates))]
        return candidate
