"""What plug-ins share: options, and a client that never holds its caller up."""
import logging
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Optional

import pytest

import kvtier
from kvtier.plugin import LazyClient, Troubles, parse_options
from silos import until


@dataclass
class Options:
    endpoint: str
    timeout_ms: int = 1000
    share: float = 0.5
    enabled: bool = True
    token: Optional[str] = None


def test_options_are_read_from_texts_and_numbers():
    made = parse_options(Options, {"endpoint": "h:1", "timeout_ms": "20", "share": 1, "enabled": "false", "token": None})
    assert made == Options("h:1", 20, 1.0, False, None)


@pytest.mark.parametrize("values, says", [
    ({"endpoint": "h:1", "time_out_ms": 3}, "did you mean timeout_ms"),
    ({}, "endpoint is missing"),
    ({"endpoint": "h:1", "timeout_ms": "soon"}, "a number"),
    ({"endpoint": "h:1", "timeout_ms": 1.5}, "a whole number"),
    ({"endpoint": "h:1", "enabled": "maybe"}, "true or false"),
    ({"endpoint": 7}, "a text"),
])
def test_options_that_are_wrong_are_refused_with_what_would_be_right(values, says):
    with pytest.raises(kvtier.InvalidArgument, match=says):
        parse_options(Options, values, prefix="kvtier.")


def test_trouble_is_logged_once_a_kind_until_it_is_over(caplog):
    troubles = Troubles(logging.getLogger("kvtier.test"))
    with caplog.at_level(logging.WARNING, "kvtier.test"):
        for _ in range(3):
            troubles.report("get failed", "no silo")
        troubles.over("get failed")
        troubles.report("get failed", "no silo")
    assert len(caplog.records) == 3


def test_silo_that_is_not_there_is_a_default_and_found_later(new_silo):
    silo = new_silo()
    silo.kill()
    lazy = LazyClient(silo.unix, timeout_ms=3000, open_ms=100, open_ms_max=200)
    assert lazy.attempt(lambda client: client.stat(), None) is None
    silo.start()
    until(lambda: lazy.attempt(lambda client: client.stat(), None) is not None, 60, "the silo is found")
    lazy.close()
    with pytest.raises(kvtier.Unreachable):
        lazy.call(lambda client: client.ping())


def test_stopped_silo_costs_no_more_than_the_deadlines_and_then_nothing(own_silo, monkeypatch):
    # The circuit's clock is the test's, so that it stays open however slow the machine is.
    now = [0.0]
    monkeypatch.setattr("kvtier.plugin.time", SimpleNamespace(monotonic=lambda: now[0]))
    lazy = LazyClient(own_silo.unix, timeout_ms=200, failures_max=2, open_ms=300)

    def after_the_pause(work):
        now[0] += 10.0
        return lazy.attempt(work, None)

    until(lambda: after_the_pause(lambda client: client.namespace().put(b"k", b"x")), 60, "the first answer")
    own_silo.freeze()
    times = []
    for _ in range(20):
        begun = time.monotonic()
        assert lazy.attempt(lambda client: client.namespace().get(b"k"), None) is None
        times.append(time.monotonic() - begun)
    assert lazy.is_open and sorted(times)[len(times) // 2] < 0.05 and min(times[:2]) < 2
    assert lazy._failures == 2  # After these nobody tried.
    now[0] += 0.61  # The second failure opened it for 300 ms, and a probe that fails doubles that.
    for _ in range(3):
        assert lazy.attempt(lambda client: client.namespace().get(b"k"), None) is None
    assert lazy.is_open and lazy._failures == 3
    own_silo.thaw()
    until(lambda: after_the_pause(lambda client: bool(client.namespace().get(b"k"))), 60, "it answers again")
    lazy.close()


def test_error_of_the_silo_does_not_open_the_circuit(silo):
    lazy = LazyClient(silo.unix, timeout_ms=60_000, failures_max=1)
    for _ in range(3):
        with pytest.raises(kvtier.InvalidArgument):
            lazy.call(lambda client: client.namespace().get(b""))
    assert not lazy.is_open
    lazy.close()
