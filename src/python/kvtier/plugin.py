"""What the plug-ins of engines share: options, a client that never holds up the engine, log lines with a reason."""
from __future__ import annotations

import difflib
import logging
import threading
import time
from dataclasses import MISSING, fields
from functools import partial
from typing import Any, Callable, Mapping, TypeVar, get_args, get_type_hints

from .client import Client, connect
from .errors import DeadlineExceeded, InvalidArgument, KvTierError, Unreachable

T = TypeVar("T")


def parse_options(kind: type[T], values: Mapping[str, Any], *, prefix: str = "", ignore: tuple[str, ...] = ()) -> T:
    """Makes a dataclass from what an engine's user wrote.

    :param kind: a dataclass; its fields are the options. Strings are read as bool, int or float where the field is one.
    :param values: what was written.
    :param prefix: stands before a name in errors, such as ``kv_connector_extra_config.``.
    :param ignore: names that belong to the engine.
    :raises InvalidArgument: an unknown name (the nearest known one is told), or a value of the wrong type.
    """
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    types = get_type_hints(kind)
    taken: dict[str, Any] = {}
    for name, value in values.items():
        if name in ignore:
            continue
        if name not in known:
            raise InvalidArgument(f"{prefix}{name}", "not an option", _nearest(name, list(known)))
        taken[name] = _typed(f"{prefix}{name}", value, types[name])
    for name, one in known.items():
        if name not in taken and one.default is MISSING and one.default_factory is MISSING:
            raise InvalidArgument(f"{prefix}{name}", "missing", "a value: it has no default")
    return kind(**taken)


