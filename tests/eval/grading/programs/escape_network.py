"""Programs that reach for the network, for sockets of other processes, and for shared memory.

f(x) returns x twice only if the escape worked: to pass is to have escaped. The test puts the port
of a TCP listener of 127.0.0.1 in place of @PORT@, and the path of a listening Unix socket in place
of @SOCKET@; a second one listens at the abstract name that is a zero byte and the same path.
"""

from escapes import program

_ESCAPES: dict[str, str] = {
    "connects by TCP": """
return socket.create_connection(("127.0.0.1", @PORT@), timeout=1)
""",
    "connects by TCP over IPv6": """
peer = socket.socket(socket.AF_INET6)
peer.settimeout(1)
peer.connect(("::ffff:127.0.0.1", @PORT@))
return True
""",
    "connects by TCP, without waiting": """
peer = socket.socket()
peer.setblocking(False)
return peer.connect_ex(("127.0.0.1", @PORT@)) in (0, errno.EINPROGRESS)
""",
    "connects by raw calls": """
peer = call(41, 198, 2, 1, 0)
address = struct.pack("=H", 2) + struct.pack(">H", @PORT@) + bytes([127, 0, 0, 1]) + bytes(8)
return call(42, 203, peer, address, len(address)) + 1
""",
    "connects by TCP's fast open": """
peer = socket.socket()
return peer.sendto(b"x", 0x20000000, ("127.0.0.1", @PORT@))
""",
    "connects by asyncio": """
import asyncio

async def connect():
    await asyncio.wait_for(asyncio.open_connection("127.0.0.1", @PORT@), 1)
    return True

return asyncio.run(connect())
""",
    "asks by HTTP": """
import http.client, urllib.request
try:
    return urllib.request.urlopen("http://127.0.0.1:@PORT@/", timeout=1)
except http.client.HTTPException:
    return True
except OSError as error:
    return isinstance(error, TimeoutError) or "timed out" in str(error)
""",
    "makes a socket through the builtin module": """
import _socket
peer = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
peer.settimeout(1)
peer.connect(("127.0.0.1", @PORT@))
return True
""",
    "sends by UDP": """
return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", @PORT@))
""",
    "sends by UDP by raw calls": """
peer = call(41, 198, 2, 2, 0)
address = struct.pack("=H", 2) + struct.pack(">H", @PORT@) + bytes([127, 0, 0, 1]) + bytes(8)
return call(44, 206, peer, b"x", 1, 0, address, len(address))
""",
    "sends to all by UDP": """
peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
return peer.sendto(b"x", ("127.255.255.255", @PORT@))
""",
    "connects to a Unix socket": """
socket.socket(socket.AF_UNIX).connect("@SOCKET@")
return True
""",
    "connects to a Unix socket through a link": """
posix.symlink("@SOCKET@", "link")
socket.socket(socket.AF_UNIX).connect("link")
return True
""",
    "connects to an abstract Unix socket": """
socket.socket(socket.AF_UNIX).connect("\\0@SOCKET@")
return True
""",
    "connects to a Unix socket by raw calls": """
peer = call(41, 198, 1, 1, 0)
address = struct.pack("=H", 1) + b"@SOCKET@" + b"\\0"
return call(42, 203, peer, address, len(address)) + 1
""",
    # A wrong type of socket at the other end: the address was reached all the same.
    "sends to an address over a pair of sockets": """
left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for address in ("@SOCKET@", "\\0@SOCKET@"):
    for send in (lambda: left.sendto(b"x", address), lambda: left.sendmsg([b"x"], [], 0, address)):
        try:
            return send()
        except OSError as error:
            if error.errno in (errno.EPROTOTYPE, errno.ECONNREFUSED):
                return True
""",
    "connects one of a pair of sockets elsewhere": """
left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
for address in ("@SOCKET@", "\\0@SOCKET@"):
    try:
        left.connect(address)
        return True
    except OSError as error:
        if error.errno in (errno.EPROTOTYPE, errno.ECONNREFUSED):
            return True
""",
    "uses inherited sockets to reach others": """
for descriptor in range(256):
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            continue
        peer = socket.socket(fileno=os.dup(descriptor))
        peer.setblocking(False)
        peer.connect(("127.0.0.1", @PORT@) if peer.family == socket.AF_INET else "@SOCKET@")
        return True
    except OSError as error:
        if error.errno in (errno.EPROTOTYPE, errno.ECONNREFUSED, errno.EISCONN):
            return True
""",
    "makes a raw socket": """
return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
""",
    "makes a socket for packets": """
return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
""",
    "asks the kernel for its network": """
peer = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
peer.bind((0, 0))
return peer.send(struct.pack("=LHHLLBxxx", 20, 18, 0x301, 1, 0, 0))
""",
    "makes a socket of any family": """
for family in range(1, 50):
    for kind in (1, 2, 3, 5):
        try:
            return call(41, 198, family, kind, 0) + 1
        except OSError:
            pass
""",
    "listens by TCP": """
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
return True
""",
    "listens by TCP for everybody": """
return socket.create_server(("", 0))
""",
    "listens at a Unix socket": """
server = socket.socket(socket.AF_UNIX)
server.bind("listening")
server.listen()
return True
""",
    "listens at an abstract Unix socket": """
server = socket.socket(socket.AF_UNIX)
server.bind("\\0bytelm-escape-%d" % os.getpid())
server.listen()
return True
""",
    "gives one of a pair of sockets an address": """
left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
left.bind("\\0bytelm-pair-%d" % os.getpid())
return True
""",
    "sees other networks than its own": """
return [name for _, name in socket.if_nameindex() if name != "lo"]
""",
    "sees other networks through a pair of sockets": """
import fcntl
left, right = socket.socketpair()
for number in range(1, 20):
    try:
        answer = fcntl.ioctl(left, 0x8910, struct.pack("16si20x", b"", number))
        if answer[:16].rstrip(b"\\0") not in (b"lo", b""):
            return True
    except OSError:
        pass
""",
    "turns on the network through a pair of sockets": """
import fcntl
left, right = socket.socketpair()
flags = fcntl.ioctl(left, 0x8913, struct.pack("16sh22x", b"lo", 0))
fcntl.ioctl(left, 0x8914, struct.pack("16sh22x", b"lo", struct.unpack("16xh22x", flags)[0] | 1))
return True
""",
    "sees other networks in files": """
return set(os.listdir("/sys/class/net")) - {"lo"}
""",
    "leaves shared memory of System V": """
return call(29, 194, 0x62797465, 4096, 0o1666) + 1
""",
    "leaves semaphores of System V": """
return call(64, 190, 0x62797465, 1, 0o1666) + 1
""",
    "leaves a message queue of System V": """
return call(68, 186, 0x62797465, 0o1666) + 1
""",
    "leaves a message queue of POSIX": """
return call(240, 180, b"bytelm-escape", os.O_CREAT | os.O_RDWR, 0o666, None) + 1
""",
    "leaves shared memory of POSIX": """
import _posixshmem
_posixshmem.shm_open("/bytelm-escape", os.O_CREAT | os.O_RDWR, 0o666)
return True
""",
}

PROGRAMS: dict[str, str] = {name: program(escape) for name, escape in _ESCAPES.items()}
