# A project from scope to verdict with the real model: scope, tokens, eval, compare, log, show; Ctrl-C and kill -9 in mid-run; errors.
source tests/cli/lib.bash
need_model
export HONE_MODELS=$tmp/models
mkdir -p "$HONE_MODELS" "$tmp/p/prompts"
ln -s "$(realpath "$MODEL")" "$HONE_MODELS/SmolLM2-135M-Instruct.Q4_1.gguf"
cd "$tmp/p" || exit 1

python3 - <<'PY'
import csv
kinds = {"animal": "cat dog horse cow sheep goat pig duck goose hen".split(),
         "colour": "red green blue yellow black white brown pink grey purple".split(),
         "food": "bread cheese soup rice cake butter salad pasta honey jam".split()}
with open("words.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "text", "kind", "writer"])
    for k, (kind, words) in enumerate(kinds.items()):
        for i, word in enumerate(words):
            out.writerow([f"w{k}-{i}", f"{'I like' if i % 2 else 'Give me'} {word}", kind, f"{kind}{i // 2}"])
PY
cat > hone.yaml <<'YAML'
goal: Say what kind of thing is meant
data: {file: words.csv, input: [text], target: kind, group: writer, id: id}
split: {train: 0.4, dev: 0.4, test: 0.2, seed: 7, stratify: true}
output: {choice: [animal, colour, food]}
metric: accuracy
target_value: 0.9
smallest_difference: 0.05
limits: {latency_ms: 100000, memory_mb: 100000}
model: smollm2
YAML
cat > prompts/1-plain.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}\nKind:"}]
labels: {animal: " animal", colour: " colour", food: " food"}
answer: likelihood
YAML
cat > prompts/2-nearest.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}\nKind:"}]
labels: {animal: " animal", colour: " colour", food: " food"}
examples: {pick: nearest, n: 4}
answer: likelihood
calibrate: prior
YAML

# before anything was run
expect_status 0 log
expect_in_out "nothing was run yet"
expect_status 2 show last
expect_error "hone eval"
expect_status 0 scope
expect_in_out "always "
expect_in_out "bag of words"
expect_in_out "dev cases"
expect_status 0 scope --json
expect_json "r['cases'] == 30 and sum(r['splits'][s]['cases'] for s in r['splits']) == 30 and r['leaks_across_splits'] == 0"
expect_json "set(r['baselines']) == {'majority', 'bag_of_words'} and r['baselines']['majority']['accuracy']['low'] <= r['baselines']['majority']['accuracy']['value']"
expect_json "r['length_tokens']['max'] >= r['length_words']['max'] == 3"
n_dev=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["splits"]["dev"]["cases"])' "$out")

# the prompt as the model sees it
expect_status 0 tokens prompts/2-nearest.yaml --json
cp "$out" "$tmp/tokens"
expect_json "r['n_tokens'] == len(r['ids']) > 20"
expect_status 0 tokens 2-nearest
expect_in_out "4 examples"
expect_status 2 tokens 2-nearest --case nobody
expect_error "there is no case"

# all prompts, then again from the store
expect_status 0 eval --json
cp "$out" "$tmp/first"
expect_json "[x['prompt'] for x in r['runs']] == ['1-plain', '2-nearest'] and [x['run'] for x in r['runs']] == ['r1', 'r2']"
expect_json "all(x['n'] == $n_dev and x['split'] == 'dev' and x['cached_cases'] == 0 and x['tokens'] > 0 and x['seconds'] > 0 for x in r['runs'])"
expect_json "all(0 <= x['metrics'][m]['low'] <= x['metrics'][m]['value'] <= x['metrics'][m]['high'] <= 1 for x in r['runs'] for m in ('accuracy', 'macro_f1'))"
expect_json "all(set(x['baselines']) == {'majority', 'bag_of_words'} for x in r['runs'])"
expect_status 0 eval --json
expect_json "[x['run'] for x in r['runs']] == ['r1', 'r2'] and all(x['cached_cases'] == x['n'] for x in r['runs'])"
expect_json "[x['metrics'] for x in r['runs']] == [x['metrics'] for x in json.load(open('$tmp/first'))['runs']]"
expect_status 0 eval
expect_in_out "unchanged"
expect_in_out "(bag of words)"
expect_in_out "hone compare r"
expect_in_out "limit 100000: kept"
# computed again, with one thread: the same bits
expect_status 0 eval 1-plain --no-cache --threads 1 --json
expect_json "r['runs'][0]['run'] == 'r3' and r['runs'][0]['cached_cases'] == 0"
expect_status 0 show r1 --json --predictions
cp "$out" "$tmp/r1"
expect_status 0 show r3 --json --predictions
expect_json "[(p['case'], p['logprobs'], p['probabilities']) for p in r['predictions']] == [(p['case'], p['logprobs'], p['probabilities']) for p in json.load(open('$tmp/r1'))['predictions']]"