class Troubles:
    """Logs each kind of trouble once, and again after it was over."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._seen: set[str] = set()

    def report(self, kind: str, reason: object) -> None:
        """Logs a trouble with its reason, unless this kind was logged and is not over."""
        if kind not in self._seen:
            self._seen.add(kind)
            # As text: an exception that a log handler keeps would keep the caller's buffers, too.
            self._logger.warning("kvtier: %s: %s (logged once; goes on without the cache)", kind, str(reason))

    def over_all(self, start: str) -> None:
        """Says that all troubles whose kind begins so are over."""
        if self._seen:
            for kind in [one for one in self._seen if one.startswith(start)]:
                self.over(kind)

    def over(self, kind: str) -> None:
        """Says that a trouble is over, where it had been logged."""
        if kind in self._seen:
            self._seen.discard(kind)
            self._logger.warning("kvtier: %s is over", kind)


class LazyClient:
    """A client that connects with the first call, and again after trouble, and never holds its caller up past a deadline. Thread-safe.

    After ``failures_max`` failures in a row (unreachable, or past a deadline) the circuit is open: calls fail at once with Unreachable.
    After ``open_ms`` one call tries again, while the others go on failing at once; ``open_ms`` doubles up to ``open_ms_max`` until a try
    succeeds.
    """

    def __init__(self, endpoint: Any, *, token: str | None = None, timeout_ms: int = 1000, local: str = "auto", failures_max: int = 3,
                 open_ms: int = 500, open_ms_max: int = 10_000, troubles: Troubles | None = None, **options: Any) -> None:
        """Does not connect yet.

        :param timeout_ms: longest a call may take, connecting included.
        :param troubles: where :meth:`attempt` reports; a new one for the logger ``kvtier`` by default.
        :param options: as :func:`kvtier.connect` takes them.
        """
        self.troubles = troubles or Troubles(logging.getLogger("kvtier"))
        self.timeout_ms = timeout_ms
        # Retries are the circuit's: a call that failed is answered without the cache.
        self._connect = partial(connect, endpoint, token=token, timeout_ms=timeout_ms, local=local, **{"retries_max": 0, **options})
        self._failures_max = failures_max
        self._open_seconds = (open_ms / 1000, open_ms_max / 1000)
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self._client: Client | None = None
        self._failures = 0
        self._pause = self._open_seconds[0]
        self._open_until = 0.0
        self._probing = False
        self._is_closed = False

    def client(self) -> Client:
        """The client, connected now if it was not.

        :raises Unreachable: the silo can't be reached, or the circuit is open.
        """
        return self.call(lambda client: client)

    def call(self, work: Callable[[Client], T]) -> T:
        """Runs some work with the client and counts its failure for the circuit.

        :raises KvTierError: as connecting and the work do; Unreachable at once while the circuit is open.
        """
        is_probe = self._enter()
        try:
            result = work(self._connected())
        except (Unreachable, DeadlineExceeded) as error:
            self._failed(is_probe)
            raise error
        except BaseException:
            self._answered(is_probe)
            raise
        self._answered(is_probe)
        return result

    def attempt(self, work: Callable[[Client], T], default: T, *, what: str = "a call") -> T:
        """As :meth:`call`, but reports a trouble, once a kind of it, and answers the default."""
        try:
            result = self.call(work)
        except KvTierError as error:
            if error.field != "circuit":  # Why it is open was reported.
                self.troubles.report(f"{what} failed ({error.name})", error)
            return default
        self.troubles.over_all(f"{what} failed")
        return result

    @property
    def is_open(self) -> bool:
        """True while calls fail at once."""
        return self._failures >= self._failures_max and (time.monotonic() < self._open_until or self._probing)

    def close(self) -> None:
        """Closes the client; later calls raise Unreachable."""
        with self._lock:
            self._is_closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _enter(self) -> bool:
        """Lets a call through, or not. True when it is the one that tries whether the silo is back."""
        with self._lock:
            if self._is_closed:
                raise Unreachable("client", "closed", "an open client")
            if self._failures < self._failures_max:
                return False
            if self._probing or time.monotonic() < self._open_until:
                raise Unreachable("circuit", f"open after {self._failures} failures", "a silo that answers; it is tried again soon")
            self._probing = True
            return True

    def _connected(self) -> Client:
        client = self._client
        if client is not None:
            return client
        if not self._connecting.acquire(timeout=self.timeout_ms / 1000):
            raise Unreachable("endpoint", "still connecting", "a silo that answers")
        try:
            if self._client is None:
                client = self._connect()
                with self._lock:
                    self._client = client
                    closed = self._is_closed
                if closed:
                    client.close()
            return self._client
        finally:
            self._connecting.release()

    def _failed(self, is_probe: bool) -> None:
        with self._lock:
            self._failures += 1
            if is_probe:
                self._probing = False
                self._pause = min(self._pause * 2, self._open_seconds[1])
            if self._failures >= self._failures_max:
                self._open_until = time.monotonic() + self._pause

    def _answered(self, is_probe: bool) -> None:
        with self._lock:
            self._failures = 0
            self._pause = self._open_seconds[0]
            if is_probe:
                self._probing = False


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"{', '.join(sorted(known))}" + (f" (did you mean {near[0]}?)" if near else "")


def _typed(field: str, value: Any, kind: Any) -> Any:
    kinds = get_args(kind) or (kind,)
    if value is None and type(None) in kinds:
        return None
    if bool in kinds:
        return _bool(field, value)
    if int in kinds or float in kinds:
        return _number(field, value, int if int in kinds else float)
    if str in kinds and not isinstance(value, kinds):
        raise InvalidArgument(field, repr(value), "a text")
    return value


def _number(field: str, value: Any, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidArgument(field, repr(value), "a number")
    try:
        number = float(value)
    except ValueError:
        raise InvalidArgument(field, repr(value), "a number") from None
    if kind is int and not number.is_integer():
        raise InvalidArgument(field, repr(value), "a whole number")
    return kind(value) if kind is int and isinstance(value, str) and value.strip("+-").isdigit() else kind(number)


def _bool(field: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0", "yes", "no"):
        return value.lower() in ("true", "1", "yes")
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise InvalidArgument(field, repr(value), "true or false")
