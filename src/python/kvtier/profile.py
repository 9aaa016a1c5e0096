"""Profiles: the shape of a model's cache, which is part of a namespace's identity."""
from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

from .errors import InvalidArgument

KINDS = {"opaque": 0, "gqa": 1, "mla": 2}
DTYPES = {"raw": 0, "fp32": 1, "fp16": 2, "bf16": 3, "fp8_e4m3": 4, "fp8_e5m2": 5, "int8": 6}
_DTYPE_BYTES = {"raw": 1, "fp32": 4, "fp16": 2, "bf16": 2, "fp8_e4m3": 1, "fp8_e5m2": 1, "int8": 1}
_NAME = re.compile(r"[a-z0-9._-]{1,128}\Z")
_NAME_RULE = "1 to 128 characters of [a-z0-9._-]"


def dtype_bytes(dtype: str) -> int:
    """Bytes of one element of a dtype such as ``bf16``."""
    if dtype not in _DTYPE_BYTES:
        raise InvalidArgument("profile.dtype", dtype, ", ".join(_DTYPE_BYTES))
    return _DTYPE_BYTES[dtype]


def _number(value: float) -> str:
    """The shortest text that reads back as the number, as .NET writes it."""
    text = repr(float(value))
    mantissa, _, exponent = text.partition("e")
    if exponent:
        if mantissa.endswith(".0"):
            mantissa = mantissa[:-2]
        return f"{mantissa}E{exponent}"
    if text.endswith(".0"):
        text = text[:-2]
    digits = text.lstrip("-")
    if "." not in digits and len(digits) > 15:
        kept = digits.rstrip("0")
        rest = f".{kept[1:]}" if len(kept) > 1 else ""
        return f"{'-' if value < 0 else ''}{kept[0]}{rest}E+{len(digits) - 1:02d}"
    return text


@dataclass(frozen=True)
class Profile:
    """The shape of one model's KV cache; it fixes the length of a block.

    A block is ``[layer][K,V][kv head][token][dim]`` for ``gqa``, ``[layer][token][latent]`` for ``mla`` (``kv_heads`` is 1 and
    ``head_dim`` the latent width), and any bytes of any length for ``opaque``.
    """

    name: str = "opaque"
    layers: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    dtype: str = "bf16"
    block_tokens: int = 16
    kind: str = "gqa"
    rope_theta: float = 0.0
    rope_scaling: float = 1.0
    pre_rotation: bool = False

    @staticmethod
    def opaque(name: str = "opaque") -> Profile:
        """A profile that fixes nothing."""
        return Profile(name, 0, 0, 0, "raw", 0, "opaque", 0.0, 0.0, False)

    @property
    def bytes_per_token(self) -> int:
        """Bytes that one token takes in all layers; 0 for opaque."""
        if self.kind == "gqa":
            return 2 * self.layers * self.kv_heads * self.head_dim * dtype_bytes(self.dtype)
        return self.layers * self.head_dim * dtype_bytes(self.dtype) if self.kind == "mla" else 0

    @property
    def block_bytes(self) -> int:
        """Bytes of every block; 0 for opaque, where each block has its own length."""
        return self.bytes_per_token * self.block_tokens

    @property
    def page_bytes(self) -> int:
        """Bytes of one layer of a block; 0 for opaque."""
        return self.block_bytes // self.layers if self.layers else 0

    def validate(self) -> None:
        """Raises InvalidArgument for the first field that can't be."""
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise InvalidArgument("profile.name", self.name, _NAME_RULE)
        if self.kind not in KINDS:
            raise InvalidArgument("profile.kind", self.kind, "opaque, gqa or mla")
        if self.kind == "opaque":
            if self != Profile.opaque(self.name):
                raise InvalidArgument("profile.kind", "opaque", "no layers, heads, dim, block tokens, dtype (raw) or rope: all 0")
            return
        if self.dtype not in DTYPES or self.dtype == "raw":
            raise InvalidArgument("profile.dtype", self.dtype, ", ".join(name for name in DTYPES if name != "raw"))
        _in_range("profile.layers", self.layers, 1024)
        _in_range("profile.kv_heads", self.kv_heads, 1 if self.kind == "mla" else 1024)
        _in_range("profile.head_dim", self.head_dim, 8192)
        _in_range("profile.block_tokens", self.block_tokens, 65536)
        if not math.isfinite(self.rope_theta) or self.rope_theta < 0:
            raise InvalidArgument("profile.rope_theta", self.rope_theta, "0 or more, finite")
        if not math.isfinite(self.rope_scaling) or self.rope_scaling <= 0:
            raise InvalidArgument("profile.rope_scaling", self.rope_scaling, "above 0, finite")

    def to_wire(self) -> list[object]:
        """The profile as the protocol has it."""
        return [
            self.name, KINDS[self.kind], self.layers, self.kv_heads, self.head_dim, self.dtype, self.block_tokens,
            float(self.rope_theta), float(self.rope_scaling), bool(self.pre_rotation),
        ]

    @staticmethod
    def from_wire(fields: list[object]) -> Profile:
        """Reads what :meth:`to_wire` wrote."""
        name, kind, layers, heads, dim, dtype, tokens, theta, scaling, pre = fields[:10]
        kinds = {number: text for text, number in KINDS.items()}
        return Profile(name, layers, heads, dim, dtype, tokens, kinds[kind], theta, scaling, pre)  # type: ignore[arg-type,index]


OPAQUE = Profile.opaque()


def check_tenant(tenant: str) -> None:
    """Raises InvalidArgument when it can't be a tenant."""
    if not isinstance(tenant, str) or not _NAME.match(tenant):
        raise InvalidArgument("tenant", tenant, _NAME_RULE)


def canonical_text(tenant: str, profile: Profile) -> str:
    """The text whose SHA-256 is the namespace's fingerprint."""
    fields = (
        ("tenant", tenant), ("profile", profile.name), ("kind", profile.kind), ("layers", str(profile.layers)),
        ("kvHeads", str(profile.kv_heads)), ("headDim", str(profile.head_dim)), ("dtype", profile.dtype),
        ("blockTokens", str(profile.block_tokens)), ("ropeTheta", _number(profile.rope_theta)),
        ("ropeScaling", _number(profile.rope_scaling)), ("preRotation", "1" if profile.pre_rotation else "0"),
    )
    return "kvtier-namespace-1\n" + "".join(f"{name}={value}\n" for name, value in fields)


def fingerprint(tenant: str, profile: Profile) -> bytes:
    """The namespace's id: the first 16 bytes of SHA-256 of its canonical text."""
    return hashlib.sha256(canonical_text(tenant, profile).encode()).digest()[:16]


def _in_range(field: str, value: int, most: int) -> None:
    if not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidArgument(field, value, "1" if most == 1 else f"1 to {most}")
