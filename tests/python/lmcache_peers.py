"""Stand-ins for LMCache's two RESP clients: they send the same commands in the same order, and judge the answers as strictly.

`ClassicPeer` is the Redis connector (`redis://` or `remote_url`): redis-py under asyncio with a pool of 150, two keys a chunk.
`RawPeer` is the `resp` L2 adapter of the multi-process mode: hand-written RESP2 over IPv4 that knows four commands and AUTH.
"""
import asyncio
import contextlib
import socket
import struct

CONNECTIONS_OF_CLASSIC = 150
CONNECTIONS_OF_RAW = 8


class ClassicPeer:
    """Chunks as `<key>kv_bytes` and `<key>metadata`, the metadata written last and read first."""

    def __init__(self, url):
        import redis.asyncio as redis

        self.pool = redis.ConnectionPool.from_url(url, max_connections=CONNECTIONS_OF_CLASSIC)
        self.redis = redis.Redis(connection_pool=self.pool)
        self.gate = asyncio.Semaphore(CONNECTIONS_OF_CLASSIC)

    async def exists(self, key):
        async with self.gate:
            return bool(await self.redis.exists(key + "metadata"))

    async def put(self, key, shape, data):
        metadata = struct.pack("7i", len(data), 1, 3, *shape)
        async with self.gate:
            await self.redis.set(key + "kv_bytes", data)
            await self.redis.set(key + "metadata", metadata)

    async def get(self, key):
        """Shape and bytes, or None. A chunk whose bytes are gone loses its metadata too."""
        async with self.gate:
            metadata = await self.redis.get(key + "metadata")
            if metadata is None:
                return None
            length, _, _, *shape = struct.unpack("7i", metadata)
            data = await self.redis.get(key + "kv_bytes")
        if data is None:
            async with self.gate:
                await self.redis.delete(key + "metadata")
            return None
        assert len(data) == length
        return tuple(shape), data

    async def contains(self, keys):
        """How many chunks are there from the first on; asks for one after the other."""
        for count, key in enumerate(keys):
            if not await self.exists(key):
                return count
        return len(keys)

    async def close(self):
        await self.redis.close()
        await self.pool.disconnect()


class RawPeer:
    """One connection that takes an answer only if each byte of it is as expected."""

    def __init__(self, host, port, user=None, password=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if password is not None:
            self.authenticate(user, password)

    def authenticate(self, user, password):
        self.send(b"AUTH", *([user.encode()] if user else []), password.encode())
        self.expect(b"+OK\r\n")

    def send(self, *parts):
        """Each argument in a write of its own: a value goes out from where it lies."""
        for index, part in enumerate(parts):
            head = b"*%d\r\n" % len(parts) if index == 0 else b""
            self.socket.sendall(head + b"$%d\r\n" % len(part))
            self.socket.sendall(part)
            self.socket.sendall(b"\r\n")

    def set(self, key, value):
        self.send(b"SET", key.encode(), value)
        self.expect(b"+OK\r\n")

    def get(self, key, length):
        """The value, which must be as long as a chunk is, or None."""
        self.send(b"GET", key.encode())
        head = self.line()
        if head == b"$-1\r\n":
            return None
        assert head == b"$%d\r\n" % length, head
        value = self.exactly(length)
        self.expect(b"\r\n")
        return value

    def exists(self, key):
        self.send(b"EXISTS", key.encode())
        return self.number()

    def delete(self, key):
        self.send(b"DEL", key.encode())
        return self.number()

    def number(self):
        answer = self.line()
        assert answer in (b":0\r\n", b":1\r\n"), answer
        return answer == b":1\r\n"

    def expect(self, answer):
        received = self.exactly(len(answer))
        assert received == answer, received

    def line(self):
        received = bytearray()
        while not received.endswith(b"\r\n"):
            received += self.exactly(1)
        return bytes(received)

    def exactly(self, length):
        received = bytearray(length)
        view = memoryview(received)
        while view:
            count = self.socket.recv_into(view)
            assert count, "the silo closed the connection"
            view = view[count:]
        return bytes(received)

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def raw_peers(host, port, count=CONNECTIONS_OF_RAW, **credentials):
    """So many connections at once, closed at the end."""
    with contextlib.ExitStack() as stack:
        peers = []
        for _ in range(count):
            peers.append(RawPeer(host, port, **credentials))
            stack.callback(peers[-1].close)
        yield peers


def chunk_key(index, model="meta-llama/Llama-3.1-8B", rank=0, world=2):
    """A key as LMCache's CacheEngineKey.to_string() makes it."""
    return f"{model}@{world}@{rank}@{0x9E3779B97F4A7C15 * (index + 1) % 2**63:x}@bfloat16"


def object_key(index, model="meta-llama/Llama-3.1-8B", world=2, rank=0, group=0):
    """A key as the L2 adapter of the multi-process mode makes it."""
    kv_rank = world << 24 | rank << 16 | world << 8 | rank
    return f"{model}@{kv_rank:08x}@{group:x}@{0x9E3779B97F4A7C15 * (index + 1) % 2**63:016x}"