# the verdict
expect_status 0 compare r1 r2 --json
expect_json "r['verdict'] in ('better', 'worse', 'equivalent', 'cannot_tell') and r['metric'] == 'accuracy' and r['smallest_difference'] == 0.05"
expect_json "abs(r['difference']['value'] - (r['only_b_right'] - r['only_a_right']) / $n_dev) < 1e-9"
expect_json "{'p', 'test', 'detectable', 'cases_needed', 'changed'} <= set(r) and len(r['changed']) == r['only_a_right'] + r['only_b_right']"
expect_status 0 compare r1 r3 --json
expect_json "r['difference']['value'] == 0 and r['only_a_right'] == r['only_b_right'] == 0"
expect_status 0 compare r1 last
expect_in_out "no case changed sides"
expect_json_error not_found 2 compare r1 r99
expect_json_error not_found 2 compare best r1

# the memory
expect_status 0 log
expect_in_out "2-nearest"
expect_status 0 log --json
expect_json "[x['run'] for x in r['runs']] == ['r3', 'r2', 'r1'] and all(x['state'] == 'done' for x in r['runs'])"
expect_status 0 tag r2 best
expect_status 0 compare r1 best --json
expect_json "r['b'] == 'r2'"
expect_json_error usage 2 tag r2 r9
expect_status 0 show r2
expect_in_out "tags best"
expect_in_out "precision"
expect_in_out "The prompt as it was:"
expect_in_out "pick: nearest, n: 4"

expect_status 0 note r2 "four neighbours are enough"
expect_status 0 note project "labels were cleaned"
expect_status 0 star r2
expect_status 0 show r2
expect_in_out "four neighbours are enough"
expect_status 0 note --json
expect_json "[(x['of'], x['text']) for x in r['notes']] == [('r2', 'four neighbours are enough'), ('project', 'labels were cleaned')]"
expect_status 0 note r1 --json
expect_json "r['notes'] == []"
expect_json_error usage 2 note r1 "  "
expect_json_error not_found 2 star r99
expect_status 0 log --starred --json
expect_json "[(x['run'], x['starred'], x['notes']) for x in r['runs']] == [('r2', True, 1)]"
expect_status 0 log --prompt plain --json
expect_json "r['runs'] and all('plain' in x['prompt'] for x in r['runs'])"
expect_status 0 log --sort accuracy --json
expect_json "[x['metrics']['accuracy']['value'] for x in r['runs']] == sorted((x['metrics']['accuracy']['value'] for x in r['runs']), reverse=True)"
expect_status 0 star r2 --off
expect_status 0 log --starred
expect_in_out "no run is like that"

# what hone.yaml asks for is in every report
expect_status 0 show r2 --json
expect_json "[x['name'] for x in r['goals']][-1] == 'baseline' and all(x['state'] in ('met', 'missed', 'unsure', 'unknown') for x in r['goals'])"

