"""SIGTERM while answers are being written: each comes whole, no new connection is taken. serve_drain.py PORT MODEL PID"""
import http_client as h, json, os, signal, sys, threading
port, model, pid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def request(n): return json.dumps(dict(model=model, messages=[{"role": "user", "content": f"Tell story {n}"}], stream=n % 2 == 0, temperature=0, max_tokens=40)).encode()
sockets = [h.connect(port) for _ in range(6)]
idle = h.connect(port)
idle.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
assert idle.recv(1000).startswith(b"HTTP/1.1 200")
for i, s in enumerate(sockets):
    data = request(i)
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
files = [s.makefile("rb") for s in sockets]
assert files[0].peek(1)  # the first stream has begun
late = h.connect(port)   # accepted by the system, its request still to come
os.kill(pid, signal.SIGTERM)
late.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
assert h.read_answer(late.makefile("rb"))[0] == 200
for i, f in enumerate(files):
    status, fields, body, whole = h.read_answer(f)
    assert status == 200 and whole, (i, status, body)
    if i % 2 == 0: assert h.events(body)[-1] == "[DONE]"
    else: assert json.loads(body)["usage"]["completion_tokens"] > 0
assert idle.recv(10) == b""
try:
    h.connect(port, 2)
    raise SystemExit("a new connection was taken")
except OSError:
    pass
