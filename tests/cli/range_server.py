"""A loopback web server for tests/cli/pull.sh: range requests with If-Range, cuts, slowness and errors, chosen by the path's first part.

    python3 range_server.py FOLDER PORT_FILE LOG_FILE
/plain/F: ranges and an ETag; /cut/F: breaks off after a third, the first two times; /cutonce/F: once, then no server for it any more until
/revive; /norange/F: ignores ranges; /changed/F: a new ETag each time; /weak/F: a weak ETag and no date; /missing/F: 404; /deny/F: 403;
/error/F: 500; /redirect/F: to /plain/F; /loop/F: to itself; /slow/F: 64 KiB, then a pause; /away/F: to a plain-http address elsewhere."""
import http.server, os, pathlib, re, sys, threading, time

folder, port_file, log_file = sys.argv[1:4]
counts = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def simple(self, code, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        _, kind, name = self.path.split("?")[0].split("/", 2)
        counts[kind] = counts.get(kind, 0) + 1
        with open(log_file, "a") as log:
            log.write(f"{kind} {self.headers.get('Range', '-')}\n")
        if kind == "missing": return self.simple(404)
        if kind == "deny": return self.simple(403)
        if kind == "error": return self.simple(500)
        if kind == "redirect": return self.simple(302, Location=f"/plain/{name}")
        if kind == "loop": return self.simple(302, Location=self.path)
        if kind == "away": return self.simple(302, Location="ftp://127.0.0.1/x")
        data = pathlib.Path(folder, name).read_bytes()
        etag = f'"{counts[kind]}"' if kind == "changed" else 'W/"same"' if kind == "weak" else '"same"'
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and kind != "norange" and self.headers.get("If-Range") == etag:
            start = int(wanted.group(1))
            if start >= len(data): return self.simple(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            if (kind in ("cut", "changed", "norange", "weak") and counts[kind] <= 2) or (kind == "cutonce" and counts[kind] == 1):
                self.wfile.write(body[:len(data) // 3])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
                return
            if kind == "slow" and counts[kind] == 1:
                self.wfile.write(body[:65536])
                self.wfile.flush()
                time.sleep(30)
                return
            self.wfile.write(body)
        except OSError:
            pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(port_file + ".new", "w") as f:
    f.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()
