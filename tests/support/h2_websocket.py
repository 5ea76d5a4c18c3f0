"""A WebSocket over HTTP/2 (RFC 8441) by python3-h2: sends a text to the server on a port of the loopback, and prints the
setting that the server has announced, the status of its answer, and all bytes that came after it."""
import socket
import sys

import h2.config
import h2.connection
import h2.events

ENABLE_CONNECT_PROTOCOL = 8

HEAD = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a.example"),
        (":path", "/"), ("sec-websocket-version", "13")]


def frame(opcode, payload):
    key = b"\x01\x02\x03\x04"
    masked = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + key + masked


conn = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
conn.settimeout(30)
client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_outbound_headers=False))
client.initiate_connection()
conn.sendall(client.data_to_send())
stream, setting, status, got, is_over = None, None, None, b"", False
while not is_over:
    data = conn.recv(65536)
    if not data:
        break
    for event in client.receive_data(data):
        if isinstance(event, h2.events.RemoteSettingsChanged) and stream is None:
            setting = event.changed_settings[ENABLE_CONNECT_PROTOCOL].new_value
            stream = client.get_next_available_stream_id()
            client.send_headers(stream, HEAD)
        elif isinstance(event, h2.events.ResponseReceived):
            status = dict(event.headers)[b":status"]
            client.send_data(stream, frame(1, b"hello"))
        elif isinstance(event, h2.events.DataReceived):
            got += event.data
            if got == b"\x81\x05hello":
                client.send_data(stream, frame(8, b"\x03\xe8"))
        elif isinstance(event, h2.events.StreamEnded):
            client.end_stream(stream)
            is_over = True
    conn.sendall(client.data_to_send())
print(setting, status.decode(), got.hex())
