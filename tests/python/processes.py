"""Child processes of tests: their output is kept, every wait has a deadline, and none outlives the test run."""
import atexit
import collections
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
START_SECONDS = 120
STOP_SECONDS = 60
_PR_SET_PDEATHSIG = 1
_LINES_KEPT = 400
_TICK_SECONDS = 0.02
_libc = ctypes.CDLL(None, use_errno=True)
_alive: "dict[int, Child]" = {}


class Late(AssertionError):
    """Something did not happen, or did not end, within its deadline."""


def until(condition, seconds: float = 60, what: str = "", every: float = 0.02):
    """Waits until `condition()` is true and returns what it returned. Raises Late after `seconds`; what it raises goes through."""
    end = time.monotonic() + seconds
    while True:
        # Looked at once more after the end: this process may have stood still meanwhile, and nobody else.
        is_last = time.monotonic() > end
        value = condition()
        if value:
            return value
        if is_last:
            raise Late(f"{what or 'the condition'} did not hold within {seconds} s")
        time.sleep(every)


@contextlib.contextmanager
def within(seconds: float, what: str = "this"):
    """Fails with Late when the body takes longer than `seconds`. It measures; a body that never ends is ended by the test's deadline."""
    begin = time.monotonic()
    yield
    took = time.monotonic() - begin
    if took > seconds:
        raise Late(f"{what} took {took:.2f} s, more than {seconds} s")


@contextlib.contextmanager
def promptly(seconds: float, what: str = "this"):
    """As `within`, but the time in which this process stood still does not count: a machine that stalls makes no call late."""
    lost, ended = [0.0], threading.Event()

    def watch():
        last, is_over = time.monotonic(), False
        while not is_over:
            is_over = ended.wait(_TICK_SECONDS)
            now = time.monotonic()
            if now - last > 5 * _TICK_SECONDS:
                lost[0] += now - last
            last = now

    watcher = threading.Thread(target=watch, name=f"watch over {what}", daemon=True)
    watcher.start()
    begin = time.monotonic()
    try:
        yield
        took = time.monotonic() - begin
    finally:
        ended.set()
        watcher.join()
    if took - lost[0] > seconds:
        raise Late(f"{what} took {took:.2f} s, more than {seconds} s besides the {lost[0]:.2f} s in which this process stood still")


def living() -> "list[Child]":
    """Children that were started and not yet ended by us, oldest first."""
    return list(_alive.values())


class Child:
    """A process in a group of its own, killed with this one. Start it from the main thread: the kernel ties it to the thread."""

    def __init__(self, name: str, arguments: "list[str]", folder: "str | Path", environment: "dict[str, str] | None" = None,
                 stdin: "int | None" = subprocess.DEVNULL):
        self.name = name
        self.arguments = [str(argument) for argument in arguments]
        self.log = Path(folder) / f"{name}.log"
        self._said: "collections.deque[str]" = collections.deque(maxlen=_LINES_KEPT)
        self._changed = threading.Condition()
        self._ended = False
        with open(self.log, "ab") as errors:
            self.process = subprocess.Popen(
                self.arguments, stdin=stdin, stdout=subprocess.PIPE, stderr=errors, cwd=folder, start_new_session=True,
                env={**os.environ, **(environment or {})}, preexec_fn=_die_with_parent)
        _alive[id(self)] = self
        self._reader = threading.Thread(target=self._read, name=f"stdout of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def lines(self) -> "list[str]":
        """What it wrote to stdout, the last 400 lines."""
        with self._changed:
            return list(self._said)

    def wait_for_line(self, accept, seconds: float = START_SECONDS) -> str:
        """The first line of stdout so far or to come that `accept` (a text that it begins with, or a predicate) takes.
        Raises Late after `seconds`, and AssertionError with the log when the process ends before."""
        matches = accept if callable(accept) else lambda line: line.startswith(accept)
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                for line in self._said:
                    if matches(line):
                        return line
                if self._ended:
                    raise AssertionError(f"{self.name} ended with {self.process.wait(STOP_SECONDS)}:\n{self.tail()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise Late(f"{self.name} did not say what was waited for within {seconds} s:\n{self.tail()}")
                self._changed.wait(left)

    def tail(self, lines: int = 60) -> str:
        """The end of its stderr and stdout, as text for a person."""
        with contextlib.suppress(OSError):
            errors = self.log.read_text(errors="replace").splitlines()[-lines:]
            return "\n".join([f"$ {' '.join(self.arguments)}", *errors, *(f"> {line}" for line in self.lines()[-lines:])])
        return f"$ {' '.join(self.arguments)}\n(its log is gone)"

    def freeze(self) -> None:
        """SIGSTOP: it keeps its sockets and says nothing."""
        self.process.send_signal(signal.SIGSTOP)
        # The signal takes effect a moment after the call.
        until(lambda: _state(self.pid) in "tTZX", 60, f"{self.name} stopped")

    def thaw(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> int:
        """kill -9 of its whole group, and waits for its end. Returns the exit code; does nothing more when it has ended."""
        # Once its end was seen, the system may give its number to another process, and to that one's group.
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return self._end(STOP_SECONDS)

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, and waits for its end. Returns the exit code; raises Late, after a kill, when it takes longer."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self._end(seconds)
        except subprocess.TimeoutExpired:
            text = self.tail()
            self.kill()
            raise Late(f"{self.name} did not end within {seconds} s:\n{text}") from None

    def wait(self, seconds: float) -> int:
        """Waits for its end. Raises Late when it takes longer."""
        try:
            return self._end(seconds)
        except subprocess.TimeoutExpired:
            raise Late(f"{self.name} did not end within {seconds} s:\n{self.tail()}") from None

    def _end(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        _alive.pop(id(self), None)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._changed:
                self._said.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@atexit.register
def _kill_all() -> None:
    for child in living():
        with contextlib.suppress(Exception):
            child.kill()
