# A run's app behind HTTP: the same bits as the run's answers in the store, alone and as a batch, and what is wrong with a request.
source tests/cli/lib.bash
source tests/cli/serve.bash
need_model
export HONE_MODELS=$tmp/models
mkdir -p "$HONE_MODELS"
ln -s "$(realpath "$MODEL")" "$HONE_MODELS/SmolLM2-135M-Instruct.Q4_1.gguf"
cd "$tmp" && "$HONE" init p --example tickets >/dev/null && cd p || fail "hone init"
sed -i '/^calibrate:/d' prompts/5-plain.yaml # the prior takes hundreds of prompts; its own tests have it
expect_status 0 eval prompts/5-plain.yaml --limit 4
expect_status 0 show r1 --predictions --json
cp "$out" "$tmp/run"
echo "messages: [{user: changed}]" >prompts/5-plain.yaml # what is served is what was measured
expect_status 2 serve r9 --port 0
serve r1 --name router
python3 - "$port" "$ROOT/tests/support" "$tmp/run" <<'PY' || fail "the app's answers"
import sys; sys.path.insert(0, sys.argv[2])
import csv, http_client as h, json
port, run = int(sys.argv[1]), json.load(open(sys.argv[3]))
rows = {r["id"]: r for r in csv.DictReader(open("data/tickets.csv", newline=""))}
answers = run["predictions"]
inputs = [{k: rows[a["case"]][k] for k in ("subject", "body")} for a in answers]
status, _, got = h.call(port, "POST", "/v1/apps/router", {"inputs": inputs, "logprobs": True, "group": [rows[a["case"]]["customer"] for a in answers]})
assert status == 200 and len(got["answers"]) == len(answers) == 4, got
for a, b in zip(answers, got["answers"]):
    assert a["value"] == b["value"] and list(b["probabilities"].values()) == list(a["probabilities"].values() if isinstance(a["probabilities"], dict) else a["probabilities"]), (a, b)
    assert b["abstained"] is False and b["guard"] is None and b["usage"]["prompt_tokens"] > 0 and max(b["probabilities"], key=b["probabilities"].get) == b["value"]
status, _, one = h.call(port, "POST", "/v1/apps/router", {"inputs": inputs[3]})
assert status == 200 and one["app"] == "router" and one["probabilities"] == got["answers"][3]["probabilities"] and "logprobs" not in one
def wrong(status, param, path="router", **body):
    s, _, v = h.call(port, "POST", f"/v1/apps/{path}", body)
    assert s == status and v["error"]["param"] == param, (s, v)
wrong(404, None, "other", inputs=inputs[0])
wrong(400, "inputs")
wrong(400, "inputs", inputs="x")
wrong(400, "inputs", inputs=[])
wrong(400, "inputs.body", inputs={"subject": "x"})
wrong(400, "inputs.body", inputs={"subject": "x", "body": 7})
wrong(400, "inputs.team", inputs=dict(inputs[0], team="billing"))
wrong(400, "input", input={})
s, _, v = h.call(port, "POST", "/v1/apps/router", {"inputs": [inputs[0], dict(inputs[1], body="word " * 9000)]})
assert s == 200 and v["answers"][0]["value"] == answers[0]["value"] and v["answers"][1]["error"]["code"] == "context_length_exceeded", v
wrong(400, None, inputs=dict(inputs[1], body="word " * 9000))
PY
stop_server 0
