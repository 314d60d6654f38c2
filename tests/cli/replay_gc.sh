# `hone replay` of runs with parameters from the command line and of repetitions; `hone gc` beside an evaluation that is at work. With the tiny model.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
TINY=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
mkdir -p "$tmp/p/prompts"
cd "$tmp/p" || exit 1
python3 - <<'PY'
import csv
with open("cases.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "text", "kind"])
    for i in range(400): out.writerow([f"c{i}", f"case {i} is {'abcd'[i % 4]}", ["yes", "no"][i % 2]])
PY
cat > hone.yaml <<'YAML'
data: {file: cases.csv, input: [text], target: kind, id: id}
split: {train: 0.1, dev: 0.8, test: 0.1, seed: 7}
output: {choice: ["yes", "no"]}
YAML
cat > prompts/b.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}\nKind:"}]
answer: generate
constrain: false
parameters: {max_tokens: 12, seed: 3}
YAML
expect_status 0 eval b -m "$TINY" --limit 20 -p temperature=0,1 --repeat 2 --json
expect_json "[(x['run'], x['set'], x['repeat']) for x in r['runs']] == [('r1', {}, 1), ('r2', {'temperature': 1.0}, 1), ('r3', {'temperature': 1.0}, 2)]"
for run in r1 r2 r3; do
    expect_status 0 replay $run -m "$TINY" --json
    cp "$out" "$tmp/$run.json"
done

# gc takes away nothing that the evaluation uses: it ends as if alone, its run can be computed again
"$HONE" eval b -m "$TINY" --threads 1 --no-cache --json >"$tmp/eval.json" 2>"$tmp/eval.err" &
pid=$!
while kill -0 $pid 2>/dev/null; do expect_status 0 gc --json; done
wait $pid || fail "hone eval beside hone gc: $(cat "$tmp/eval.json" "$tmp/eval.err")"
expect_status 0 gc --json
last=$(python3 -c 'import json, sys; x = json.load(open(sys.argv[1]))["runs"][0]; assert x["n"] >= 300 and x["failed_cases"] == 0; print(x["run"])' "$tmp/eval.json") || fail "what eval says"
expect_status 0 replay "$last" -m "$TINY" --json
expect_status 0 show "$last" --json
expect_json "r['prompt_text'] and r['state'] == 'done'"
