# `hone tune --method dpo` and `orpo` with the tiny model: from preference pairs it learns to prefer what was chosen, also in pairs that were held out; kills
# at any moment change no bit; pairs that say nothing are refused with their lines.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
mkdir "$tmp/d" "$tmp/killed"
cd "$tmp/d" || exit 1
python3 - <<'PY'
import json
def write(name, rows): open(name, "w").write("".join(json.dumps(r) + "\n" for r in rows))
def pair(i, **more):
    good, bad = (("yes", "no"), ("no", "yes"))[i % 2]
    return {"prompt": f"number {i * 7919 % 1000} {'ab'[i % 2] * 3}:", "chosen": good, "rejected": bad, **more}
write("pairs.jsonl", [pair(i) for i in range(80)])
write("same.jsonl", [pair(i, rejected=[{"role": "assistant", "content": pair(i)["chosen"], "name": "x"}]) if i in (3, 8) else pair(i) for i in range(20)])
write("equal.jsonl", [pair(i, rejected=pair(i)["chosen"]) if i == 4 else pair(i) for i in range(20)])
write("chat.jsonl", [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": str(i)}]} for i in range(20)])
PY
cp pairs.jsonl "$tmp/killed"
TUNE=(tune --data pairs.jsonl --base "$MODEL" --held-out 0.2 --learning-rate 2e-3 --epochs 3)
tuned() { sha256sum <"$(ls -td .hone/models/* | head -1)/adapter/adapter_model.safetensors"; }

expect_status 0 "${TUNE[@]}" --method dpo --json
first=$(tuned)
python3 - "$out" <<'PY' || fail "dpo"
import json, math, sys
r = json.load(open(sys.argv[1]))
before, after = r["epochs"][0], r["epochs"][r["best_epoch"]]
assert r["method"] == "dpo" and r["dev_cases"] == 16 and r["accuracy"] is None and r["perplexity"] is None
assert abs(before["held_out_loss"]["value"] - math.log(2)) < 1e-6 and "reward_margin" not in before, before  # the reference against itself
assert after["held_out_loss"]["value"] < 0.2 and after["reward_accuracy"]["value"] >= 0.9, after
m = after["reward_margin"]
assert 0 < m["low"] < m["value"] < m["high"]
assert r["settings"]["beta"] == {"value": "0.1", "from": "default"}
PY
expect_status 0 complete -m tune:r1 --prompt x --max-tokens 2 --json
# one thread or two, the same bits; another beta is another run
expect_status 0 "${TUNE[@]}" --method dpo --fresh --threads 1 --json
[ "$(tuned)" = "$first" ] || fail "another number of threads gave other weights"
expect_status 0 "${TUNE[@]}" --method dpo --beta 0.5 --label-smoothing 0.1 --dropout 0.1 --json
grep -qE '"run": ?"r3"' "$out" || fail "another beta is not another run"
expect_status 0 "${TUNE[@]}" --method orpo --json
python3 - "$out" <<'PY' || fail "orpo"
import json, sys
r = json.load(open(sys.argv[1]))
before, after = r["epochs"][0], r["epochs"][r["best_epoch"]]
assert after["held_out_loss"]["value"] < before["held_out_loss"]["value"] / 4
assert before["reward_accuracy"]["value"] < 0.8 < after["reward_accuracy"]["value"], (before, after)
PY
expect_status 0 "${TUNE[@]}" --method orpo
grep -q "chosen preferred" "$out" || fail "no rewards shown"

cd "$tmp/killed" || exit 1
kill_until_done "${TUNE[@]}" --method dpo || fail "a killed training"
[ "$(tuned)" = "$first" ] || fail "a killed training gave other weights"

cd "$tmp/d" || exit 1
expect_status 2 tune --data same.jsonl --base "$MODEL" --method dpo
expect_error "the same tokens"
expect_error "line 4, 9"
expect_status 2 tune --data equal.jsonl --base "$MODEL" --method orpo
expect_error "equal.jsonl:5"
expect_status 3 tune --data chat.jsonl --base "$MODEL" --method dpo
expect_error "learns from preference pairs"
expect_status 3 tune --data pairs.jsonl --base "$MODEL"
expect_error "choose a --method that learns from pairs"
expect_status 2 tune --data pairs.jsonl --base "$MODEL" --method dpo --label-smoothing 0.5
expect_error "leaves nothing to learn"
