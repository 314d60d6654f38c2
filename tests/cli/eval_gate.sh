# `hone eval`: gates and their exit status, results as JUnit, Markdown, CSV, JSON Lines and JSON, with data that would break each of them; parameters,
# repetitions, several models, the classification report. With the tiny model.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
TINY=$(realpath "$SHARED/goldens/tiny")
XSD=$ROOT/tests/fixtures/junit.xsd
mkdir -p "$tmp/p/prompts"
cd "$tmp/p" || exit 1
python3 - <<'PY'
import csv
labels = ["yes", "no", 'may|be <&> "@you" ]]> `x`']
with open("cases.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "text", "kind", "who"])
    for i in range(160): out.writerow([f'c{i} "<{i}>"', f"case {i} it is {'abcd'[i % 4]}", labels[i % 3], f"w{i // 2}"])
PY
cat > hone.yaml <<'YAML'
data: {file: cases.csv, input: [text], target: kind, id: id, group: who}
split: {train: 0.4, dev: 0.4, test: 0.2, seed: 7}
output: {choice: ["yes", "no", 'may|be <&> "@you" ]]> `x`']}
smallest_difference: 0.05
baseline: majority
YAML
cat > prompts/a.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}:"}]
YAML
cat > prompts/b.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}\nKind:"}]
answer: generate
constrain: false
parameters: {max_tokens: 12, seed: 3}
YAML
M="-m $TINY/llama/model.gguf"

# a gate that is passed, one that is not, and the files
expect_status 0 eval a $M --gate "accuracy >= 0 and (invalid <= 1 % or n < 3)" --out r.xml
expect_in_out "the gate is passed"
expect_in_out "holds  r1  accuracy >= 0"
expect_status 1 eval a b $M --gate "accuracy > 99 % or lower(accuracy) > 0.99" --out r.xml --out r.md --out r.csv --out r.jsonl --out r.json
expect_in_out "fails  r1  accuracy > 99 %"
expect_error "2 of 2 runs did not pass the gate"
python3 - <<'PY' || fail "a file is not what it should be"
import csv, json, xml.etree.ElementTree as xml
label = 'may|be <&> "@you" ]]> `x`'
rows = list(csv.DictReader(open("r.csv", newline="", encoding="utf-8")))
lines = [json.loads(line) for line in open("r.jsonl", encoding="utf-8").read().split("\n")[:-1]]
whole = json.load(open("r.json", encoding="utf-8"))
n = whole["runs"][0]["n"]
assert len(rows) == len(lines) == 2 * n and whole["gate"]["passed"] is False
assert [x["gate"]["passed"] for x in whole["runs"]] == [False, False]
for a, b in zip(rows, lines):
    for key in ("run", "prompt", "case", "group", "target", "answer", "text", "finish"):
        assert a[key] == (b[key] or "").replace("\0", ""), (key, a[key], b[key])
    assert (a["correct"] == "1") is b["correct"]
assert any(r["target"] == label for r in rows) and any("\n" in r["text"] or r["text"] for r in rows)
root = xml.parse("r.xml").getroot()
assert root.tag == "testsuites" and [s.get("name") for s in root] == ["gate", "a", "b"]
cases = {s.get("name"): list(s.iter("testcase")) for s in root}
assert len(cases["gate"]) == 4 and all(c.find("failure") is not None for c in cases["gate"])
assert len(cases["a"]) == len(cases["b"]) == n
by_case = {r["case"]: r for r in rows if r["prompt"] == "a"}
for c in cases["a"]:
    r = by_case[c.get("name")]
    skipped = c.find("skipped")
    assert (skipped is None) == (r["correct"] == "1")
    if skipped is not None: assert skipped.get("message") == f"answered {r['answer'] or 'nothing valid'}, target {r['target']}"
