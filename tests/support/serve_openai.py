"""The OpenAI-compatible endpoints, by their wire form. serve_openai.py PORT MODEL"""
import http_client as h, json, sys, threading, time
port, model = int(sys.argv[1]), sys.argv[2]
def post(path, **body): return h.call(port, "POST", path, body)
def fine(path, **body):
    status, _, value = post(path, **body)
    assert status == 200, value
    return value
hello = [{"role": "user", "content": "What is the capital of France?"}]

status, _, value = h.call(port, "GET", "/v1/models")
assert status == 200 and [m["id"] for m in value["data"]] == [model] and value["object"] == "list"
assert h.call(port, "GET", f"/v1/models/{model}")[2]["id"] == model
assert h.call(port, "GET", "/v1/models/other")[0] == 404
assert h.call(port, "GET", "/health")[2] == {"status": "ok"} and h.call(port, "GET", "/ready")[2]["status"] == "ready"

# ---- a chat, whole and as a stream: the same text and log-probabilities ----
chat = fine("/v1/chat/completions", model=model, messages=hello, temperature=0, max_tokens=8, logprobs=True, top_logprobs=2)
choice = chat["choices"][0]
assert chat["object"] == "chat.completion" and choice["message"]["role"] == "assistant" and "Paris" in choice["message"]["content"]
content = choice["logprobs"]["content"]
assert "".join(t["token"] for t in content) == choice["message"]["content"] and all(len(t["top_logprobs"]) == 2 for t in content)
assert all(t["logprob"] == t["top_logprobs"][0]["logprob"] <= 0 and bytes(t["bytes"]).decode() == t["token"] for t in content)
usage = chat["usage"]
assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] and usage["prompt_tokens"] > 10
data = json.dumps(dict(model=model, messages=hello, temperature=0, max_tokens=8, logprobs=True, top_logprobs=2, stream=True, stream_options={"include_usage": True}))
status, fields, body = h.call(port, "POST", "/v1/chat/completions", data.encode())
assert status == 200 and fields["content-type"].startswith("text/event-stream") and fields["x-request-id"].startswith("req_")
lines = h.events(body)
assert lines[-1] == "[DONE]"
chunks = [json.loads(line) for line in lines[:-1]]
assert all(c["object"] == "chat.completion.chunk" and c["id"] == chunks[0]["id"] for c in chunks)
assert chunks[0]["choices"][0]["delta"]["role"] == "assistant" and chunks[-1]["choices"] == [] and chunks[-1]["usage"] == {**usage, "prompt_tokens_details": chunks[-1]["usage"]["prompt_tokens_details"]}
assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks[:-1]) == choice["message"]["content"]
assert [c["choices"][0]["finish_reason"] for c in chunks[:-1] if c["choices"][0]["finish_reason"]] == [choice["finish_reason"]]
streamed = [t for c in chunks[:-1] for t in (c["choices"][0]["logprobs"] or {"content": []})["content"]]
assert streamed == content

# ---- parts, stop, n, seeds ----
assert fine("/v1/chat/completions", model=model, messages=[{"role": "user", "content": [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]}], temperature=0, max_tokens=8)["choices"][0]["message"] == choice["message"]
stopped = fine("/v1/chat/completions", model=model, messages=hello, temperature=0, stop=" France")["choices"][0]
assert stopped["message"]["content"] == "The capital of" and stopped["finish_reason"] == "stop"
assert fine("/v1/chat/completions", model=model, messages=hello, temperature=0, max_completion_tokens=2)["choices"][0]["finish_reason"] == "length"
many = fine("/v1/chat/completions", model=model, messages=hello, n=3, seed=5, max_tokens=6, temperature=1.5)
texts = [c["message"]["content"] for c in many["choices"]]
assert [c["index"] for c in many["choices"]] == [0, 1, 2] and len(set(texts)) > 1 and many["usage"]["completion_tokens"] <= 18
assert texts == [c["message"]["content"] for c in fine("/v1/chat/completions", model=model, messages=hello, n=3, seed=5, max_tokens=6, temperature=1.5)["choices"]]

# ---- an answer that is held to a schema ----
schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "n": {"type": "integer", "minimum": 0, "maximum": 9}}, "required": ["city", "n"], "additionalProperties": False}
for temperature in (0, 1.8):
    got = fine("/v1/chat/completions", model=model, messages=hello, temperature=temperature, seed=1, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})["choices"][0]
    value = json.loads(got["message"]["content"])
    assert set(value) == {"city", "n"} and 0 <= value["n"] <= 9 and len(value["city"]) <= 12 and got["finish_reason"] == "stop"

