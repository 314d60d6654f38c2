# Graders from end to end: graded with the answers, shown, compared, gated, judged again, a judge in both orders; a grader that fails leaves the answers.
source tests/cli/lib.bash
need_model
cd "$tmp" || exit 1
"$HONE" init p --example tickets >/dev/null || fail "hone init"
cd p || exit 1
mkdir graders
cp hone.yaml plain.yaml
echo 'function grade(case) return case.value == case.target and 1 or 0 end' >graders/same.lua
echo 'Is the team right for this ticket?' >graders/right.txt
cat >graders/length.py <<'PY'
import json, sys
for line in sys.stdin:
    print(json.dumps({"value": len(json.loads(line)["answer"])}), flush=True)
PY
sed '/^metric:/d' plain.yaml >hone.yaml
cat >>hone.yaml <<'YAML'
graders:
  - lua: graders/same.lua
  - program: [python3, graders/length.py]
  - log_loss
  - similarity: tfidf
  - judge: {rubric: graders/right.txt, grades: [wrong, right]}
metric: log_loss
YAML
for prompt in 1-vague 2-instructions; do
    "$HONE" eval $prompt -m "$MODEL" --limit 10 --json >"$tmp/$prompt.json" 2>"$tmp/stderr" || fail "hone eval: $(cat "$tmp/$prompt.json")"
done
python3 - "$tmp/1-vague.json" <<'PY' || fail "what eval says of graders"
import json, sys
run = json.load(open(sys.argv[1]))["runs"][0]
g = {x["name"]: x for x in run["graders"]}
assert list(g) == ["same", "length", "log_loss", "similarity", "right"], list(g)
assert g["same"]["value"] == run["metrics"]["accuracy"]["value"] and g["same"]["n"] == 10
assert g["log_loss"]["lower_is_better"] and g["log_loss"]["low"] <= g["log_loss"]["value"] <= g["log_loss"]["high"]
assert 0 < g["right"]["value"] < 1 and "no human grades" in g["right"]["sentences"][0]
PY
"$HONE" eval 1-vague 2-instructions -m "$MODEL" --limit 10 >"$tmp/out" 2>/dev/null || fail "hone eval of two"
grep -q '^by log_loss, against 1-vague:' "$tmp/out" || fail "no verdict by the metric: $(cat "$tmp/out")"
"$HONE" show r1 --json --predictions >"$tmp/out" || fail "hone show --json"
python3 - "$tmp/out" <<'PY' || fail "each answer's grades"
import json, sys
p = json.load(open(sys.argv[1]))["predictions"]
assert all(set(x["grades"]) == {"same", "length", "log_loss", "similarity", "right"} for x in p)
assert all(x["grades"]["same"]["value"] == x["correct"] for x in p) and p[0]["grades"]["right"]["details"]["grade"] in ("wrong", "right")
PY
"$HONE" show r1 >"$tmp/out" || fail "hone show"
grep -q '^same  *0\.[0-9]* \[' "$tmp/out" || fail "hone show has no grades"
"$HONE" compare r1 r2 --json >"$tmp/out" || fail "hone compare"
python3 - "$tmp/out" <<'PY' || fail "the verdict is about the metric"
import json, sys
v = json.load(open(sys.argv[1]))
assert v["metric"] == "log_loss" and {g["metric"] for g in v["graders"]} == {"same", "length", "log_loss", "similarity", "right"}
PY
"$HONE" eval 1-vague -m "$MODEL" --limit 10 --gate "length > 1 and log_loss < 1000" >/dev/null 2>&1 || fail "a gate on a grader"
"$HONE" eval 1-vague 2-instructions -m "$MODEL" --limit 10 --out r.xml --out r.md --out r.csv --out r.jsonl >/dev/null 2>&1 || fail "files of graded runs"
python3 - <<'PY' || fail "graders in files"
import csv, json, math, xml.etree.ElementTree as xml
names = ["same", "length", "log_loss", "similarity", "right"]
lines = [json.loads(line) for line in open("r.jsonl")]
rows = list(csv.DictReader(open("r.csv", newline="")))
assert len(lines) == len(rows) == 20
for line, row in zip(lines, rows):
    assert list(line["grades"]) == names and line["grades"]["same"] == line["correct"]
    for name in names: assert math.isclose(float(row["grade " + name]), line["grades"][name], rel_tol=1e-6, abs_tol=1e-9), (name, row)
suite = xml.parse("r.xml").getroot()[0]
properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
assert all(properties["grade " + name] for name in names), properties
graded = {c.get("name"): dict(x.split(": ") for x in c.find("system-out").text.split("\n") if x) for c in suite.iter("testcase")}
for line in lines[:10]: assert float(graded[line["case"]]["same"]) == line["correct"] and list(graded[line["case"]]) == names
md = open("r.md").read()
assert "#### Grades" in md and "| prompt | run | same | length | log\\_loss | similarity | right |" in md, md
PY
"$HONE" judge r1 r2 -m "$MODEL" >"$tmp/out" || fail "hone judge"
grep -q 'no human grades' "$tmp/out" || fail "a judge without people's grades must say so"

# a grader that fails: the answers stay, and judging again with a mended one needs no model
echo 'function grade(case) error("oh no") end' >graders/same.lua
"$HONE" eval 1-vague -m "$MODEL" --limit 10 >"$tmp/out" 2>&1 && fail "a failing grader is an error"
grep -q 'oh no' "$tmp/out" || fail "the script's message is shown: $(cat "$tmp/out")"
cp plain.yaml hone.yaml
printf 'graders: [exact, token_f1]\n' >>hone.yaml
"$HONE" regrade r1 --json >"$tmp/out" || fail "hone regrade"
python3 - "$tmp/out" <<'PY' || fail "what regrade says"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["parent"] == "r1" and r["changed"] == [] and [g["name"] for g in r["graders"]] == ["exact", "token_f1"]
PY
