# hone quantize RUN --formats: a trained tiny model in several formats, each measured on the run's cases; what passes follows from the figures, the smallest is
# named; runs are in the store, linked, and are not computed twice; what cannot be asked is refused.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
make_project "$tmp/p"
cd "$tmp/p" || exit 1
expect_status 0 tune --prompt a --base "$MODEL" --learning-rate 5e-3 --epochs 8 --json
expect_status 0 eval a -m tune:r1

# no margin is said, or one that 40 cases cannot show
expect_json_error bad_input 2 quantize r1 --formats q8_0 --margin 0.2
expect_json_error usage 2 quantize r2 --formats q8_0,q9 --margin 0.2
expect_json_error usage 2 quantize r2 --formats q8_0,q8_0 --margin 0.2
expect_json_error usage 2 quantize r2 --formats q8_0 --format q8_0 -o x
expect_json_error not_found 2 quantize r99 --formats q8_0 --margin 0.2
expect_json_error bad_input 2 quantize r2 --formats q8_0 --margin 0.2 -m "$MODEL"
expect_json "'-m MODEL' in r['error']['hint']"
run quantize r2 --formats q8_0,q4_1 --margin 0.001
[ "$status" = 1 ] || fail "a margin of a tenth of a point: exit status $status"
expect_in_out "No format is shown to be not worse. To tell, about"
expect_error "no format is shown to be not worse than r2"

# with one that they can: verdicts, Holm and the smallest follow from what is told
expect_status 0 quantize r2 --formats q8_0,q4_1,q4_0,bf16 --margin 0.2 -o best.gguf --json
cp "$out" "$tmp/first.json"
python3 - "$out" <<'PY' || fail "the result"
import json, os, sys
r = json.load(open(sys.argv[1]))
f = r["formats"]
assert r["run"] == "r2" and r["margin"] == 0.2 and r["source_format"] == "F32" and not r["starts_quantised"]
assert [x["format"] for x in f] == ["Q8_0", "Q4_1", "Q4_0", "BF16"]
order, worst = sorted(range(4), key=lambda i: f[i]["p"]), 0
for rank, i in enumerate(order):
    worst = max(worst, min(1, f[i]["p"] * (4 - rank)))
    assert abs(f[i]["p_adjusted"] - worst) < 1e-12, (f[i], worst)
for x in f:
    assert x["n"] == 40 and x["bytes"] == os.path.getsize(x["path"]) and x["only_run_right"] >= 0
    assert (x["verdict"] == "not_worse") == (x["p_adjusted"] <= 0.025), x
    if x["verdict"] == "not_worse": assert x["difference"]["low"] > -0.2, x
    if x["verdict"] == "worse": assert x["difference"]["high"] < 0, x
    assert abs(x["difference"]["value"] - (x["accuracy"]["value"] - r["accuracy"]["value"])) < 1e-12
passed = [x for x in f if x["verdict"] == "not_worse"]
assert passed and r["smallest"] == min(passed, key=lambda x: x["bytes"])["format"]
assert f[3]["verdict"] == "not_worse" and f[0]["verdict"] == "not_worse"
best = min(passed, key=lambda x: x["bytes"])
assert open("best.gguf", "rb").read() == open(best["path"], "rb").read()
PY
python3 - "$ROOT/docs/json.md" "$out" <<'PY' || fail "docs/json.md tells other fields"
import json, re, sys
told = json.loads(re.search(r"```json quantize_run\n(.*?)\n```", open(sys.argv[1], encoding="utf-8").read(), re.S).group(1))
have = json.load(open(sys.argv[2]))
assert set(told) == set(have) and set(told["formats"][0]) == set(have["formats"][0])
PY
expect_json_error exists 2 quantize r2 --formats q8_0 --margin 0.2 -o best.gguf

# each is an ordinary run, linked to r2, the same that `hone eval` would have made; a second time nothing is computed or written
q8=$(python3 -c "import json,sys; print(json.load(open(sys.argv[1]))['formats'][0]['path'])" "$tmp/first.json")
id=$(python3 -c "import json,sys; print(json.load(open(sys.argv[1]))['formats'][0]['run'])" "$tmp/first.json")
expect_status 0 show "$id"
expect_in_out "quantized of r2"
expect_status 0 replay "$id"
expect_in_out "the same bits"
touch -d '2001-01-01' "$q8"
expect_status 0 quantize r2 --formats q8_0,q4_1,q4_0,bf16 --margin 0.2 --json
FIRST=$tmp/first.json expect_json "r == json.load(open(os.environ['FIRST']))"
[ "$(date -r "$q8" +%Y)" = 2001 ] || fail "the file was written again"
expect_status 0 compare r2 "$id"

# without formats: the usual ones
expect_status 0 quantize r2 --margin 0.3 --json
expect_json "[x['format'] for x in r['formats']] == ['Q8_0', 'Q6_K', 'Q5_K', 'Q4_K', 'Q4_0'] and r['formats'][1]['fallbacks'] == 15"

# a model that is quantised already is said to be; the test split is not for choosing
expect_status 0 eval a -m "$q8" --json
ID=$id expect_json "r['runs'][0]['run'] == os.environ['ID']"
expect_status 0 quantize "$id" --formats q4_0,q8_0 --margin 0.2
expect_in_out "The run's weights are Q8_0 already"
expect_status 0 eval a -m tune:r1 --split test
expect_json_error bad_input 2 quantize last --formats q8_0 --margin 0.2
expect_json "'test' in r['error']['message']"
[ -z "$(find . -name '*.part')" ] || fail "a part is left"
