"""Numbers of the requests."""
HELLO, PING = 1, 2
NAMESPACE_OPEN, NAMESPACE_LIST = 10, 11
PUT, GET, PREFIX, DELETE, PIN, UNPIN, TOUCH, PREFETCH, DESCRIBE, STAT = range(20, 30)
LOCAL_ATTACH, LOCAL_GET, LOCAL_RELEASE, LOCAL_RESERVE, LOCAL_COMMIT, LOCAL_ABORT = range(30, 36)
SEQUENCE_OPEN, SEQUENCE_APPEND, SEQUENCE_FORK, SEQUENCE_CLOSE, SEQUENCE_DESCRIBE, SEQUENCE_LIST = range(40, 46)
RECALL, LOCAL_RECALL, CLUSTER_MAP, CLUSTER_STATUS = 46, 47, 48, 49

NAMES = {number: name.lower() for name, number in list(globals().items()) if name.isupper() and isinstance(number, int)}


def name_of(opcode: int) -> str:
    """Name of an opcode, for errors."""
    return NAMES.get(opcode, f"opcode_{opcode}")
