"""A loopback server that speaks like OpenAI's and Anthropic's APIs, for tests of the remote provider. It checks each request strictly, and misbehaves
on purpose, as the first part of the path says.

    python3 api_server.py PORT_FILE LOG_FILE

Answers: the reply to a chat is made of the last user message: "say X" gives X, "json X" the JSON text X, "count N" N words, else the first word of the
message's last line. With a response format or a tool that is forced, the reply is a value that fits. Each request is one line of LOG_FILE:
{"path", "problems": [...], "auth", "body", "in_flight"}; `problems` says what a strict endpoint would not take.
Scenarios (http://127.0.0.1:PORT/SCENARIO/v1): ok; key (wants "Bearer sk-test-0123456789abcdef" or that x-api-key); busy (429 with retry-after-ms, the first
two times that a body comes); after (429 with Retry-After: 1, once); shaky (500, then a reset, then an answer); down (always 500); reset (always); denied
(401, repeats the key); forbidden; missing; refused (400); long (context error); quota; filter; redirect; notjson; badutf8; empty; endless; headers;
drip; hang; cut (a stream that ends early); gather (waits for 4 requests in flight); slow (0.3 s); whole (no stream although asked for); nousage;
streamerror; prefix (429 always)."""
import http.server, json, os, socketserver, sys, threading, time

port_file, log_file = sys.argv[1:3]
KEY = "sk-test-0123456789abcdef"
lock = threading.Condition()
seen, in_flight, gathered = {}, {}, False
OPENAI_FIELDS = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options",
                 "logprobs", "top_logprobs", "response_format", "tools", "tool_choice", "logit_bias", "reasoning_effort"}
