# `hone tune --method full` with the tiny model: all weights learn, the result is a whole model that eval and export take like any other, and a training
# that is killed goes on with the same bits.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
make_project "$tmp/p"
cd "$tmp/p" || exit 1
TUNE=(tune --prompt a --base "$MODEL" --method full --learning-rate 2e-3 --epochs 6)
tuned() { sha256sum <".hone/models/$(ls -t .hone/models | head -1)/model/model.safetensors"; }

expect_status 0 "${TUNE[@]}" --json
cp "$out" "$tmp/trained.json"
first=$(tuned)
python3 - "$out" <<'PY' || fail "the training's result"
import json, sys
r = json.load(open(sys.argv[1]))
counts = [e["n_correct"] for e in r["epochs"]]
assert max(counts[1:]) >= 36 and max(counts[1:]) > counts[0], counts
PY
for name in config.json model.safetensors tokenizer.json; do
    [ -s ".hone/models/$(ls .hone/models | head -1)/model/$name" ] || fail "no $name"
done
# what was scored is what is served, under its name and as a folder
for model in tune:r1 "$(ls -d "$PWD"/.hone/models/*/model)"; do
    expect_status 0 eval a -m "$model" --json
    python3 - "$tmp/trained.json" "$out" <<'PY' || fail "hone eval -m $model differs from what the training saw"
import json, sys
trained, served = (json.load(open(f)) for f in sys.argv[1:])
assert served["runs"][0]["metrics"]["accuracy"]["value"] == trained["accuracy"]["value"]
PY
done
expect_status 0 export --model tune:r1 --type f32 -o "$tmp/taken"
cmp "$tmp/taken/model.safetensors" "$(ls -d .hone/models/*/model)/model.safetensors" || fail "the export changed weights"

make_project "$tmp/killed"
cd "$tmp/killed" || exit 1
kill_until_done "${TUNE[@]}" || fail "a killed training"
[ "$(tuned)" = "$first" ] || fail "a killed full training gave other weights"

cd "$tmp/p" || exit 1
expect_status 2 tune --prompt a --base "$MODEL" --method half
expect_error "no method of training called half"
