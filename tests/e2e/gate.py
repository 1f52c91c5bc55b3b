"""A gate in front of a server's Unix socket, for tests: python3 gate.py SERVER_SOCKET LISTEN_SOCKET [RATE]

It passes everything on. After SIGUSR1 it is deaf: connections are accepted, and nobody answers; those that are there stand still, too.
SIGUSR2 opens it again. With RATE no more than so many bytes a second come from the server, on all connections together, until SIGHUP.
"""
import os
import signal
import socket
import sys
import threading
import time

rate = int(sys.argv[3]) if len(sys.argv) > 3 else 0
turn = threading.Lock()
hurry = threading.Event()
signal.signal(signal.SIGHUP, lambda *_: hurry.set())
is_open = threading.Event()
is_open.set()
signal.signal(signal.SIGUSR1, lambda *_: is_open.clear())
signal.signal(signal.SIGUSR2, lambda *_: is_open.set())


def pump(source, sink, slow=False):
    try:
        while data := source.recv(1 << 16):
            is_open.wait()
            if slow and not hurry.is_set():
                with turn:
                    time.sleep(len(data) / rate)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    is_open.wait()
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[1])
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client, rate > 0)


def main():
    listener = socket.socket(socket.AF_UNIX)
    if os.path.exists(sys.argv[2]):
        os.unlink(sys.argv[2])
    listener.bind(sys.argv[2])
    os.chmod(sys.argv[2], 0o777)
    listener.listen(64)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


threading.Thread(target=main, daemon=True).start()
while True:
    signal.pause()