# ---- completions ----
text = fine("/v1/completions", model=model, prompt="The capital of France is", temperature=0, max_tokens=3, echo=True, logprobs=1)["choices"][0]
assert text["text"].startswith("The capital of France is") and "".join(text["logprobs"]["tokens"]) == text["text"]
assert text["logprobs"]["token_logprobs"][0] is None and all(x <= 0 for x in text["logprobs"]["token_logprobs"][1:])
assert text["logprobs"]["text_offset"] == [len("".join(text["logprobs"]["tokens"][:i])) for i in range(len(text["logprobs"]["tokens"]))]
scored = fine("/v1/completions", model=model, prompt=text["text"], max_tokens=0, echo=True, logprobs=1)["choices"][0]
assert scored["logprobs"]["tokens"] == text["logprobs"]["tokens"] and max(abs(a - b) for a, b in zip(scored["logprobs"]["token_logprobs"][1:], text["logprobs"]["token_logprobs"][1:])) < 0.05
ids = fine("/tokenize", prompt="The capital of France is", with_pieces=True)
assert "".join(ids["pieces"]) == "The capital of France is" and fine("/detokenize", tokens=ids["tokens"])["prompt"] == "The capital of France is"
pair = fine("/v1/completions", model=model, prompt=["One", ids["tokens"]], n=2, max_tokens=2, seed=1)
assert [c["index"] for c in pair["choices"]] == [0, 1, 2, 3]
_, _, body = h.call(port, "POST", "/v1/completions", dict(model=model, prompt="The capital of France is", temperature=0, max_tokens=3, echo=True, stream=True))
assert "".join(json.loads(e)["choices"][0]["text"] for e in h.events(body)[:-1]) == text["text"]
rendered = fine("/apply-template", messages=hello)["prompt"]
assert "What is the capital of France?" in rendered and fine("/tokenize", messages=hello)["tokens"] == fine("/tokenize", prompt=rendered, allow_special=True)["tokens"]

# ---- wrong requests: status, parameter, code ----
def wrong(status, param, code, path="/v1/chat/completions", **body):
    got, _, value = post(path, **body)
    assert got == status and value["error"]["param"] == param and value["error"]["code"] == code, (got, value)
base = dict(model=model, messages=hello)
wrong(400, None, None, messages=hello)
wrong(404, None, "model_not_found", model="gpt-5", messages=hello)
wrong(400, "messages", "missing_required_parameter", model=model)
wrong(400, "messages", "empty_array", model=model, messages=[])
wrong(400, "messages", "invalid_type", model=model, messages="hi")
wrong(400, "messages", "invalid_value", model=model, messages=[{"role": "usr", "content": "x"}])
wrong(400, "messages[0].content[0]", "invalid_value", model=model, messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])
wrong(400, "temperature", "invalid_type", **base, temperature="hot")
wrong(400, "temperature", "decimal_above_max_value", **base, temperature=3)
wrong(400, "n", "integer_below_min_value", **base, n=0)
wrong(400, "max_tokens", "integer_below_min_value", **base, max_tokens=0)
wrong(400, "top_logprobs", None, **base, top_logprobs=2)
wrong(400, "stream_options", None, **base, stream_options={"include_usage": True})
wrong(400, "stop", "array_above_max_length", **base, stop=["x"] * 40)
wrong(400, "presence_penalty", "unsupported_parameter", **base, presence_penalty=1)
wrong(400, "tool_choice", "invalid_value", **base, tool_choice="required")
wrong(400, "response_format.type", "invalid_value", **base, response_format={"type": "xml"})
wrong(400, "response_format", "invalid_json_schema", **base, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}})
wrong(400, "temprature", "unknown_parameter", **base, temprature=1)
wrong(400, "messages", "context_length_exceeded", model=model, messages=[{"role": "user", "content": "word " * 9000}])
wrong(400, "prompt", "missing_required_parameter", "/v1/completions", model=model)
wrong(400, "prompt", "invalid_type", "/v1/completions", model=model, prompt=7)
wrong(400, "best_of", "unsupported_parameter", "/v1/completions", model=model, prompt="x", best_of=3)

# ---- many at once give what each gives alone; a client that leaves frees its place at once ----
def story(i): return dict(model=model, messages=[{"role": "user", "content": f"Name {i} animals"}], temperature=0, max_tokens=10)
alone = [fine("/v1/chat/completions", **story(i))["choices"][0] for i in range(6)]
got = [None] * 6
def ask(i): got[i] = fine("/v1/chat/completions", **story(i))["choices"][0]
threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
for t in threads: t.start()
for t in threads: t.join()
assert got == alone
s = h.connect(port)
data = json.dumps(dict(model=model, messages=[{"role": "user", "content": "Write a very long story"}], stream=True, temperature=0, max_tokens=8000)).encode()
s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
s.recv(2000)
assert h.call(port, "GET", "/ready")[2]["requests"] == 1
s.close()
until = time.time() + 10
while h.call(port, "GET", "/ready")[2]["requests"]: assert time.time() < until
