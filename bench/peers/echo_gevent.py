"""TCP echo, a greenlet per connection."""
import sys
from socket import IPPROTO_TCP, TCP_NODELAY

from gevent.server import StreamServer


def echo(conn, _address):
    conn.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    try:
        while data := conn.recv(4096):
            conn.sendall(data)
    except ConnectionError:
        pass


port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
server = StreamServer(("127.0.0.1", port), echo, backlog=4096)
server.start()
print("listening", server.server_port, flush=True)
server.serve_forever()
