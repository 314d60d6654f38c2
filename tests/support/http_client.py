"""A client that sends bytes as they are and reads answers strictly, for tests of the server: `import http_client`.

send(port, bytes) -> list of (status, headers, body) until the server closes or is silent; stream() for answers in pieces."""
import json, socket


def connect(port, timeout=20):
    s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    return s


def read_answer(f):
    """One answer of a file made from a socket; None at its end. (status, headers, body, whole)"""
    line = f.readline()
    if not line: return None
    assert line.startswith(b"HTTP/1.1 ") and line.endswith(b"\r\n"), line
    status, headers = int(line.split()[1]), {}
    while (line := f.readline()) not in (b"\r\n", b""):
        assert line.endswith(b"\r\n"), line
        name, value = line[:-2].split(b": ", 1)
        assert name.lower() not in headers, name
        headers[name.lower().decode()] = value.decode()
    if status == 100: return read_answer(f)
    if "content-length" in headers:
        n = int(headers["content-length"])
        body = f.read(n)
        return status, headers, body, len(body) == n
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while True:
            line = f.readline()
            if not line: return status, headers, body, False
            n = int(line, 16)
            body += f.read(n)
            assert f.read(2) == b"\r\n"
            if n == 0: return status, headers, body, True
    return status, headers, f.read(), True


def send(port, data, timeout=20):
    """All answers to these bytes, until the connection ends."""
    s = connect(port, timeout)
    try:
        s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    answers, f = [], s.makefile("rb")
    try:
        while (a := read_answer(f)) is not None: answers.append(a)
    except ConnectionResetError:
        pass
    s.close()
    return answers


def call(port, method, path, body=None, headers=None, timeout=60):
    """One request, one answer: (status, headers, value or bytes)."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"}
    head.update(headers or {})
    text = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in head.items()) + "\r\n"
    status, fields, got, whole = send(port, text.encode() + data, timeout)[0]
    assert whole
    return status, fields, json.loads(got) if fields.get("content-type") == "application/json" else got


def events(body):
    """The data of server-sent events."""
    return [line[6:] for line in body.decode().split("\n\n") if line.startswith("data: ")]
