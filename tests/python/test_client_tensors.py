"""torch tensors as values and as targets."""
import numpy as np
import pytest

import kvtier
from clients import connect
from kvtier.tensors import check_tensor, tensor_bytes, to_tensor

torch = pytest.importorskip("torch")


@pytest.fixture(params=["never", "require"])
def ns(request, silo):
    with connect(silo.unix, local=request.param) as client:
        yield client.namespace(tenant="tensors")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int8])
def test_tensor_goes_in_and_comes_out(ns, dtype):
    value = torch.randn(64, 512).to(dtype)
    ns.put(b"in", value, overwrite=True)
    target = torch.zeros_like(value)
    hit = ns.get(b"in", target)
    assert torch.equal(target, value)
    assert torch.equal(hit.tensor(dtype, (64, 512)), value)


def test_leased_tensor_is_the_block_itself(silo):
    with connect(silo.unix, local="require") as client:
        ns = client.namespace(tenant="tensors")
        value = torch.arange(8192).to(torch.bfloat16)
        ns.put(b"leased", value)
        seen = ns.lease([b"leased"])[0].tensor("bf16")
        assert torch.equal(seen, value)


def test_views_share_memory():
    value = torch.zeros(4, 4, dtype=torch.bfloat16)
    tensor_bytes(value)[0] = 0x80
    assert value[0, 0] != 0
    array = np.zeros((2, 3), np.uint16)
    to_tensor(array, "bf16")[1, 2] = 1.0
    assert array[1, 2] == 0x3F80


@pytest.mark.parametrize("make, says", [
    (lambda: torch.zeros(4, 4)[:, ::2], "stride"),
    (lambda: torch.zeros(4, 4, device="meta"), "device is meta; allowed: cpu"),
    (lambda: torch.zeros(4, 4).to_sparse(), "layout"),
])
def test_tensor_that_has_no_bytes_in_one_piece_is_refused(make, says):
    with pytest.raises(kvtier.InvalidArgument, match=says):
        tensor_bytes(make())


def test_wrong_dtype_and_shape_are_named():
    with pytest.raises(kvtier.InvalidArgument, match="float32; allowed: torch.bfloat16"):
        check_tensor(torch.zeros(2), "bf16")
    with pytest.raises(kvtier.InvalidArgument, match="shape"):
        check_tensor(torch.zeros(2), "fp32", (3,))
    with pytest.raises(kvtier.InvalidArgument, match="3 bytes"):
        to_tensor(bytes(3), "fp32")
    with pytest.raises(kvtier.InvalidArgument, match="dtype"):
        to_tensor(bytes(4), "fp99")
