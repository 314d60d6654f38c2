# `hone tune --data`: conversations without a project are learned, scored by the loss of the rows that were held out, and what comes of it is a model like
# any other; the `tune:` block of hone.yaml; what would teach nonsense is refused.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
mkdir "$tmp/d"
cd "$tmp/d" || exit 1
python3 - <<'PY'
import json
def rows(n): return [(f"number {i * 7919 % 1000} {'aabb'[i % 4] * 3}", ["yes", "no"][i % 4 > 1]) for i in range(n)]
def write(name, items): open(name, "w").write("".join(json.dumps(x) + "\n" for x in items))
chat = lambda q, a, **more: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a, **more}]}
write("chat.jsonl", [chat(q, a) for q, a in rows(120)])
write("sharegpt.jsonl", [{"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]} for q, a in rows(60)])
write("alpaca.jsonl", [{"instruction": "Say yes or no.", "input": q, "output": a} for q, a in rows(60)])
write("pairs.jsonl", [{"prompt": q, "chosen": a, "rejected": "?"} for q, a in rows(20)])
write("two.jsonl", [chat(*rows(4)[i % 2 * 3]) for i in range(10)])
write("silent.jsonl", [chat(q, a, weight=0) if i == 7 else chat(q, a) for i, (q, a) in enumerate(rows(20))])
write("one.jsonl", [chat("a", "b")] * 3)
PY
tune() { expect_status 0 tune --base "$MODEL" --learning-rate 5e-3 --epochs 3 --json "$@"; }

tune --data chat.jsonl
python3 - "$out" <<'PY' || fail "training on conversations"
import json, math, sys
r = json.load(open(sys.argv[1]))
assert r["run"] == "r1" and r["train_cases"] == 108 and r["dev_cases"] == 12, r
losses = [e["held_out_loss"]["value"] for e in r["epochs"]]
assert losses[-1] < losses[0] / 10 and all(e["n_correct"] is None for e in r["epochs"])
best = r["held_out_loss"]
assert best["value"] == min(losses[1:]) and best["low"] <= best["value"] <= best["high"]
assert r["accuracy"] is None and abs(r["perplexity"] - math.exp(best["value"])) < 1e-9
steps = [s for s, _ in r["curve"]]
assert steps == sorted(steps) and r["curve"][-1][1] < r["curve"][0][1] / 10
assert r["settings"]["epochs"] == {"value": "3", "from": "command line"} and r["settings"]["rank"]["from"] == "default"
PY
# it answers as it was taught, here and from elsewhere
expect_status 0 complete -m tune:r1 --prompt "number 5 aaa" --max-tokens 8 --temperature 0 --json
grep -q '"text": *"yes"' "$out" || fail "it says $(cat "$out")"
HONE_STORE=$tmp/d/.hone
export HONE_STORE
(cd "$tmp" && "$HONE" complete -m tune:r1 --prompt "number 5 bbb" --max-tokens 8 --temperature 0 --json >"$tmp/elsewhere") || fail "HONE_STORE"
grep -q '"text": *"no"' "$tmp/elsewhere" || fail "elsewhere it says $(cat "$tmp/elsewhere")"
unset HONE_STORE
(cd "$tmp" && "$HONE" complete -m tune:r1 --prompt x >/dev/null 2>"$tmp/none") && fail "there is no store"
grep -q "there is no store here" "$tmp/none" || fail "$(cat "$tmp/none")"
# the same again is done already; the order of the rows does not say which are held out
tune --data chat.jsonl
grep -qE '"run": ?"r1"' "$out" || fail "the same training ran again"
for data in sharegpt alpaca; do
    tune --data $data.jsonl --held-out 0.2 --store elsewhere
    python3 - "$out" <<'PY' || fail "$data"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["dev_cases"] == 12 and r["epochs"][-1]["held_out_loss"]["value"] < r["epochs"][0]["held_out_loss"]["value"]
PY
done
[ -e elsewhere/store.db ] || fail "--store was not used"

# The held-out loss is the label likelihood that `hone score` gives: equal rows stay on one side, so it is that of one of the two.
tune --data two.jsonl --held-out 0.5 --steps 1
cp "$out" "$tmp/two.json"
likelihood() { # JSON MODEL EPOCH: that epoch's held-out loss is the likelihood by that model of one of the two answers
    python3 - "$HONE" "$@" <<'PY' || fail "the held-out loss is not the likelihood of the answer, by $2"
import json, subprocess, sys
hone, file, model, epoch = sys.argv[1:]
r = json.load(open(file))
assert r["dev_cases"] == 5 and r["train_cases"] == 5
found = []
for line in open("two.jsonl").readlines()[:2]:
    question, answer = (m["content"] for m in json.loads(line)["messages"])
    s = json.loads(subprocess.run([hone, "score", "-m", model, "--user", question, "--label", answer, "--json"],
                                  check=True, capture_output=True).stdout)
    one = s["labels"][0]
    found.append(-one["logprob"] / len(one["ids"]))
mine = r["epochs"][int(epoch)]["held_out_loss"]["value"]
assert min(abs(x - mine) for x in found) < 0.02 * mine, (found, mine)
PY
}
likelihood "$tmp/two.json" "$MODEL" 0
# What is served is what was trained, also where a GGUF file keeps the rows of q and k in another order than an adapter's file does: only these learn.
expect_status 0 tune --base "$MODEL" --data two.jsonl --held-out 0.5 --epochs 8 --targets qk --learning-rate 2e-2 --json
cp "$out" "$tmp/qk.json"
likelihood "$tmp/qk.json" tune:r3 "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["best_epoch"])' "$tmp/qk.json")"

# settings: flags over hone.yaml over what is chosen
make_project "$tmp/p"
cd "$tmp/p" || exit 1
cat >>hone.yaml <<YAML
tune: {prompt: a, base: "$MODEL", rank: 4, learning_rate: 5e-3, epochs: 2, schedule: linear, rank_stabilised: true, memory_limit: 4G}
YAML
expect_status 0 tune --epochs 1 --class-weights balanced --json
python3 - "$out" <<'PY' || fail "settings"
import json, sys
s = json.load(open(sys.argv[1]))["settings"]
assert s["rank"] == {"value": "4", "from": "hone.yaml"} and s["alpha"] == {"value": "8", "from": "twice the rank"}, s
assert s["epochs"]["from"] == "command line" and s["batch"] == {"value": "8", "from": "the data"}
assert s["schedule"]["value"] == "linear" and s["rank_stabilised"]["value"] == "yes" and s["prompt"]["from"] == "hone.yaml"
PY
expect_status 0 tune --epochs 1 --fresh
grep -q "hone.yaml *prompt a, .*rank 4" "$out" || fail "settings are not shown: $(cat "$out")"
# a step of 8 cases taken twice is a step of 16, bit for bit
weights() { sha256sum <".hone/models/$(ls -t .hone/models | head -1)/adapter/adapter_model.safetensors"; }
expect_status 0 tune --batch 16
plain=$(weights)
sleep 1
expect_status 0 tune --batch 8 --accumulate 2
[ "$(weights)" = "$plain" ] || fail "accumulated gradients differ from the plain batch's"
sed -i 's/rank: 4/rnak: 4/' hone.yaml
expect_status 2 tune
expect_error "rnak"
sed -i 's/rnak: 4/rank: four/' hone.yaml
expect_status 2 tune
expect_error "hone.yaml:"
sed -i 's/rank: four/rank: 4/; s/memory_limit: 4G/memory_limit: 1M/' hone.yaml
expect_status 4 tune
expect_error "training would take"
expect_status 3 tune --memory-limit 4G --method lora --data "$tmp/d/pairs.jsonl" --base "$MODEL"
expect_error "does not learn from"

# what would teach nonsense
cd "$tmp/d" || exit 1
expect_status 2 tune --data silent.jsonl --base "$MODEL" --held-out 0.3
expect_error "no supervised token: row"
expect_status 4 tune --data chat.jsonl --base "$MODEL" --max-length 8
expect_error "an answer is cut off"
expect_status 2 tune --data one.jsonl --base "$MODEL"
expect_error "none is left to train on"
expect_status 2 tune --data chat.jsonl --prompt a --base "$MODEL"
expect_error "is for the project's cases"
expect_status 2 tune --data chat.jsonl --class-weights balanced --base "$MODEL"
expect_error "--data has none"

# A chat template that writes no end of an answer, and one that writes earlier answers in another way later on: the model would be served otherwise than
# it was trained.
mkdir endless turning
for dir in endless turning; do
    cp "$(dirname "$MODEL")/config.json" "$(dirname "$MODEL")/model.safetensors" "$(dirname "$MODEL")/../tokenizer.json" $dir
done
printf '{"chat_template": "{%% for m in messages %%}{{ m.role }}:\\n{{ m.content }}\\n{%% endfor %%}{%% if add_generation_prompt %%}assistant:\\n{%% endif %%}"}' >endless/tokenizer_config.json
printf '{"chat_template": "{%% for m in messages %%}{{ m.role }}:\\n{{ m.content if loop.last else m.content | upper }}</s>{%% endfor %%}{%% if add_generation_prompt %%}assistant:\\n{%% endif %%}"}' >turning/tokenizer_config.json
python3 - <<'PY'
import json
turn = lambda i: [{"role": "user", "content": f"ask {i}"}, {"role": "assistant", "content": f"say {i}"}]
open("turns.jsonl", "w").write("".join(json.dumps({"messages": turn(i) + turn(i + 100)}) + "\n" for i in range(20)))
PY
expect_status 2 tune --data chat.jsonl --base endless
expect_error "the end of a turn is never trained"
run tune --data turns.jsonl --base turning
[ "$status" = 2 ] || fail "status $status: $(cat "$errors")"
expect_error "turns.jsonl:"

# A loss that runs away: the run failed, and the best before it is there to be used.
cd "$tmp/p" || exit 1
sed -i '/^tune:/d' hone.yaml
run tune --prompt a --base "$MODEL" --learning-rate 1 --alpha 1e6 --warmup 1 --epochs 20 --clip 0
[ "$status" = 2 ] || fail "it did not run away: status $status, $(tail -3 "$out")"
expect_error "the loss ran away"
expect_error "the best before is kept: "
kept=$(sed -n 's/.*the best before is kept: \(.*\) (epoch.*/\1/p' "$errors")
expect_status 0 eval a -m "$MODEL+$kept" --limit 5
