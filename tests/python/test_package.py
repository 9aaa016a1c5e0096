"""The package as a user gets it: installed by pip into an environment of its own, without the repository on its path."""
import os
import shutil
import subprocess
import sys

import pytest

from silos import PYTHON_SOURCE

USE = """
import importlib.metadata, sys
import kvtier, kvtier_lmcache, kvtier_sglang, kvtier_vllm
assert kvtier.__file__.startswith(sys.argv[2]), kvtier.__file__
assert importlib.metadata.version("kvtier") == kvtier.__version__
with kvtier.connect(sys.argv[1], timeout_ms=20_000) as client:
    space = client.namespace()
    space.put(b"installed", b"yes")
    print(bytes(space.get(b"installed").data).decode())
"""


def run(*line, seconds, **environment):
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in line], capture_output=True, text=True, timeout=seconds, env={**clean, **environment}, cwd="/")


def registry_answers(pip, folder):
    """True when pip gets a small package within half a minute."""
    shutil.rmtree(folder / "probe", ignore_errors=True)
    try:
        probe = run(pip, "download", "--quiet", "--no-deps", "--retries", 0, "--timeout", 5, "--dest", folder / "probe", "msgpack",
                    seconds=30)
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0


@pytest.mark.deadline(820)
def test_types_of_the_client_hold(folder):
    line = ["mypy", "--config-file", PYTHON_SOURCE / "pyproject.toml", "--python-executable", sys.executable,
            "--cache-dir", folder / "mypy", "-p", "kvtier"]
    done = subprocess.run([str(word) for word in line], cwd=PYTHON_SOURCE, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr


def install(place, source, *options):
    """None when pip has installed the package, else what it said."""
    try:
        done = run(place / "bin/pip", "install", "--quiet", *options, source, seconds=240)
    except subprocess.TimeoutExpired as late:
        return f"{late}\n{late.stderr}"
    return None if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.deadline(900)
def test_package_is_installed_by_pip_and_used(silo, folder, request):
    # pip builds beside the sources: not in the repository.
    source = folder / "source"
    shutil.copytree(PYTHON_SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    place = folder / "venv"
    assert run(sys.executable, "-m", "venv", place, seconds=120).returncode == 0
    answers = registry_answers(place / "bin/pip", folder)
    if answers and (failed := install(place, source)) is not None:
        # A registry that has gone away meanwhile is none; while it answers, the package is at fault.
        answers = registry_answers(place / "bin/pip", folder)
        assert not answers, failed
    if answers:
        how = "installed by pip into a clean environment, its dependencies from the registry"
    else:
        # Dependencies and what builds it are the system's, by this environment's path.
        assert run(sys.executable, "-m", "venv", "--system-site-packages", "--clear", place, seconds=120).returncode == 0
        how = "no registry answers: installed by pip without dependencies into an environment that sees the system's"
        failed = install(place, source, "--no-index", "--no-deps", "--no-build-isolation")
        assert failed is None, failed
    used = run(place / "bin/python", "-c", USE, silo.unix, place, seconds=120)
    assert used.stdout.strip() == "yes", used.stdout + used.stderr
    request.config.package_line = f"package: {how}; all other tests by PYTHONPATH"
