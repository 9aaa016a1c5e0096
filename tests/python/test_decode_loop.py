"""The sample with the decode loop: its model, and the whole of it against a silo."""
import os
import subprocess
import sys

import numpy as np
import pytest

from silos import PYTHON_SOURCE, REPOSITORY, kvtier_executable

sys.path.insert(0, str(REPOSITORY / "samples"))
import induction_model as im  # noqa: E402

ANSWER = "UNCOPYRIGHTABLE"


def run_sample(*arguments, seconds=280):
    line = [sys.executable, str(REPOSITORY / "samples" / "decode_loop.py"), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_SOURCE)}
    return subprocess.run(line, capture_output=True, text=True, timeout=seconds, env=environment)


@pytest.fixture(scope="module")
def model():
    return im.InductionModel()


def test_model_goes_on_as_it_went_on_before(model):
    filler = np.random.default_rng(3).integers(20, 60, 300).tolist()
    text = filler[:100] + [1, 2, 3, 4, 5] + filler[100:] + [1]
    said = []
    for _ in range(4):
        said.append(model.prefill(text + said)[1])
    assert said == [2, 3, 4, 5]


def test_attention_over_parts_merges_to_that_over_all(model):
    random = np.random.default_rng(5)
    queries = random.normal(size=(im.QUERY_HEADS, im.HEAD_DIM)).astype(np.float32)
    keys, values = random.normal(size=(2, im.KV_HEADS, 90, im.HEAD_DIM)).astype(np.float32)
    cuts = [(0, 7), (7, 64), (64, 64), (64, 90)]
    parts = [im.attend(queries, keys[:, a:b], values[:, a:b]) for a, b in cuts]
    assert np.isneginf(parts[2][1]).all()
    assert np.allclose(im.merge(parts), im.attend(queries, keys, values)[0], atol=1e-5)


def test_rotated_keys_fit_by_distance_alone():
    row = np.random.default_rng(6).normal(size=(1, im.HEAD_DIM)).astype(np.float32)
    near = [im.rotate(row, [at]) @ im.rotate(row, [at + 3]).T for at in (0, 50, 999)]
    assert np.allclose(near, near[0], rtol=1e-3)


@pytest.mark.deadline(300)
def test_sample_holds_with_a_silo_of_its_own():
    done = run_sample("--executable", kvtier_executable(), "--tokens", 768)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(ANSWER) == 5 and done.stdout.count("yes ") == 4 and "NO " not in done.stdout


@pytest.mark.deadline(600)
def test_sample_finds_its_blocks_again_and_says_when_a_budget_is_too_small(ssd_silo):
    first = run_sample("--endpoint", ssd_silo.unix, "--tokens", 768, "--seed", 5)
    assert first.returncode == 0 and "0 of 47 blocks were stored" in first.stdout, first.stdout + first.stderr
    # 7 tokens are less than the chunks that are always in.
    again = run_sample("--endpoint", ssd_silo.tcp, "--tokens", 768, "--seed", 5, "--budget", 0.01)
    assert "47 of 47 blocks were stored" in again.stdout, again.stdout + again.stderr
    assert again.returncode == 1 and "NO  gather and attend found it with 1% of the tokens" in again.stdout


@pytest.mark.deadline(300)
def test_sample_runs_in_a_cluster(cluster):
    done = run_sample("--endpoint", ",".join(cluster.endpoints), "--tokens", 512, "--seed", 2, "--budget", 0.3)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.deadline(300)
def test_sample_says_that_the_silo_can_not_be_reached(folder):
    done = run_sample("--endpoint", f"unix:{folder}/none.sock")
    assert done.returncode == 2 and "none.sock" in done.stderr and "Traceback" not in done.stderr
