# `hone tune --method distill` with the tiny model: a student with a short prompt learns what a teacher with a long one answers, its labels unseen; at
# the end the two are compared on dev; kills at any moment change no bit.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
project() { # DIR
    make_project "$1"
    echo 'smallest_difference: 0.25' >>"$1/hone.yaml"
    cat >"$1/prompts/long.yaml" <<'YAML'
template: raw
messages: [{user: "Read the number and the letters that stand behind it, then say yes or no. {{ text }}:"}]
YAML
}
project "$tmp/p"
cd "$tmp/p" || exit 1
tuned() { sha256sum <"$(ls -td .hone/models/* | head -1)/adapter/adapter_model.safetensors"; }
BARE=(tune --method distill --base "$MODEL" --learning-rate 5e-3 --epochs 5)
DISTILL=("${BARE[@]}" --prompt a --teacher-prompt long)

expect_status 0 tune --prompt long --base "$MODEL" --learning-rate 5e-3 --epochs 5 --json
# the training cases lose their labels: the teacher alone says what is learned
expect_status 0 "${DISTILL[@]}" --teacher tune:r1 --json
cp "$out" "$tmp/distilled.json"
python3 - "$out" <<'PY' || fail "the distillation"
import json, sys
r = json.load(open(sys.argv[1]))
d = r["distillation"]
losses = [e["train_loss"] for e in r["epochs"][1:]]
assert losses[-1] < losses[0] / 10, losses
assert d["verdict"] == "equivalent" and d["n"] == 40 and d["learned"] == "label probabilities", d
assert d["teacher"] == "tune:r1" and d["teacher_prompt"] == "long" and d["agreement"]["value"] > 0.95
assert d["student_accuracy"] == r["accuracy"]["value"] and d["teacher_accuracy"] > 0.9
assert d["difference"]["low"] <= d["student_accuracy"] - d["teacher_accuracy"] <= d["difference"]["high"]
assert d["tokens_saved"] == d["teacher_prompt_tokens"] - d["student_prompt_tokens"] > 20
PY
expect_status 0 eval a -m tune:r2 --json
python3 - "$tmp/distilled.json" "$out" <<'PY' || fail "the student is served otherwise"
import json, sys
trained, served = (json.load(open(f)) for f in sys.argv[1:])
assert served["runs"][0]["metrics"]["accuracy"]["value"] == trained["accuracy"]["value"]
PY
expect_status 0 "${DISTILL[@]}" --teacher tune:r1
grep -q "^Equivalent" "$out" || fail "no verdict shown"
# a teacher that only generates gives its words; a share of the truth can be mixed in
sed 's/^template/answer: generate\ntemplate/' prompts/long.yaml >prompts/says.yaml
expect_status 0 "${BARE[@]}" --prompt a --teacher-prompt says --teacher tune:r1 --json
python3 - "$out" <<'PY' || fail "a teacher's answers"
import json, sys
d = json.load(open(sys.argv[1]))["distillation"]
assert d["learned"] == "answers" and d["agreement"]["value"] > 0.9, d
PY
expect_status 0 "${DISTILL[@]}" --truth 1 --json
python3 - "$out" <<'PY' || fail "the truth"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["distillation"]["teacher_accuracy"] < 0.7 and r["accuracy"]["value"] > 0.9, r["distillation"]
assert r["distillation"]["verdict"] == "better"
PY

# one thread or two, killed or not: the same bits
project "$tmp/whole"
cd "$tmp/whole" || exit 1
expect_status 0 "${DISTILL[@]}" --json
first=$(tuned)
project "$tmp/alone"
cd "$tmp/alone" || exit 1
expect_status 0 "${DISTILL[@]}" --threads 1 --json
[ "$(tuned)" = "$first" ] || fail "another number of threads gave other weights"
project "$tmp/killed"
cd "$tmp/killed" || exit 1
kill_until_done "${DISTILL[@]}" || fail "a killed distillation"
[ "$(tuned)" = "$first" ] || fail "a killed distillation gave other weights"

expect_status 2 tune --method distill --prompt a --base "$MODEL"
expect_error "nobody to learn from"
expect_status 2 tune --method distill --prompt a --teacher-prompt a --base "$MODEL"
expect_error "same model with the same prompt"
expect_status 2 "${DISTILL[@]}" --label-smoothing 0.1
expect_error "the teacher's word"
expect_status 2 tune --prompt a --teacher-prompt long --base "$MODEL"
expect_error "a teacher is for --method distill"
sed 's/^template/calibrate: prior\ntemplate/' prompts/a.yaml >prompts/prior.yaml
expect_status 3 "${BARE[@]}" --prompt prior --teacher-prompt long
expect_error "corrected twice"
