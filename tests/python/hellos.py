"""Hellos of the plug-ins, which threads of their own say."""
import time

from processes import until


def answered(handshake, seconds: float = 60) -> None:
    """Waits until a hello was answered and what came of it is logged. One that was late is said again at once, not after its pause."""
    until(lambda: _is_answered(handshake), seconds, "a hello")


def _is_answered(handshake) -> bool:
    with handshake._lock:
        if handshake._running:
            return False
        # After an answer it is silent for minutes, after a failure for seconds.
        if handshake._due > time.monotonic() + 60:
            return True
        handshake._due = 0.0
    handshake.say()
    return False
