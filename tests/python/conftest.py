"""Fixtures and deadlines of all Python tests. Every silo is real, listens on ports that the system chose and ends with its test.

silo        one for the whole run, host memory only; not to be killed, frozen or filled
ssd_silo    one for the whole run, with an SSD tier and RESP2; not to be killed
own_silo    one for this test, with an SSD tier: may be killed, frozen, started again
new_silo    starts further ones: new_silo(options={…}, ssd=True)
cluster     three silos and an etcd for the whole run; not to be killed
own_cluster the same for this test, two copies of each block
patient     routing clients of this test take no slow silo for a lost one
run_engine  starts a Python process that may be killed: run_engine(program, arguments …)

A test has 240 s, or what `@pytest.mark.deadline(seconds)` says.
"""
import faulthandler
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from processes import REPOSITORY, Late, living
from silos import Cluster, Engine, Silo

_SOURCE = str(REPOSITORY / "src" / "python")
if _SOURCE not in sys.path:
    sys.path.insert(0, _SOURCE)

_DEADLINE_SECONDS = 240
# Starting a silo on a busy machine takes longest; its own deadline is 120 s.
_SETUP_SECONDS = 300


@pytest.fixture(scope="session")
def run_folder():
    """A short path, as that of a Unix socket may have 100 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="kvt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder():
    """A folder for this test, with a short path."""
    made = Path(tempfile.mkdtemp(prefix="kvt-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def silo(run_folder):
    with Silo(run_folder, {"host-bytes": "256MiB"}, "plain") as started:
        yield started


@pytest.fixture(scope="session")
def ssd_silo(run_folder):
    with Silo(run_folder, {"resp-enabled": True, "resp-port": 0}, "ssd", ssd=True) as started:
        yield started


@pytest.fixture
def new_silo(folder):
    made = []

    def start(options=None, ssd=False, name=None):
        made.append(Silo(folder, options, name or f"new-{len(made) + 1}", ssd))
        return made[-1].start()

    yield start
    for each in made:
        each.close()


@pytest.fixture
def own_silo(new_silo):
    return new_silo(ssd=True, name="own")


@pytest.fixture(scope="session")
def cluster(run_folder):
    place = run_folder / "c"
    place.mkdir()
    # Nobody dies here, so nobody has to be missed soon: a busy machine must not cost a silo its membership, or a call between two.
    with Cluster(place, options={"cluster-lease-ms": 20_000, "cluster-peer-deadline-ms": 20_000}) as started:
        yield started


@pytest.fixture
def own_cluster(folder):
    # Silos of one busy machine do not give each other up.
    with Cluster(folder, replicas=2, options={"cluster-peer-deadline-ms": 20_000}) as started:
        yield started


@pytest.fixture
def patient(monkeypatch):
    """No routing client of this test takes a silo for lost because it is slow."""
    from clients import be_patient

    be_patient(monkeypatch)


@pytest.fixture
def run_engine(folder):
    made = []

    def start(program, *arguments):
        made.append(Engine(folder, program, *arguments, name=f"engine-{len(made) + 1}"))
        return made[-1]

    yield start
    for each in made:
        each.close()


def pytest_configure(config):
    config.addinivalue_line("markers", "deadline(seconds): how long the test may take, 240 s by default")


def _with_alarm(item, seconds):
    def late(*_):
        faulthandler.dump_traceback(all_threads=True)
        raise Late(f"{item.nodeid} did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    # Where the main thread is stuck in native code the alarm is not heard: then the whole run ends.
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from _with_alarm(item, _SETUP_SECONDS)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    marker = item.get_closest_marker("deadline")
    yield from _with_alarm(item, marker.args[0] if marker else _DEADLINE_SECONDS)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from _with_alarm(item, _SETUP_SECONDS)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for child in living():
            report.sections.append((f"{child.name} (pid {child.pid})", child.tail()))


def pytest_terminal_summary(terminalreporter, config):
    """What `./dev test` shows of a run in which all went well."""
    line = getattr(config, "package_line", None)
    if line:
        terminalreporter.write_line(line)