ANTHROPIC_FIELDS = {"model", "messages", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences", "stream", "tools", "tool_choice", "system"}


def openai_problems(body):
    bad = [f"unknown field {k}" for k in body if k not in OPENAI_FIELDS]
    if not isinstance(body.get("model"), str): bad.append("no model")
    if not body.get("messages"): bad.append("no messages")
    for m in body.get("messages", []):
        if m.get("role") not in ("system", "user", "assistant", "tool", "developer"): bad.append(f"role {m.get('role')}")
        if not isinstance(m.get("content"), (str, type(None))): bad.append("content is no text")
    fmt = body.get("response_format")
    if fmt and fmt["type"] == "json_schema":
        if fmt["json_schema"]["schema"].get("type") != "object": bad.append("the schema's root is no object")
        if not fmt["json_schema"].get("name"): bad.append("the schema has no name")
    for t in body.get("tools", []):
        if t.get("type") != "function" or "name" not in t.get("function", {}): bad.append("a tool is no function")
    if "tool_choice" in body and "tools" not in body: bad.append("tool_choice without tools")
    if "stream_options" in body and not body.get("stream"): bad.append("stream_options without stream")
    if not 0 <= body.get("temperature", 1) <= 2: bad.append("temperature")
    return bad


def anthropic_problems(body, headers):
    bad = [f"unknown field {k}" for k in body if k not in ANTHROPIC_FIELDS]
    if headers.get("anthropic-version") != "2023-06-01": bad.append("no anthropic-version")
    if not isinstance(body.get("max_tokens"), int): bad.append("no max_tokens")
    if not 0 <= body.get("temperature", 1) <= 1: bad.append("temperature")
    if not body.get("messages"): bad.append("no messages")
    for m in body.get("messages", []):
        if m.get("role") not in ("user", "assistant"): bad.append(f"role {m.get('role')}")
        content = m.get("content")
        for block in content if isinstance(content, list) else []:
            if block.get("type") not in ("text", "tool_use", "tool_result"): bad.append(f"block {block.get('type')}")
            if block.get("type") == "tool_use" and not isinstance(block.get("input"), dict): bad.append("input is no object")
    last = body["messages"][-1] if body.get("messages") else {}
    if last.get("role") == "assistant" and isinstance(last.get("content"), str) and last["content"] != last["content"].rstrip():
        bad.append("the last text ends with a blank")
    for t in body.get("tools", []):
        if t.get("input_schema", {}).get("type") != "object": bad.append("input_schema is no object")
    for s in body.get("stop_sequences", []):
        if not s.strip(): bad.append("a blank stop sequence")
    return bad


def fitting(schema):
    """Some value that fits a simple schema."""
    if "enum" in schema: return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object": return {k: fitting(v) for k, v in schema.get("properties", {}).items()}
    if kind == "array": return [fitting(schema.get("items", {}))]
    if kind in ("number", "integer"): return max(schema.get("minimum", 4), 4)
    if kind == "boolean": return True
    return "ab" if "pattern" in schema else "text"


def choose(schema, said):
    """As fitting, but of a choice the entry that the message names."""
    inner = schema.get("properties", {}).get("answer")
    if inner and "enum" in inner:
        for label in inner["enum"]:
            if label in said: return {"answer": label}
    return fitting(schema)


def reply_to(said):
    last = said.strip().split("\n")[-1]
    if last.startswith("say "): return last[4:]
    if last.startswith("json "): return last[5:]
    if last.startswith("count "): return " ".join(str(i) for i in range(int(last[6:])))
    return (last.split() or [""])[0]


def last_user(body):
    for m in reversed(body.get("messages", [])):
        if m["role"] != "user": continue
        if isinstance(m["content"], str): return m["content"]
        return " ".join(str(b.get("text") or b.get("content") or "") for b in m["content"])
    return body.get("prompt", "")


def tokens(text): return max(1, len(text) // 4)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args): pass

    def leave(self):
        """No more in flight: before the answer's first byte, since the client may send its next request upon it."""
        with lock:
            in_flight[self.scenario] -= self.inside
            self.inside = 0
            lock.notify_all()

    def send(self, code, value, headers=(), raw=None, kind="application/json"):
        self.leave()
        data = raw if raw is not None else json.dumps(value).encode()
        self.send_response(code)
        for name, text in headers: self.send_header(name, text)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def error(self, code, message, kind="server_error", headers=(), machine=None):
        if self.anthropic: self.send(code, {"type": "error", "error": {"type": kind, "message": message}}, headers)
        else: self.send(code, {"error": {"message": message, "type": kind, "code": machine}}, headers)

    def do_GET(self): self.send(404, {"error": {"message": "no such address"}})

    def do_POST(self):
        scenario, _, rest = self.path.lstrip("/").partition("/")
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(data)
        self.anthropic = rest.endswith("/messages")
        embeds, raw = rest.endswith("/embeddings"), rest.endswith("/completions") and not rest.endswith("/chat/completions")
        problems = [] if embeds or raw else anthropic_problems(body, self.headers) if self.anthropic else openai_problems(body)
        if rest not in ("v1/chat/completions", "v1/completions", "v1/messages", "v1/embeddings"): problems.append(f"path {rest}")
        auth = self.headers.get("x-api-key") if self.anthropic else self.headers.get("Authorization", "").removeprefix("Bearer ")
        with lock:
            self.scenario, self.inside = scenario, 1
            in_flight[scenario] = in_flight.get(scenario, 0) + 1
            seen[(scenario, data)] = seen.get((scenario, data), 0) + 1
            times = seen[(scenario, data)]
            with open(log_file, "a") as log:
                log.write(json.dumps({"path": self.path, "problems": problems, "auth": auth or "", "body": body, "in_flight": in_flight[scenario]}) + "\n")
            lock.notify_all()
        try:
            if problems: self.error(400, "; ".join(problems), "invalid_request_error")
            else: self.act(scenario, body, times, auth, embeds, raw)
        except (BrokenPipeError, ConnectionResetError): pass
        finally: self.leave()

    def act(self, scenario, body, times, auth, embeds, raw):
        global gathered
        if scenario == "key" and auth != KEY: return self.error(401, f"Incorrect API key provided: {auth}", "authentication_error")
        if scenario == "busy" and times <= 2: return self.error(429, "slow down", "rate_limit_error", [("retry-after-ms", "20")])
        if scenario == "after" and times == 1: return self.error(429, "slow down", "rate_limit_error", [("Retry-After", "1")])
        if scenario == "prefix": return self.error(429, "slow down", "rate_limit_error", [("retry-after-ms", "1")])
        if scenario == "forever": return self.error(429, "slow down", "rate_limit_error", [("Retry-After", "86400")])
        if scenario == "shaky" and times == 1: return self.error(500, "oops")
        if scenario == "reset" or (scenario == "shaky" and times == 2):
            self.close_connection = True
            return self.connection.shutdown(2)
        if scenario == "down": return self.error(500, "oops")
        if scenario == "overloaded" and times == 1: return self.error(529, "Overloaded", "overloaded_error")
        if scenario == "denied": return self.error(401, f"Incorrect API key provided: {auth}. Bad \x1b[31mkey\x07.", "authentication_error")
        if scenario == "forbidden": return self.error(403, "not for you", "permission_error")
        if scenario == "missing": return self.error(404, "The model `x` does not exist", "not_found_error")
        if scenario == "refused": return self.error(400, "Unsupported parameter: 'temperature'", "invalid_request_error")
        if scenario == "long" and "long" in last_user(body):
            return self.error(400, "prompt is too long: 9000 tokens > 8000 maximum" if self.anthropic else "maximum context length is 8000 tokens",
                              "invalid_request_error", machine="context_length_exceeded")
        if scenario == "quota": return self.error(429, "You exceeded your current quota", "insufficient_quota", machine="insufficient_quota")
        if scenario == "filter": return self.error(400, "filtered", "invalid_request_error", machine="content_filter")
        if scenario == "redirect": return self.send(307, {}, [("Location", "http://elsewhere.example.org/v1/chat/completions")])
        if scenario == "notjson": return self.send(200, None, raw=b"<html>welcome to the portal</html>", kind="text/html")
        if scenario == "badutf8": return self.send(200, None, raw=b'{"choices":[{"message":{"content":"\xff\xfe"}}]}')
        if scenario == "empty": return self.send(200, {})
        if scenario == "headers":
            self.send_response(200)
            for i in range(2000): self.send_header(f"x-{i}", "y" * 500)
            return self.end_headers()
        if scenario == "endless": return self.endless()
        if scenario == "drip": return self.drip()
        if scenario == "hang": return time.sleep(30)
        if scenario == "slow": time.sleep(0.3)
        if scenario == "gather":
            with lock:
                gathered = gathered or in_flight["gather"] >= 4
                lock.wait_for(lambda: gathered or in_flight["gather"] >= 4, timeout=5)
        if embeds:
            rows = [{"object": "embedding", "index": i, "embedding": [float(len(t)), float(i), 0.5]} for i, t in enumerate(body["input"])]
            return self.send(200, {"object": "list", "data": list(reversed(rows)), "model": "embed-1", "usage": {"prompt_tokens": 7, "total_tokens": 7}})
        if self.anthropic: return self.answer_anthropic(scenario, body)
        if raw: return self.send(200, {"model": "m-1", "choices": [{"text": " raw", "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}})
        self.answer_openai(scenario, body)

    def endless(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.close_connection = True
        for _ in range(1000): self.wfile.write(b" " * 100000)

    def drip(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.close_connection = True
        for _ in range(300):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.05)

    def stream(self, events, cut=False):
        self.leave()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        data = b"".join(events)
        if cut: data = data[:len(data) // 2]
        for i in range(0, len(data), 7):
            self.wfile.write(data[i:i + 7])
            self.wfile.flush()

    def answer_openai(self, scenario, body):
        said, fmt = last_user(body), body.get("response_format")
        text = reply_to(said)
        if fmt: text = json.dumps(choose(fmt["json_schema"]["schema"], said) if fmt["type"] == "json_schema" else {"a": 1})
        limit = body.get("max_tokens", body.get("max_completion_tokens"))
        finish, calls = "stop", None
        if tokens(text) > limit: text, finish = text[:limit * 4], "length"
        if body.get("tools") and body.get("tool_choice") != "none" and ("call" in said or body.get("tool_choice") not in (None, "auto")):
            name = body["tools"][0]["function"]["name"]
            text, finish = None, "tool_calls"
            calls = [{"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"city": "Paris"}'}}]
        usage = {"prompt_tokens": 10 * tokens(said), "completion_tokens": tokens(text or "xxxx"), "prompt_tokens_details": {"cached_tokens": 4}}
        version = "m-2" if scenario == "newer" else "m-1"
        top = [{"token": "yes", "logprob": -0.25}, {"token": "no", "logprob": -1.5}][:body.get("top_logprobs", 0)]
        logprobs = {"content": [{"token": text, "logprob": -0.25, "top_logprobs": top}]} if body.get("logprobs") else None
        if not body.get("stream") or scenario == "whole":
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish, "logprobs": logprobs}
            if calls: choice["message"]["tool_calls"] = calls
            value = {"id": "x", "object": "chat.completion", "model": version, "choices": [choice], "usage": usage}
            if scenario == "nousage": del value["usage"]
            return self.send(200, value)
        event = lambda value: b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"
        part = lambda delta, why=None: event({"model": version, "choices": [{"index": 0, "delta": delta, "finish_reason": why}]})
        events = [b": hello\n\n", event({"model": version, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": logprobs}]})]
        if scenario == "streamerror": events += [part({"content": "a"}), event({"error": {"message": "the engine broke", "type": "server_error"}})]
        if calls:
            events += [part({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": calls[0]["function"]["name"], "arguments": ""}}]})]
            events += [part({"tool_calls": [{"index": 0, "function": {"arguments": a}}]}) for a in ('{"city"', ': "Paris"}')]
        for i in range(0, len(text or ""), 3): events.append(part({"content": text[i:i + 3]}))
        events += [part({}, finish), event({"model": version, "choices": [], "usage": usage}), b"data: [DONE]\n\n"]
        self.stream(events, scenario == "cut")

    def answer_anthropic(self, scenario, body):
        said, tools, choice = last_user(body), body.get("tools"), body.get("tool_choice", {})
        text, stop = reply_to(said), "end_turn"
        content = []
        if tools and (choice.get("type") in ("tool", "any") or ("call" in said and choice.get("type") != "none")):
            tool = next((t for t in tools if t["name"] == choice.get("name")), tools[0])
            content, stop = [{"type": "tool_use", "id": "toolu_1", "name": tool["name"], "input": choose(tool["input_schema"], said)}], "tool_use"
        else:
            if tokens(text) > body["max_tokens"]: text, stop = text[:body["max_tokens"] * 4], "max_tokens"
            content = [{"type": "text", "text": text}]
        usage = {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2, "output_tokens": 5}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": content, "stop_reason": stop, "usage": usage}
        if not body.get("stream"): return self.send(200, message)
        event = lambda name, **value: f"event: {name}\r\ndata: ".encode() + json.dumps({"type": name, **value}).encode() + b"\r\n\r\n"
        events = [event("message_start", message={**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}), event("ping")]
        for i, block in enumerate(content):
            if block["type"] == "text":
                events.append(event("content_block_start", index=i, content_block={"type": "text", "text": ""}))
                events += [event("content_block_delta", index=i, delta={"type": "text_delta", "text": text[k:k + 3]}) for k in range(0, len(text), 3)]
            else:
                events.append(event("content_block_start", index=i, content_block={**block, "input": {}}))
                data = json.dumps(block["input"])
                events += [event("content_block_delta", index=i, delta={"type": "input_json_delta", "partial_json": data[k:k + 5]}) for k in range(0, len(data), 5)]
            events.append(event("content_block_stop", index=i))
        if scenario == "streamerror": events.append(event("error", error={"type": "overloaded_error", "message": "Overloaded"}))
        events += [event("message_delta", delta={"stop_reason": stop}, usage={"output_tokens": 5}), event("message_stop")]
        self.stream(events, scenario == "cut")


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 128


server = Server(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as f: f.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()
