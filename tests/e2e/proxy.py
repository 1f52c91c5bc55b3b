#!/usr/bin/env python3
"""A proxy for PostgreSQL's protocol, for tests: what stands between a mount and its server.

  proxy.py SOCKET CONTROL     listens on the Unix socket SOCKET until it is ended

CONTROL is a file of words, read for each connection and each COPY:

  to=PATH     the server's Unix socket; several are taken in turn, connection by connection
  dump=PATH   the server's for those whose application_name is pg_dump's of a mount; else as the others
  copy=drop   of each COPY to the client one row is left out
  copy=double of each COPY to the client one row is sent twice
  cut         ends the connections that there are (once: the word is taken out of the file)
"""
import os
import socket
import struct
import sys
import threading
import time

listen_path, control_path = sys.argv[1:]
turn = 0
pairs = set()
lock = threading.Lock()


def words():
    with open(control_path) as file:
        return file.read().split()


def values(name):
    return [word[len(name) + 1:] for word in words() if word.startswith(name + "=")]


def receive(sock, size):
    parts = []
    while size > 0:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def close(pair):
    with lock:
        pairs.discard(pair)
    for sock in pair:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def to_server(pair):
    client, server = pair
    try:
        while data := client.recv(1 << 20):
            server.sendall(data)
    except OSError:
        pass
    close(pair)


def to_client(pair):
    client, server = pair
    rows, lie = 0, ""
    try:
        while True:
            head = receive(server, 5)
            body = receive(server, struct.unpack("!I", head[1:])[0] - 4)
            kind = head[:1]
            if kind == b"H":
                rows, lie = 0, "".join(values("copy"))
            times = 1
            if kind == b"d" and body != b"\xff\xff":
                rows += 1
                # The first one has the header in front of it.
                if rows == 3:
                    times = {"drop": 0, "double": 2}.get(lie, 1)
            client.sendall((head + body) * times)
    except (OSError, EOFError):
        pass
    close(pair)


def serve(client):
    global turn
    servers = values("to")
    server = socket.socket(socket.AF_UNIX)
    try:
        size = receive(client, 4)
        first = size + receive(client, struct.unpack("!I", size)[0] - 4)
        if b"application_name\0pgvecfs pg_dump" in first:
            servers = values("dump") or servers
        with lock:
            turn += 1
            path = servers[turn % len(servers)]
        server.connect(path)
        server.sendall(first)
    except (OSError, EOFError):
        client.close()
        return
    pair = (client, server)
    with lock:
        pairs.add(pair)
    threading.Thread(target=to_server, args=(pair,), daemon=True).start()
    to_client(pair)
    client.close()
    server.close()


def watch():
    while True:
        now = words()
        if "cut" in now:
            with lock:
                old = list(pairs)
            for pair in old:
                close(pair)
            with open(control_path + ".new", "w") as file:
                file.write(" ".join(word for word in now if word != "cut"))
            os.replace(control_path + ".new", control_path)
        time.sleep(0.05)


listener = socket.socket(socket.AF_UNIX)
listener.bind(listen_path)
listener.listen(128)
threading.Thread(target=watch, daemon=True).start()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
