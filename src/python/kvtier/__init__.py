"""KvTier's client: blocks of a KV cache in a tier service, over TCP, a Unix socket or shared memory."""
from .client import Client, connect
from .errors import (
    Corrupt, DeadlineExceeded, ErrorCode, Fenced, InvalidArgument, KvTierError, LeaseExpired, Moved, NamespaceMismatch, ProtocolError,
    Refused, Unreachable, Unsupported,
)
from .ids import BlockId, block_groups, block_id
from .namespace import Namespace
from .profile import OPAQUE, Profile, fingerprint
from .recall.digest import Digest, Rotation
from .recall.namespace import RecallItems
from .recall.query import MissingTokens, RecallCost, RecallItem
from .recall.selector import Selector, selectors
from .recall.sequence import Sequence, SequenceInfo
from .results import Description, Hit, Miss, Prefix, PutOutcome, PutStatus, Tier

__version__ = "0.1.0"

__all__ = [
    "BlockId", "Client", "Corrupt", "DeadlineExceeded", "Description", "Digest", "ErrorCode", "Fenced", "Hit", "InvalidArgument",
    "KvTierError", "LeaseExpired", "Miss", "MissingTokens", "Moved", "Namespace", "NamespaceMismatch", "OPAQUE", "Prefix", "Profile",
    "ProtocolError", "PutOutcome", "PutStatus", "RecallCost", "RecallItem", "RecallItems", "Refused", "Rotation", "Selector",
    "Sequence", "SequenceInfo", "Tier", "Unreachable", "Unsupported", "__version__", "block_groups", "block_id", "connect",
    "fingerprint", "selectors",
]
