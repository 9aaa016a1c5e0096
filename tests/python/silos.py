"""Real silos, clusters and peers for tests: `Silo`, `Cluster`, `Etcd`, `Redis` and `Engine` (a Python process that may be killed).

    with Silo(folder, options={"host-bytes": "64MiB"}, ssd=True) as silo:
        client = kvtier.connect(silo.unix)
        silo.kill(); silo.start(); silo.freeze(); silo.thaw()

The executable is the one that `KVTIER_TEST_EXECUTABLE` names, or the Release build of this repository.
"""
import json
import os
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from pathlib import Path

from ports import reserve_port
from processes import REPOSITORY, START_SECONDS, Child, Late, until, within

__all__ = ["Cluster", "Engine", "Etcd", "Late", "Redis", "Silo", "kvtier_command", "reserve_port", "until", "within"]

PYTHON_SOURCE = REPOSITORY / "src" / "python"


def kvtier_executable() -> str:
    """Path of the `kvtier` executable."""
    path = os.environ.get("KVTIER_TEST_EXECUTABLE") or str(REPOSITORY / "src/KvTier.Cli/bin/Release/net10.0/kvtier")
    if not Path(path).exists():
        raise RuntimeError(f"{path} is not there: build it first (./dev build), or set KVTIER_TEST_EXECUTABLE")
    return path


