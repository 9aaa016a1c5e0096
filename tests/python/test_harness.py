"""The harness itself: what the other tests trust."""
import signal
import socket
import time

import pytest
import redis as redis_py

from processes import living
from silos import Cluster, Engine, Late, Redis, kvtier_command, reserve_port, until, within


def test_silo_that_is_killed_and_started_again_keeps_its_ports_and_blocks(own_silo):
    endpoints, pid = own_silo.endpoints, own_silo.pid
    kvtier_command("block", "put", "kept", __file__, "--ack", "ssd", "--endpoint", own_silo.endpoints["tcp"])
    own_silo.kill()
    assert not own_silo.running
    own_silo.start()
    assert own_silo.endpoints == endpoints and own_silo.pid != pid and own_silo.stat()["pid"] == own_silo.pid
    with open(__file__) as mine:
        assert kvtier_command("block", "get", "kept", "--endpoint", own_silo.endpoints["tcp"]) == mine.read()


def test_silo_that_is_frozen_answers_nothing_until_it_is_thawed(own_silo):
    own_silo.freeze()
    with pytest.raises(OSError):
        own_silo.http("/healthz", seconds=0.3)
    own_silo.thaw()
    assert own_silo.http("/healthz")


def test_stop_ends_a_silo_in_order(own_silo):
    assert own_silo.stop() == 0


def test_silo_with_a_wrong_option_says_why_it_did_not_start(new_silo):
    with pytest.raises(AssertionError, match="host-bytes|hostBytes"):
        new_silo({"host-bytes": "many"})


def test_resp_is_where_it_says(ssd_silo):
    with redis_py.Redis(port=ssd_silo.resp_port) as client:
        assert client.set("harness", b"value")
        assert client.get("harness") == b"value"


def test_metric_counts(silo):
    assert silo.metric("kvtier_no_such_metric") == 0
    assert silo.metric("kvtier_tier_capacity_bytes", tier="host") == 256 << 20


def test_cluster_has_three_members(cluster):
    status = cluster.status()
    assert sorted(silo["name"] for silo in status["silos"]) == ["silo-1", "silo-2", "silo-3"]


def test_redis_of_our_own_answers(folder):
    with Redis(folder) as server, redis_py.Redis(unix_socket_path=str(server.socket_path)) as client:
        assert client.ping()


def test_engine_that_is_killed_is_gone(run_engine):
    engine = run_engine("import sys, time; print('working', sys.argv[1]); time.sleep(60)", "now")
    assert engine.wait_for_line("working") == "working now"
    # Its number may be another process's by now.
    assert engine.kill() == -signal.SIGKILL
    assert engine.child not in living()


def test_engine_hears_what_it_is_told(run_engine):
    engine = run_engine("""
        for line in __import__("sys").stdin:
            print("heard", line.strip())
        """)
    engine.tell("one")
    engine.wait_for_line("heard one")
    assert engine.wait() == 0


def test_engine_that_fails_shows_its_trace(folder):
    with Engine(folder, "raise ValueError('on purpose')") as engine:
        with pytest.raises(AssertionError, match="on purpose"):
            engine.wait_for_line("never")


def test_until_and_within_keep_their_deadlines():
    with pytest.raises(Late):
        until(lambda: False, 0.1)
    with pytest.raises(Late):
        with within(0.01):
            time.sleep(0.05)
    with within(10):
        pass


@pytest.mark.deadline(97)
def test_deadline_ends_a_test_that_hangs():
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left <= 97
    with pytest.raises(Late):
        # Brought forward only here, as a deadline that passes a moment too soon would be this test's own.
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        time.sleep(60)


def test_reserved_ports_are_this_process_s_alone_and_never_the_system_s_choice():
    ports = {reserve_port() for _ in range(20)}
    assert len(ports) == 20
    with socket.socket() as outgoing:
        outgoing.bind(("127.0.0.1", 0))
        assert max(ports) < outgoing.getsockname()[1]
    for port in ports:
        with socket.socket(socket.AF_UNIX) as another, pytest.raises(OSError):
            another.bind(f"\0kvtier-test-port-{port}")
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


@pytest.mark.deadline(400)
def test_cluster_with_a_silo_killed_goes_on(folder):
    with Cluster(folder, count=2) as cluster:
        cluster.silos[1].kill()
        cluster.settle()
        assert [silo["name"] for silo in cluster.status()["silos"] if silo["member"]] == ["silo-1"]