# a look at test is counted, each time
expect_status 0 eval 1-plain --split test --json
expect_json "r['test_looks'] == 1 and r['runs'][0]['split'] == 'test'"
expect_status 0 eval 1-plain --split test
expect_in_out "looked at 2 times"
expect_status 0 ledger --json
expect_json "[(x['prompt'], x['again']) for x in r['looks']] == [('1-plain', False), ('1-plain', True)] and r['candidates'] == 1 and r['best'] is None"
expect_status 0 ledger
expect_in_out "2 looks at 1 candidates"
expect_status 0 compare r1 r3 --equivalence 0.9
expect_in_out "shown that r3 is not worse than r1 by 90.0 points"
expect_status 0 eval 2-nearest --until-decided --reference r1 --json
expect_json "r['every'] == 50 and r['decisions'][0]['n_answered'] == r['decisions'][0]['n'] and r['decisions'][0]['p'] <= 1"
expect_json_error usage 2 eval 1-plain 2-nearest --until-decided --reference 1-plain
expect_json_error usage 2 eval 2-nearest --until-decided --gate "n > 1"
expect_status 2 compare r1 last
expect_error "share no cases"

# stopped by Ctrl-C and by kill -9, and gone on from there
cat > prompts/3-think.yaml <<'YAML'
messages: [{user: "What kind of thing is meant, animal, colour or food? {{ text }}"}]
reasoning: {max_tokens: 16}
answer: likelihood
YAML
for signal in INT KILL; do
    "$HONE" eval 3-think --json --threads 1 >"$tmp/stopped" 2>/dev/null &
    job=$!
    # until something is saved; a fast machine may be done before
    for _ in $(seq 400); do
        saved=$("$HONE" log --json 2>/dev/null | python3 -c 'import json,sys; r=json.load(sys.stdin)["runs"][0]; print(r["n_done"] if r["prompt"] == "3-think" else 0)')
        [ "${saved:-0}" -gt "${before:-0}" ] && break
        kill -0 $job 2>/dev/null || break
        sleep 0.02
    done
    kill -$signal $job 2>/dev/null
    wait $job
    status=$?
    if [ $signal = INT ] && [ $status != 0 ]; then
        [ $status = 130 ] || fail "Ctrl-C gave exit status $status"
        grep -q '"interrupted"' "$tmp/stopped" || fail "Ctrl-C did not say so: $(cat "$tmp/stopped")"
    fi
    expect_status 0 log --json
    expect_json "r['runs'][0]['prompt'] == '3-think' and r['runs'][0]['n_done'] >= ${saved:-0}"
    before=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["runs"][0]["n_done"])' "$out")
done
expect_status 0 eval 3-think --json
expect_json "r['runs'][0]['n'] == $n_dev and r['runs'][0]['resumed_cases'] >= ${before:-0} or r['runs'][0]['cached_cases'] == $n_dev"
expect_status 0 show last --json --predictions
expect_json "len(r['predictions']) == $n_dev and len({p['case'] for p in r['predictions']}) == $n_dev and all(p['details']['reasoning'] for p in r['predictions'])"

# mistakes say where and what to do
printf 'messages: [{user: "{{ txet }}"}]\nanswer: likelihood\n' > prompts/wrong.yaml
expect_status 2 eval wrong
expect_error "wrong.yaml:1"
expect_error "text"
rm prompts/wrong.yaml
expect_json_error not_found 2 eval no-such-prompt
expect_json_error not_found 2 eval 1-plain -m no-such-model
expect_json_error usage 2 eval --split devel
python3 -c 'print("messages: [{user: \"" + "word " * 9000 + "{{ text }}\"}]\nanswer: likelihood")' > prompts/long.yaml
expect_json_error context_full 4 eval long --limit 2
rm prompts/long.yaml
cd "$ROOT" && mkdir "$tmp/empty" && cd "$tmp/empty" || exit 1
expect_json_error not_found 2 eval
expect_json_error not_found 2 scope

# a store that another program wrote, and one from the future
cd "$tmp/p" || exit 1
cp .hone/store.db "$tmp/store.db"
python3 -c 'import sqlite3; d = sqlite3.connect(".hone/store.db"); d.execute("PRAGMA user_version = 99"); d.close()'
expect_json_error unsupported 3 log
echo "not a database, but long enough to look at" > .hone/store.db
rm -f .hone/store.db-wal .hone/store.db-shm
expect_json_error bad_input 2 log