def kvtier_command(*arguments, seconds: float = 120) -> str:
    """Runs `kvtier` with arguments and returns its standard output. Raises AssertionError with its error text when it fails."""
    # Patient, as the tests' machines may be busy: an fsync alone may take longer than what is usual.
    line = [kvtier_executable(), *map(str, arguments), "--timeout-ms", "40000"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=seconds)
    if done.returncode != 0:
        raise AssertionError(f"kvtier {' '.join(map(str, arguments))} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


class Silo:
    """One silo. An option of port 0 gets a port at the first start that later ones keep; data are kept too, where it has an SSD tier.

    options: arguments of `kvtier serve` without the dashes, such as {"host-bytes": "64MiB", "resp-enabled": True}. True is the flag
    alone, None leaves an option out that would be given by default (tcp, unix socket, HTTP, 64 MiB).
    ssd: give it a data directory under `folder`, 256 MiB.
    """

    def __init__(self, folder: "str | Path", options: "dict[str, object] | None" = None, name: str = "silo", ssd: bool = False,
                 environment: "dict[str, str] | None" = None):
        self.folder = Path(folder)
        self.name = name
        self.data_directory = self.folder / f"{name}.data" if ssd else None
        self.socket_path = self.folder / f"{name}.sock"
        self.endpoints: "dict[str, str]" = {}
        self.child: "Child | None" = None
        self._environment = environment
        disk = {"data-directory": self.data_directory, "ssd-bytes": "256MiB"} if ssd else {}
        self.options = {"port": 0, "unix-socket": self.socket_path, "http-port": 0, "host-bytes": "64MiB", **disk, **(options or {})}

    def start(self) -> "Silo":
        """Starts it and waits until it serves. Raises Late, or AssertionError with its log when it ends instead."""
        for option in ("port", "http-port", "resp-port"):
            # False, which equals 0, leaves an option out.
            if self.options.get(option) == 0 and self.options[option] is not False:
                self.options[option] = reserve_port()
        arguments = [kvtier_executable(), "serve", "--name", self.name]
        for option, value in self.options.items():
            if value is not None and value is not False:
                arguments += [f"--{option}"] if value is True else [f"--{option}", str(value)]
        self.child = Child(self.name, arguments, self.folder, self._environment)
        try:
            self.child.wait_for_line("ready", START_SECONDS)
        except BaseException:
            self.child.kill()
            raise
        words = (line.split() for line in self.child.lines())
        self.endpoints = {said[1]: said[2] for said in words if len(said) == 3 and said[0] == "listening"}
        return self

    @property
    def tcp(self) -> str:
        """Its TCP endpoint, such as `127.0.0.1:40123`."""
        return self.endpoints["tcp"].partition("://")[2]

    @property
    def unix(self) -> str:
        """Its Unix socket, such as `unix:/tmp/…/silo.sock`."""
        return f"unix:{self.socket_path}"

    @property
    def resp_port(self) -> int:
        """Port of RESP2; the silo needs {"resp-enabled": True, "resp-port": 0}."""
        return int(self.endpoints["resp"].rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.running

    def http(self, path: str, seconds: float = 60) -> str:
        """The body of a GET such as `/metrics`, whatever its status."""
        try:
            with urllib.request.urlopen(self.endpoints["http"] + path, timeout=seconds) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """Sum of the samples of a metric that have these labels; 0 where there is none."""
        total = 0.0
        for line in self.http("/metrics").splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{key}="{text}"' in sample for key, text in labels.items()):
                total += float(value)
        return total

    def stat(self) -> dict:
        """What `kvtier stat --json` says."""
        return json.loads(kvtier_command("stat", "--json", "--endpoint", self.endpoints["tcp"]))

    def kill(self) -> int:
        """kill -9. Its sockets and its shared memory stay behind as they do after a crash."""
        return self.child.kill()

    def stop(self) -> int:
        """Asks it to drain and end, and waits for that."""
        return self.child.stop()

    def restart(self) -> "Silo":
        """Stops it, and starts it with the same ports and data."""
        self.stop()
        return self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        self.child.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        self.child.thaw()

    def log(self) -> str:
        """All that it wrote to stderr so far. It logs beside its work: wait for a line with `until_logged`."""
        return self.child.log.read_text(errors="replace")

    def until_logged(self, text: str, after: int = 0, seconds: float = 60) -> None:
        """Waits until it has logged a text, behind as many characters of its log."""
        until(lambda: text in self.log()[after:], seconds, f"{self.name} logging {text!r}")

    def close(self) -> None:
        """Ends it, whatever its state."""
        if self.child is not None:
            self.child.kill()

    def __enter__(self) -> "Silo":
        return self.start()

    def __exit__(self, *_) -> None:
        self.close()


class Etcd:
    """An etcd of one member, on free ports and with data under `folder`."""

    def __init__(self, folder: "str | Path"):
        self.folder = Path(folder)
        self.port, self._peer_port = reserve_port(), reserve_port()
        self.child: "Child | None" = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Etcd":
        """Starts it and waits until it answers; later starts keep ports and data."""
        peer = f"http://127.0.0.1:{self._peer_port}"
        self.child = Child("etcd", [
            "etcd", "--name", "test", "--data-dir", self.folder / "etcd.data", "--listen-client-urls", self.endpoint,
            "--advertise-client-urls", self.endpoint, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"test={peer}", "--heartbeat-interval", "50", "--election-timeout", "500"], self.folder)
        until(self._answers, START_SECONDS, "etcd answering")
        return self

    def _answers(self) -> bool:
        if not self.child.running:
            raise AssertionError(f"etcd ended:\n{self.child.tail()}")
        try:
            with urllib.request.urlopen(self.endpoint + "/health", timeout=5) as answer:
                return b"true" in answer.read()
        except OSError:
            return False

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()


class Cluster:
    """Silos `silo-1` … in one cluster with an etcd of its own. Each may be killed, frozen and started again."""

    def __init__(self, folder: "str | Path", count: int = 3, replicas: int = 1, options: "dict[str, object] | None" = None,
                 ssd: bool = False):
        self.folder = Path(folder)
        self.etcd = Etcd(folder)
        self.silos: "list[Silo]" = []
        self._ssd = ssd
        # Twice the usual lease, as silos of a busy machine may stand still for seconds; one that is killed is missed after it.
        self._options = {"cluster-name": "test", "cluster-replicas": replicas, "cluster-lease-ms": 6000, **(options or {})}
        self._count = count

    def start(self) -> "Cluster":
        """Starts all of it and waits until every silo is a member and has nothing to hand over."""
        self.etcd.start()
        for _ in range(self._count):
            self.add()
        self.settle()
        return self

    def add(self) -> Silo:
        """Starts one more silo; `settle` waits until it has its share."""
        options = {**self._options, "etcd": self.etcd.endpoint}
        silo = Silo(self.folder, options, f"silo-{len(self.silos) + 1}", self._ssd)
        self.silos.append(silo)
        return silo.start()

    def status(self) -> dict:
        """What `kvtier cluster status --json` says at the first silo that runs."""
        asked = next(silo for silo in self.silos if silo.running)
        return json.loads(kvtier_command("cluster", "status", "--json", "--endpoint", asked.endpoints["tcp"]))

    def settle(self, seconds: float = 120) -> None:
        """Waits until the map has the silos that run and no other, and all have handed over what changed hands."""
        until(self._is_settled, seconds, "the cluster settled", every=0.2)

    def _is_settled(self) -> bool:
        try:
            members = [silo for silo in self.status()["silos"] if silo["member"]]
        except AssertionError:
            # A silo that is busy, or has just lost another, may not answer at first.
            return False
        running = {silo.name for silo in self.silos if silo.running}
        return {silo["name"] for silo in members} == running and all(silo["settled"] for silo in members)

    @property
    def endpoints(self) -> "list[str]":
        """TCP endpoints of all silos, for a client that routes."""
        return [silo.tcp for silo in self.silos]

    def close(self) -> None:
        for part in (*self.silos, self.etcd):
            part.close()

    def __enter__(self) -> "Cluster":
        return self.start()

    def __exit__(self, *_) -> None:
        self.close()


class Redis:
    """A redis-server without persistence, on a free port and a Unix socket under `folder`."""

    def __init__(self, folder: "str | Path"):
        self.port = reserve_port()
        self.socket_path = Path(folder) / "redis.sock"
        self.child = Child("redis", [
            "redis-server", "--port", self.port, "--bind", "127.0.0.1", "--unixsocket", self.socket_path, "--save", "", "--appendonly",
            "no"], folder)
        self.child.wait_for_line(lambda line: "eady to accept connections" in line)

    def close(self) -> None:
        self.child.kill()

    def __enter__(self) -> "Redis":
        return self

    def __exit__(self, *_) -> None:
        self.close()


class Engine:
    """A Python process that stands for an inference engine, so that it can be killed or frozen in the middle of its work.

    program: source text. `kvtier` and the modules of this folder can be imported; `sys.argv[1:]` has the arguments; what it prints is
    read by `wait_for_line`, and `tell` writes lines to its stdin.
    """

    def __init__(self, folder: "str | Path", program: str, *arguments, name: str = "engine"):
        path = os.pathsep.join(filter(None, [str(PYTHON_SOURCE), str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
        line = [sys.executable, "-u", "-X", "faulthandler", "-c", textwrap.dedent(program), *map(str, arguments)]
        self.child = Child(name, line, folder, {"PYTHONPATH": path}, stdin=subprocess.PIPE)

    @property
    def pid(self) -> int:
        return self.child.pid

    def tell(self, line: str) -> None:
        """Writes a line to its stdin."""
        self.child.process.stdin.write(line.encode() + b"\n")
        self.child.process.stdin.flush()

    def wait_for_line(self, accept, seconds: float = 60) -> str:
        """As `Child.wait_for_line`."""
        return self.child.wait_for_line(accept, seconds)

    def kill(self) -> int:
        return self.child.kill()

    def freeze(self) -> None:
        self.child.freeze()

    def thaw(self) -> None:
        self.child.thaw()

    def wait(self, seconds: float = 60) -> int:
        """Closes its stdin, waits for its end and returns the exit code."""
        self.child.process.stdin.close()
        return self.child.wait(seconds)

    def close(self) -> None:
        self.child.kill()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_) -> None:
        self.close()
