# `hone tune --curve` and `--sweep` with the tiny model: every training is a run, what is done is not done again, and the report of a training has its curves.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
make_project "$tmp/p"
cd "$tmp/p" || exit 1
TUNE=(tune --prompt a --base "$MODEL" --learning-rate 5e-3)

expect_status 0 "${TUNE[@]}" --epochs 3 --curve 40,20,all --json
python3 - "$out" <<'PY' || fail "the curve"
import json, sys
c = json.load(open(sys.argv[1]))["curve"]
assert [p["train_cases"] for p in c] == [20, 40, 80] and [p["run"] for p in c] == ["r1", "r2", "r3"], c
assert [p["steps"] for p in c] == [9, 15, 30]
assert all(p["accuracy"]["low"] <= p["accuracy"]["value"] <= p["accuracy"]["high"] for p in c)
assert c[-1]["accuracy"]["value"] >= 0.9
PY
expect_status 0 "${TUNE[@]}" --epochs 3 --curve 20,40,80
grep -qE "^ *80 .*r3" "$out" || fail "the curve ran again: $(cat "$out")"
expect_status 0 eval a -m tune:r2 --json
expect_status 2 "${TUNE[@]}" --curve 81
expect_error "there are 80 to train on"
expect_status 2 "${TUNE[@]}" --curve 10,x
expect_error "--curve takes"

# Four trials: two rungs, the better half goes on with twice the steps. A learning rate that cannot learn does not win, one that runs away is no end.
expect_status 0 "${TUNE[@]}" --epochs 4 --sweep learning-rate=1e-9,5e-3 --sweep rank=2,4 --json
python3 - "$out" <<'PY' || fail "the sweep"
import json, sys
r = json.load(open(sys.argv[1]))
s = r["sweep"]
assert r["trials"] == 4 and [t["rung"] for t in s] == [1] * 4 + [2] * 2, s
assert [t["steps"] for t in s] == [20] * 4 + [40] * 2 and sum(t["goes_on"] for t in s) == 2
first = s[:4]
values = [t["accuracy"]["value"] for t in first]
assert values == sorted(values, reverse=True) and {t["trial"] for t in s[4:]} == {t["trial"] for t in first[:2]}
assert "learning_rate 0.005" in r["settings"] and r["winner"] == s[4]["run"] and "best of all trials" in r["optimistic"]
assert len({t["run"] for t in s}) == 6
PY
expect_status 0 "${TUNE[@]}" --epochs 4 --sweep learning-rate=1e-9,5e-3 --sweep rank=2,4
grep -q "This figure is optimistic: it is the highest of 4 trials" "$out" || fail "$(cat "$out")"
expect_status 0 "${TUNE[@]}" --epochs 2 --clip 0 --warmup 0 --alpha 1e6 --sweep learning-rate=5e-3,1
grep -q "the loss ran away" "$out" || fail "$(cat "$out")"
expect_status 2 "${TUNE[@]}" --sweep rank=2.5
expect_error "must be a whole number"
expect_status 2 "${TUNE[@]}" --sweep colour=1
expect_error "is no setting"
expect_status 2 "${TUNE[@]}" --sweep rank=2 --sweep rank=4
expect_error "swept twice"

# the report of a training
expect_status 0 export r3 -o report.html
python3 - <<'PY' || fail "the report"
import html.parser, re
text = open("report.html").read()
assert "<h3>Training</h3>" in text and text.count("<polyline") == 2 and "Accuracy on dev while training" in text
points = re.findall(r'<polyline[^>]*points="([^"]*)"', text)
assert len(points[0].split()) == 30 and len(points[1].split()) == 4, [len(p.split()) for p in points]
assert "(0 of 0)" not in text
html.parser.HTMLParser().feed(text)
PY
