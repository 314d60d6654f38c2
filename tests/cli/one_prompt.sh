# On banking77 with a fixed list of five prompts: the same command again computes nothing, and after an edit of one prompt that prompt alone. Counted in
# answers computed, with the tiny model and 40 cases; bench/proofs/run does the same with the real one.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
need_shared data/banking77/train.csv
TINY=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
DATA=$(realpath "$SHARED/data/banking77/train.csv")
mkdir "$tmp/p" && cd "$tmp/p" && cp -r "$ROOT/bench/proofs/prompts" . || exit 1
python3 - "$DATA" <<'PY'
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
labels = sorted({row["category"] for row in rows})
with open("train.csv", "w", newline="", encoding="utf-8") as f:
    out = csv.writer(f)
    out.writerow(["text", "category"])
    for row in rows[::5]: out.writerow([row["text"][:16], row["category"]])
open("hone.yaml", "w").write(
    "data: {file: train.csv, input: [text], target: category}\nsplit: {train: 0.9, dev: 0.1, test: 0, seed: 7, stratify: true}\n"
    f"output: {{choice: {json.dumps(labels)}}}\n")
PY
# the tiny model has room for 128 tokens: fewer examples
sed -i 's/n: 2/n: 1/' prompts/4-two-near.yaml
sed -i 's/{pick: nearest, n: 6}/{pick: random, n: 1}/' prompts/5-six-near.yaml
evaluate() { expect_status 0 eval -m "$TINY" --limit 40 --allow-leakage --json; }
evaluate
expect_json "[x['n'] for x in r['runs']] == [40] * 5 and sum(x['n'] - x['cached_cases'] for x in r['runs']) >= 160"
expect_json "all(x['failed_cases'] == 0 for x in r['runs'])"
evaluate
expect_json "[x['n'] - x['cached_cases'] for x in r['runs']] == [0] * 5"
sed -i 's/A customer of a bank writes/A customer writes to a bank/' prompts/3-told.yaml
evaluate
expect_json "[(x['prompt'], x['n'] - x['cached_cases']) for x in r['runs'] if x['n'] != x['cached_cases']] == [('3-told', 40)]"
