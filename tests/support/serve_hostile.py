"""Requests as bytes that must be refused, each with its status; afterwards the server still answers. serve_hostile.py PORT"""
import http_client as h, socket, sys, time
port = int(sys.argv[1])
body = b'{"prompt": "hello"}'
def post(*fields, body=body, line=b"POST /tokenize HTTP/1.1", host=b"Host: localhost"):
    return b"\r\n".join([line] + ([host] if host else []) + [b"Content-Type: application/json"] + [f.replace(b"BODY", b"%d" % len(body)) for f in fields]) + b"\r\n\r\n" + body
n = b"Content-Length: %d" % len(body)
cases = {
    "fine": (post(n), 200),
    "fine, chunked": (post(b"Transfer-Encoding: chunked", body=b"5\r\n" + body[:5] + b"\r\n%x\r\n" % (len(body) - 5) + body[5:] + b"\r\n0\r\n\r\n"), 200),
    "fine, absolute address": (post(n, line=b"POST http://localhost/tokenize HTTP/1.1"), 200),
    "repeated Content-Length": (post(n, n), 400),
    "two Content-Lengths": (post(n, b"Content-Length: 3"), 400),
    "Content-Length as a list": (post(b"Content-Length: 19, 19"), 400),
    "signed Content-Length": (post(b"Content-Length: +19"), 400),
    "negative Content-Length": (post(b"Content-Length: -1"), 400),
    "hexadecimal Content-Length": (post(b"Content-Length: 0x13"), 400),
    "empty Content-Length": (post(b"Content-Length:"), 400),
    "huge Content-Length": (post(b"Content-Length: 99999999999999999999"), 413),
    "Content-Length past the limit": (post(b"Content-Length: 999999999"), 413),
    "both framings": (post(n, b"Transfer-Encoding: chunked"), 400),
    "unknown coding": (post(b"Transfer-Encoding: gzip"), 501),
    "hidden coding": (post(b"Transfer-Encoding: xchunked"), 501),
    "list of codings": (post(b"Transfer-Encoding: gzip, chunked"), 501),
    "repeated Transfer-Encoding": (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    "coding in HTTP/1.0": (post(b"Transfer-Encoding: chunked", line=b"POST /tokenize HTTP/1.0"), 400),
    "blank before the colon": (post(b"Content-Length : 19"), 400),
    "folded field": (post(n, b"X: a\r\n b"), 400),
    "NUL in a value": (post(n, b"X: a\0b"), 400),
    "control character": (post(n, b"X: a\x01b"), 400),
    "carriage return inside": (post(n, b"X: a\rContent-Length: 3"), 400),
    "line feeds alone": (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400),
    "no Host": (post(n, host=None), 400),
    "two Hosts": (post(n, b"Host: localhost"), 400),
    "odd Host": (post(n, host=b"Host: a b"), 400),
    "another's name": (post(n, host=b"Host: evil.example"), 421),
    "no name of a field": (post(n, b": x"), 400),
    "unknown method": (post(n, line=b"BREW /tokenize HTTP/1.1"), 501),
    "unknown version": (post(n, line=b"POST /tokenize HTTP/2.0"), 505),
    "no version": (post(n, line=b"POST /tokenize"), 400),
    "two blanks": (post(n, line=b"POST  /tokenize HTTP/1.1"), 400),
    "dot segments": (post(n, line=b"POST /v1/../tokenize HTTP/1.1"), 400),
    "encoded dot segments": (post(n, line=b"POST /v1/%2e%2e/tokenize HTTP/1.1"), 400),
    "encoded slash": (post(n, line=b"POST /v1%2fmodels HTTP/1.1"), 400),
    "encoded NUL": (post(n, line=b"POST /tokenize%00 HTTP/1.1"), 400),
    "not UTF-8": (post(n, line=b"POST /%ff HTTP/1.1"), 400),
    "long address": (post(n, line=b"POST /" + b"a" * 5000 + b" HTTP/1.1"), 414),
    "long head": (post(n, b"X: " + b"a" * 17000), 431),
    "many fields": (post(n, *[b"X%d: 1" % i for i in range(100)]), 431),
    "unknown Expect": (post(n, b"Expect: tea"), 417),
    "TLS to a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 40, 400),
    "bad chunk size": (post(b"Transfer-Encoding: chunked", body=b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk extension": (post(b"Transfer-Encoding: chunked", body=b"5;a=b\r\nhello\r\n0\r\n\r\n"), 400),
    "chunk without its end": (post(b"Transfer-Encoding: chunked", body=b"5\r\nhelloX\r\n0\r\n\r\n"), 400),
    "trailers": (post(b"Transfer-Encoding: chunked", body=b"0\r\nX: y\r\n\r\n"), 400),
    "huge chunk": (post(b"Transfer-Encoding: chunked", body=b"ffffffff\r\n"), 413),
    "deep JSON": (post(b"Content-Length: BODY", body=b'{"prompt":' + b"[" * 39990), 400),
    "invalid UTF-8": (post(b"Content-Length: BODY", body=b'{"prompt":"\xff'), 400),
    "JSON that is no object": (post(b"Content-Length: BODY", body=b"[]"), 400),
    "repeated key": (post(b"Content-Length: BODY", body=b'{"prompt":"a", "prompt":"bc"}'), 400),
    "not JSON": (post(b"Content-Length: BODY", body=b"a=b").replace(b"application/json", b"text/plain"), 415),
    "unknown address": (post(n, line=b"POST /etc/passwd HTTP/1.1"), 404),
    "wrong method": (post(n, line=b"DELETE /tokenize HTTP/1.1"), 405),
}
for name, (data, wanted) in cases.items():
    data = data.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:", 1)
    try: got = h.send(port, data, 5)
    except TimeoutError: sys.exit(name + ": no answer")
    assert got and got[0][0] == wanted and len(got) == 1, f"{name}: {[g[:1] + g[2:3] for g in got]}, wanted {wanted}"
    if wanted >= 400:
        import json
        error = json.loads(got[0][2])["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"], f"{name}: {error}"

# nothing that was behind a refused request is answered: it could have been smuggled
got = h.send(port, post(n, b"Transfer-Encoding: chunked", body=b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"))
assert [g[0] for g in got] == [400], got
# what is asked in one go is answered in order, over one connection
got = h.send(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 + b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
assert [g[0] for g in got] == [200] * 4 and b"list" in got[3][2], got
# a body in pieces, asked for with Expect
s = h.connect(port)
s.sendall(post(n, b"Expect: 100-continue", b"Connection: close", body=b""))
assert s.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
for i in range(len(body)): s.sendall(body[i:i + 1])
assert h.read_answer(s.makefile("rb"))[0] == 200
# a HEAD has no body, HTTP/1.0 closes
got = h.send(port, b"HEAD /health HTTP/1.0\r\n\r\n")
s = h.connect(port); s.sendall(b"HEAD /health HTTP/1.0\r\n\r\n"); data = b""
while (more := s.recv(1000)): data += more
assert data.startswith(b"HTTP/1.1 200 OK") and data.endswith(b"\r\n\r\n") and b"Content-Length: 15" in data, data
# connections that say nothing, or half, hurt nobody
quiet = [h.connect(port) for _ in range(50)]
for s in quiet[:25]: s.sendall(b"POST /tokenize HTTP/1.1\r\nHost: local")
status, _, value = h.call(port, "POST", "/tokenize", {"prompt": "still here"})
assert status == 200 and value["count"] == len(value["tokens"]) == 2, value
