# LoRA's settings against learning by heart, with the tiny model: dropout, DoRA and label smoothing learn, answer as they were scored, merge, and go on after
# kills with the same bits.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
make_project "$tmp/p"
cd "$tmp/p" || exit 1
BARE=(tune --prompt a --base "$MODEL" --learning-rate 5e-3 --epochs 6 --dora --label-smoothing 0.05)
TUNE=("${BARE[@]}" --dropout 0.1)
tuned() { sha256sum <"$(ls -td .hone/models/* | head -1)/adapter/adapter_model.safetensors"; }

expect_status 0 "${TUNE[@]}" --json
cp "$out" "$tmp/trained.json"
first=$(tuned)
python3 - "$out" .hone/models/*/adapter/adapter_config.json <<'PY' || fail "the training's result"
import json, sys
r, config = (json.load(open(f)) for f in sys.argv[1:])
counts = [e["n_correct"] for e in r["epochs"]]
assert max(counts[1:]) >= 36 and max(counts[1:]) > counts[0], counts
assert config["use_dora"] is True and config["lora_dropout"] == 0.1
PY
expect_status 0 export --model tune:r1 --type f32 -o "$tmp/merged" --json
for model in tune:r1 "$tmp/merged"; do
    expect_status 0 eval a -m "$model" --json
    python3 - "$tmp/trained.json" "$out" <<'PY' || fail "hone eval -m $model differs from what the training saw"
import json, sys
trained, served = (json.load(open(f)) for f in sys.argv[1:])
assert served["runs"][0]["metrics"]["accuracy"]["value"] == trained["accuracy"]["value"]
PY
done
expect_status 0 "${TUNE[@]}" --fresh --threads 1
[ "$(tuned)" = "$first" ] || fail "another number of threads gave other weights"
expect_status 0 "${BARE[@]}" --dropout 0.2 --json
grep -qE '"run": ?"r[5-9]"' "$out" || fail "another dropout is not another run: $(head -c 200 "$out")"

make_project "$tmp/killed"
cd "$tmp/killed" || exit 1
kill_until_done "${TUNE[@]}" || fail "a killed training"
[ "$(tuned)" = "$first" ] || fail "a killed training gave other weights"