for s in root:
    for kind in ("failure", "error", "skipped"):
        name = {"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]
        assert int(s.get(name)) == len(list(s.iter(kind))), (s.get("name"), kind)
    assert int(s.get("tests")) == len(list(s.iter("testcase")))
assert int(root.get("tests")) == len(list(root.iter("testcase"))) and int(root.get("failures")) == len(list(root.iter("failure")))
text = open("r.md", encoding="utf-8").read()
assert "**the gate is not passed**" in text and "<" not in text and "@" not in text.replace("&#64;", "")
for line in text.splitlines():
    if line.startswith("|"): assert line.replace("\\|", "").count("|") in (5, 7), line
PY
if command -v xmllint >/dev/null; then
    xmllint --noout --schema "$XSD" r.xml || fail "r.xml does not fit the schema"
fi
python3 - "$XSD" r.xml <<'PY' || fail "r.xml does not fit the schema"
# The schema's elements, their order, and their attributes, for where there is no xmllint.
import sys, xml.etree.ElementTree as xml
X = "{http://www.w3.org/2001/XMLSchema}"
schema = {e.get("name"): e for e in xml.parse(sys.argv[1]).getroot().findall(X + "element")}
def check(node):
    kind = schema[node.tag].find(X + "complexType")
    attributes = {a.get("name"): a for a in kind.iter(X + "attribute")}
    assert set(node.attrib) <= set(attributes), (node.tag, set(node.attrib) - set(attributes))
    for name, a in attributes.items(): assert a.get("use") != "required" or name in node.attrib, (node.tag, name)
    for name, value in node.attrib.items():
        if attributes[name].get("type") == "xs:decimal": float(value)
        if attributes[name].get("type") == "xs:nonNegativeInteger": assert int(value) >= 0
    order = [e.get("ref") for e in kind.iter(X + "element")]
    places = [order.index(child.tag) for child in node]
    assert places == sorted(places), (node.tag, places)
    for child in node: check(child)
check(xml.parse(sys.argv[2]).getroot())
PY
# without a gate wrong answers are failures
expect_status 0 eval b $M --out r.xml
python3 -c '
import xml.etree.ElementTree as xml
s = xml.parse("r.xml").getroot()[0]
assert int(s.get("failures")) == len(list(s.iter("failure"))) > 0 and s.get("skipped") == "0"' || fail "failures are not counted"

# verdicts in a gate
expect_status 0 eval a $M --gate "not worse than r1 and equivalent to r1"
expect_in_out "this is r1 (a) itself"
expect_status 1 eval b $M --gate "better than bag_of_words"
expect_in_out "against a bag of words"
expect_json_error bad_input 2 eval a $M --limit 7 --split test --gate "better than r1"

# programs: the result stands alone on standard output, the status says the rest
run eval a $M --gate "accuracy > 2 %" --json
ok=$status
expect_json "r['gate']['text'] == 'accuracy > 2 %' and r['gate']['passed'] == ($ok == 0)"
run eval a $M --gate "accuracy < 0" --json
[ "$status" = 1 ] || fail "exit status $status"
[ -s "$errors" ] && fail "something stands on standard error: $(cat "$errors")"
expect_json "r['runs'][0]['gate']['clauses'][0]['holds'] is False"

# mistakes show before any work
for gate in "accuracy >=" "accuracy 3" "(accuracy > 0" "accuracy > 0)" "better than" "and" "accuracy > 0 or" "accuracy > x" "" ; do
    expect_json_error usage 2 eval a $M --gate "$gate"
    expect_json "r['error']['where'].startswith('--gate:')"
done
expect_json_error usage 2 eval a $M --gate "$(printf '(%.0s' $(seq 60)) accuracy > 0"
expect_json_error usage 2 eval a $M --gate "acuracy > 0"
expect_json "'accuracy?' in r['error']['hint']"
expect_json_error usage 2 eval a $M --gate "accuracy > 90"
expect_json_error not_found 2 eval a $M --gate "better than r99"
expect_json_error usage 2 eval a $M --out r.html
expect_json_error not_found 2 eval a $M --out no/r.xml

# parameters, repetitions, models
expect_status 0 eval a b $M -p temperature=0,1 --repeat 3 --json
expect_json "[(x['prompt'], x['set'], x['repeat']) for x in r['runs']] == [('a', {}, 1), ('b', {}, 1), ('b', {'temperature': 1.0}, 1), ('b', {'temperature': 1.0}, 2), ('b', {'temperature': 1.0}, 3)]"
expect_json "[x['repeats'] for x in r['repeats']] == [3] and [p['k'] for p in r['repeats'][0]['pass']] == [1, 2, 3]"
expect_json "all(x['cached_cases'] == 0 for x in r['runs'] if x['repeat'] > 1)"
expect_json "len(r['comparisons']) == 2 and r['reference'] == 'a' and all(c['p_holm'] >= c['p'] for c in r['comparisons'])"
expect_status 0 eval a b $M -p temperature=0,1 --repeat 3
expect_in_out "would be the same by construction"
expect_in_out "pass@3"
python3 -c 'import sys; b = bytearray(open(sys.argv[1], "rb").read()); b[-3] ^= 1; open("other.gguf", "wb").write(b)' "$TINY/llama/model.gguf"
expect_status 0 eval a b $M -m other.gguf --json
expect_json "[(x['prompt'], x['model']) for x in r['runs']] == [('a', 'model.gguf'), ('b', 'model.gguf'), ('a', 'other.gguf'), ('b', 'other.gguf')]"
expect_json "len({x['run'] for x in r['runs']}) == 4 and r['best']['chosen_from'] == 4 and len(r['comparisons']) == 3"
expect_json_error usage 2 eval a $M -p temperature=0.5
expect_json_error usage 2 eval a $M -p temperatur=0.5
expect_json_error not_found 2 eval a b $M --reference c
expect_status 0 eval a b $M --reference bag_of_words --json
expect_json "r['reference'] == 'a bag of words' and len(r['comparisons']) == 2"

# progress for programs
run eval b $M --progress json --no-cache --json
python3 - "$errors" <<'PY' || fail "progress is not as documented"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines and lines[-1]["saved"] == lines[-1]["cases"] and all(a["saved"] < b["saved"] for a, b in zip(lines, lines[1:]))
PY

# the classification report
expect_status 0 eval a $M --report --json
expect_json "abs(sum(c['f1'] for c in r['runs'][0]['report']['classes']) / 3 - r['runs'][0]['report']['macro']['f1']) < 1e-9"
expect_json "abs(r['runs'][0]['report']['micro']['f1'] - r['runs'][0]['metrics']['accuracy']['value']) < 1e-9 and r['runs'][0]['report']['log_loss'] > 0"
expect_status 0 eval a $M --report
expect_in_out "Matthews correlation"

# the script for continuous integration
ci() { out=$tmp/stdout errors=$tmp/stderr; HONE=$HONE "$@" sh "$ROOT/packaging/ci/hone-gate" $M >"$out" 2>"$errors"; status=$?; }
ci env PROMPTS=a GATE="accuracy >= 0" OUT=ci-results
[ "$status" = 0 ] || fail "exit status $status: $(cat "$out" "$errors")"
for file in results.xml comment.md answers.csv results.json; do [ -s "ci-results/$file" ] || fail "$file was not written"; done
ci env PROMPTS="a b" GATE="accuracy > 0.99"
[ "$status" = 1 ] && grep -q "not passed" hone-results/comment.md || fail "exit status $status: $(cat "$out" "$errors")"
ci env PROMPTS=nothing
[ "$status" = 2 ] || fail "exit status $status"
ci env PROMPTS=a
grep -qF "not worse than baseline" "$out" || fail "the default gate was not checked: $(cat "$out" "$errors")"
