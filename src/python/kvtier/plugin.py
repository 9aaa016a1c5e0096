"""What the plug-ins of engines share: options, a client that never holds up the engine, log lines with a reason."""
from __future__ import annotations

import difflib
import logging
from dataclasses import MISSING, fields
from typing import Any, Callable, Mapping, TypeVar

from .client import Client
from .errors import InvalidArgument

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
    taken: dict[str, Any] = {}
    for name, value in values.items():
        if name in ignore:
            continue
        if name not in known:
            raise InvalidArgument(f"{prefix}{name}", "not an option", _nearest(name, list(known)))
        taken[name] = _typed(f"{prefix}{name}", value, str(known[name].type))
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
            self._logger.warning("kvtier: %s: %s (logged once; goes on without the cache)", kind, reason)

    def over(self, kind: str) -> None:
        """Says that a trouble is over, where it had been logged."""
        if kind in self._seen:
            self._seen.discard(kind)
            self._logger.warning("kvtier: %s is over", kind)


class LazyClient:
    """A client that connects with the first call, again after trouble, and never blocks past its deadline.

    While the circuit is open (after ``failures_max`` failures in a row, for ``open_ms``) calls fail at once with Unreachable.
    """

    def __init__(self, endpoint: Any, *, token: str | None = None, timeout_ms: int = 1000, local: str = "auto", failures_max: int = 3,
                 open_ms: int = 1000, troubles: Troubles | None = None) -> None:
        raise NotImplementedError

    def client(self) -> Client:
        """The client, connected now if it was not.

        :raises Unreachable: the silo can't be reached, or the circuit is open.
        """
        raise NotImplementedError

    def call(self, work: Callable[[Client], T], *, what: str = "a call") -> T:
        """Runs some work with the client and counts its failure for the circuit.

        :raises KvTierError: as the work does.
        """
        raise NotImplementedError

    def attempt(self, work: Callable[[Client], T], default: T, *, what: str = "a call") -> T:
        """As :meth:`call`, but logs a trouble once and answers the default."""
        raise NotImplementedError

    @property
    def is_open(self) -> bool:
        """True while calls fail at once."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes the client; later calls raise Unreachable."""
        raise NotImplementedError


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"{', '.join(sorted(known))}" + (f" (did you mean {near[0]}?)" if near else "")


def _typed(field: str, value: Any, kind: str) -> Any:
    kinds = [part.strip() for part in kind.split("|")]
    if value is None and "None" in kinds:
        return None
    if "bool" in kinds:
        return _bool(field, value)
    if "int" in kinds or "float" in kinds:
        number = int if "int" in kinds else float
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise InvalidArgument(field, repr(value), "a number")
        try:
            result = number(value)
        except ValueError:
            raise InvalidArgument(field, repr(value), "a number") from None
        if result != float(value):
            raise InvalidArgument(field, repr(value), "a whole number")
        return result
    if kinds == ["str"] and not isinstance(value, str):
        raise InvalidArgument(field, repr(value), "a text")
    return value


def _bool(field: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0", "yes", "no"):
        return value.lower() in ("true", "1", "yes")
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise InvalidArgument(field, repr(value), "true or false")
