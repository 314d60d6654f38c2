# The server: hostile bytes, the OpenAI API's endpoints, a full queue, draining, and what it refuses to do.
source tests/cli/lib.bash
source tests/cli/serve.bash
need_model
model=$(basename "$MODEL")

expect_status 2 serve -m "$MODEL" --host 0.0.0.0 --port 0
expect_error "can be reached from other machines"
expect_status 2 serve -m "$MODEL" --host nowhere.invalid --port 0
expect_error "is no address"

serve -m "$MODEL"
expect_status 2 serve -m "$MODEL" --port "$port"
expect_error "is taken"
check_server serve_hostile.py
check_server serve_openai.py "$model"
check_server serve_drain.py "$model" $server
wait $server || fail "after draining the server ended with $?"

# a full queue is said at once, and what is in it is answered
serve -m "$MODEL" --max-queue 2 --max-body 1k --timeout 0.5
python3 - "$port" "$model" "$ROOT/tests/support" <<'PY' || fail "a full queue, or the limits"
import sys; sys.path.insert(0, sys.argv[3])
import http_client as h, json, threading
port, model = int(sys.argv[1]), sys.argv[2]
body = dict(model=model, messages=[{"role": "user", "content": "Write a long story"}], temperature=0, max_tokens=8000)
got = []
def ask(): got.append(h.call(port, "POST", "/v1/chat/completions", body))
threads = [threading.Thread(target=ask) for _ in range(5)]
for t in threads: t.start()
for t in threads: t.join()
assert sorted(g[0] for g in got) == [503, 503, 503, 504, 504], [g[0] for g in got]
assert all(g[1]["retry-after"] and g[2]["error"]["code"] == "overloaded" for g in got if g[0] == 503)
assert all(g[2]["error"]["code"] == "timeout" for g in got if g[0] == 504)
assert h.call(port, "POST", "/tokenize", {"prompt": "x" * 2000})[0] == 413
PY
stop_server 0
