# `hone tune` with the tiny model: it learns, its model answers as it was scored, kills at any moment change no bit, and what would teach
# nonsense is refused with the remedy.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
make_project "$tmp/p"
cd "$tmp/p" || exit 1
tune() { expect_status 0 tune --prompt a --base "$MODEL" --learning-rate 5e-3 --epochs 8 --json "$@"; }
tuned() { sha256sum <".hone/models/$(ls -t .hone/models | head -1)/adapter/adapter_model.safetensors"; }

tune
python3 - "$out" <<'PY' || fail "the training's result"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["model"] == "tune:r1" and r["train_cases"] == 80 and r["dev_cases"] == 40
counts = [e["n_correct"] for e in r["epochs"]]
losses = [e["train_loss"] for e in r["epochs"][1:]]
assert r["epochs"][0]["train_loss"] is None and losses[-1] < losses[0] / 2, losses
best = max(counts[1:])
assert best >= 36 and best > counts[0], counts
assert counts[r["best_epoch"]] == best and abs(r["accuracy"]["value"] - best / 40) < 1e-12
PY
cp "$out" "$tmp/trained.json"
first=$(tuned)
# what was scored is what is served
expect_status 0 eval a -m tune:r1 --json
python3 - "$tmp/trained.json" "$out" <<'PY' || fail "hone eval -m tune:r1 differs from what the training saw"
import json, sys
trained, served = (json.load(open(f)) for f in sys.argv[1:])
assert served["runs"][0]["metrics"]["accuracy"]["value"] == trained["accuracy"]["value"]
PY
# and can be taken elsewhere: the merged folder answers the same cases alike
expect_status 0 export --model tune:r1 --type f32 -o "$tmp/merged" --json
expect_status 0 eval a -m "$tmp/merged" --json
cp "$out" "$tmp/merged.json"
python3 - "$tmp/trained.json" "$tmp/merged.json" <<'PY' || fail "the merged model answers otherwise"
import json, sys
trained, merged = (json.load(open(f)) for f in sys.argv[1:])
assert merged["runs"][0]["metrics"]["accuracy"]["value"] == trained["accuracy"]["value"]
PY
# done is done; one thread or two, the same bits
tune
grep -qE '"run": ?"r1"' "$out" || fail "the same training ran again"
tune --fresh --threads 1
[ "$(tuned)" = "$first" ] || fail "another number of threads gave other weights"
expect_status 2 eval a -m tune:r2
expect_error "this is no training"
expect_status 0 log
expect_status 0 show r1

# Killed at random moments until it is through: the same weights as a run that was left alone.
make_project "$tmp/killed"
cd "$tmp/killed" || exit 1
kill_until_done tune --prompt a --base "$MODEL" --learning-rate 5e-3 --epochs 8 || fail "a killed training"
[ "$(ls .hone/models | wc -l)" = 2 ] || fail "a killed training began another run"
[ "$(tuned)" = "$first" ] || fail "a killed training gave other weights"

# A checkpoint that is damaged counts as none: the training begins again, and ends the same.
make_project "$tmp/damaged"
cd "$tmp/damaged" || exit 1
MODEL=$MODEL HONE=$HONE python3 - <<'PY' || fail "no checkpoint was left"
import glob, os, signal, subprocess, time
job = subprocess.Popen([os.environ["HONE"], "tune", "--prompt", "a", "--base", os.environ["MODEL"], "--learning-rate", "5e-3", "--epochs", "8"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while not glob.glob(".hone/models/*/checkpoint.bin"): assert job.poll() is None
job.send_signal(signal.SIGKILL)
job.wait()
name = glob.glob(".hone/models/*/checkpoint.bin")[0]
bytes_ = bytearray(open(name, "rb").read())
bytes_[len(bytes_) // 2] ^= 1
open(name, "wb").write(bytes_)
PY
expect_status 0 tune --prompt a --base "$MODEL" --learning-rate 5e-3 --epochs 8
[ "$(tuned)" = "$first" ] || fail "a damaged checkpoint changed the weights"

# what would teach nonsense
cd "$tmp/p" || exit 1
# a flag that the method has no use for is no silent nothing
expect_status 2 tune --prompt a --base "$MODEL" --beta 0.2
expect_error "method lora on this data has no such setting"
expect_status 2 tune --base "$MODEL"
expect_error "--prompt is missing"
expect_status 3 tune --prompt a --base tune:r1
expect_error "has an adapter already"
printf 'messages: [{user: "{{ text }}:"}]\ntemplate: raw\nreasoning: {max_tokens: 8}\n' >prompts/thinks.yaml
expect_status 3 tune --prompt thinks --base "$MODEL"
expect_error "served with reasoning"
expect_status 4 tune --prompt a --base "$MODEL" --max-length 3
expect_error "an answer is cut off"
expect_status 2 tune --prompt a --base "$MODEL" --limit 1
expect_error "no training case"
expect_status 2 tune --prompt a --base "$MODEL" --learning-rate 1 --alpha 1e6 --clip 0 --warmup 0
expect_error "the loss ran away"
python3 - <<'PY'
rows = open("cases.csv").read().splitlines()
open("train.csv", "w").write("\n".join([rows[0]] + rows[1:80]) + "\n")
open("dev.csv", "w").write("\n".join([rows[0]] + ["x" + row for row in rows[70:120]]) + "\n")
PY
sed -i 's/^data:.*/data: {train: train.csv, dev: dev.csv, input: [text], target: kind, id: id}/; /^split/d' hone.yaml
expect_status 2 tune --prompt a --base "$MODEL"
expect_error "train.csv"
