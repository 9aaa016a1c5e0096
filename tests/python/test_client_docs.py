"""The code of the how-to page runs, from top to bottom, in one module."""
import re

import pytest

from processes import REPOSITORY

pytest.importorskip("torch")


def test_code_of_the_page_runs(silo):
    page = (REPOSITORY / "docs" / "how-to" / "python-client.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 8
    source = "\n".join(blocks).replace("unix:/tmp/kvtier.sock", silo.unix)
    scope = {"__name__": "page"}
    exec(compile(source, "python-client.md", "exec"), scope)
    scope["client"].close()


@pytest.mark.usefixtures("patient")
def test_function_of_the_page_stores_a_prompt_in_a_cluster(cluster):
    page = (REPOSITORY / "docs" / "how-to" / "python-client.md").read_text(encoding="utf-8")
    source = next(block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "store_prompt" in block)
    scope = {}
    exec("import kvtier\n" + source.replace('ack="replica"', 'ack="memory"'), scope)
    assert scope["store_prompt"](cluster.endpoints, [(b"page/%d" % i, b"x") for i in range(70)]) == 70
