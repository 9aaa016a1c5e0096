"""KvTier's client: blocks of a KV cache in a tier service, over TCP, a Unix socket or shared memory."""
from .client import Client, connect
from .errors import (
    Corrupt, DeadlineExceeded, ErrorCode, Fenced, InvalidArgument, KvTierError, LeaseExpired, Moved, NamespaceMismatch, ProtocolError,
    Refused, Unreachable, Unsupported,
)
from .ids import BlockId, block_groups, block_id
from .namespace import Namespace
from .profile import OPAQUE, Profile, fingerprint
from .results import Description, Hit, Miss, Prefix, PutOutcome, PutStatus, Tier

__version__ = "0.1.0"

__all__ = [
    "BlockId", "Client", "Corrupt", "DeadlineExceeded", "Description", "ErrorCode", "Fenced", "Hit", "InvalidArgument", "KvTierError",
    "LeaseExpired", "Miss", "Moved", "Namespace", "NamespaceMismatch", "OPAQUE", "Prefix", "Profile", "ProtocolError", "PutOutcome",
    "PutStatus", "Refused", "Tier", "Unreachable", "Unsupported", "__version__", "block_groups", "block_id", "connect", "fingerprint",
]
