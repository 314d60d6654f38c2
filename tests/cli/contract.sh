# Answers that have to be JSON, on the real model: a project with a schema, prompts that constrain and one that does not, answers that are cut,
# runs that find their answers again, and a choice that is written under a constraint.
source tests/cli/lib.bash
need_model

mkdir -p "$tmp/orders/prompts" && cd "$tmp/orders" || exit 1
cat >hone.yaml <<'EOF'
goal: Read orders
data: {file: orders.csv, input: message, target: order}
split: {train: 0.5, dev: 0.5, seed: 3}
output: {json: order.json}
EOF
cat >order.json <<'EOF'
{"type": "object", "required": ["product", "count"], "additionalProperties": false,
 "properties": {"product": {"enum": ["phone", "router", "cable"]}, "count": {"type": "integer", "minimum": 1, "maximum": 99}}}
EOF
python3 - >orders.csv <<'PY'
import csv, json, sys
w = csv.writer(sys.stdout)
w.writerow(["message", "order"])
for form in ("I would like {n} {p}s please", "Please send {n} {p}s", "Order: {p} x {n}"):
    for p in ("phone", "router", "cable"):
        for n in (1, 2, 3, 5):
            w.writerow([form.format(n=n, p=p), json.dumps({"count": float(n), "product": p})])
PY
question='messages: [{user: "Read this order as JSON with product and count.\n{{ message }}"}]'
printf 'messages: [{user: "{{ message }}"}]\nexamples: {pick: nearest, n: 4}\n' >prompts/nearest.yaml
printf '%s\nparameters: {max_tokens: 5}\n' "$question" >prompts/short.yaml
printf '%s\nconstrain: false\nparameters: {max_tokens: 30}\n' "$question" >prompts/free.yaml

expect_status 0 eval prompts/nearest.yaml prompts/short.yaml prompts/free.yaml -m "$MODEL" --json
expect_json "[x['n'] for x in r['runs']] == [18, 18, 18]"
expect_json "r['runs'][0]['invalid_cases'] == r['runs'][0]['cut_cases'] == 0 and r['runs'][0]['metrics']['accuracy']['value'] > 0.5"
expect_json "r['runs'][1]['invalid_cases'] == r['runs'][1]['cut_cases'] == 18 and r['runs'][1]['metrics']['accuracy']['value'] == 0"
expect_json "r['runs'][2]['invalid_cases'] >= r['runs'][2]['cut_cases']"
expect_status 0 eval prompts/short.yaml -m "$MODEL"
expect_in_out "short: 18 answers cut by max_tokens"
expect_status 0 show r1
expect_in_out '"constrain":true'
expect_status 0 show r3
expect_in_out '"constrain":false'
expect_status 0 scope
expect_in_out "JSON that fits the schema"

# another schema is another question: nothing of the old answers counts
sed -i 's/"maximum": 99/"maximum": 5/' order.json
expect_status 0 eval prompts/nearest.yaml -m "$MODEL" --json
expect_json "r['runs'][0]['run'] == 'r4'"

# what cannot be enforced is named when the project is opened
sed -i 's/"type": "object", /"type": "object", "not": {}, /' order.json
expect_status 3 scope
expect_error "order.json:/not"

# a choice that is written: only labels come out, however hot
cat >hone.yaml <<'EOF'
data: {file: orders.csv, input: message, target: kind}
output: {choice: [yes please, no]}
EOF
python3 - >orders.csv <<'PY'
for i in range(16):
    if i == 0: print("message,kind")
    print(f"message {i},{'yes please' if i % 3 else 'no'}")
PY
printf 'messages: [{user: "{{ message }}"}]\nanswer: generate\nparameters: {temperature: 2, seed: 5}\n' >prompts/hot.yaml
expect_status 0 eval prompts/hot.yaml -m "$MODEL" --json
expect_json "r['runs'][0]['invalid_cases'] == 0"
