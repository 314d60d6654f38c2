# hone scope's ladder: without a model, with one, kept, named wrongly, stopped; other contracts; hone embed.
source tests/cli/lib.bash

"$HONE" init "$tmp/t" --example tickets >/dev/null || fail "hone init"
cd "$tmp/t" || exit 1
export HONE_MODELS=$tmp/none

expect_status 0 scope --quick
expect_in_out "The ladder, on 225 dev cases (450 to learn from):"
expect_in_out "<- cheapest not worse"
expect_in_out "Rungs with a model: left out by --quick"
expect_in_out "Accuracy by training cases"
expect_in_out "A narrower start:"
expect_in_out "Recommended: "
expect_status 0 scope
expect_in_out "smollm2 is not on this machine; hone pull smollm2"

# the same figures as the baselines of hone eval, and kept
expect_status 0 scope --quick --json
expect_json "[x['kind'] for x in r['ladder']['rungs']] == ['majority', 'bag_of_words', 'nearest'] and all(x['kept'] for x in r['ladder']['rungs'])"
expect_json "r['ladder']['rungs'][1]['accuracy'] == r['baselines']['bag_of_words']['accuracy']"
expect_json "r['ladder']['rungs'][0]['accuracy'] == r['baselines']['majority']['accuracy']"
expect_json "sum(x['marked'] for x in r['ladder']['rungs']) == 1 and sum(x['best'] for x in r['ladder']['rungs']) == 1"
expect_json "[len(c['points']) for c in r['ladder']['learning_curves']] == [5, 5]"
expect_json "r['ladder']['recommendation']['first'] in [a['action'] for a in r['ladder']['recommendation']['actions']]"
expect_status 0 scope --quick --no-cache --json
expect_json "not any(x['kept'] for x in r['ladder']['rungs'])"
expect_status 0 scope --quick --limit 40 --json
expect_json "r['ladder']['dev'] == 40 and all(x['n'] == 40 for x in r['ladder']['rungs'])"
expect_json_error not_found 2 scope -m nosuchmodel

# answers that are no labels: fewer rungs, said so
mkdir "$tmp/n" && cd "$tmp/n" || exit 1
python3 -c 'print("text,n"); [print(f"number {i} of group {i % 4},{i % 4}") for i in range(60)]' >n.csv
printf 'data: {file: n.csv, input: [text], target: n}\noutput: number\n' >hone.yaml
expect_status 0 scope --quick
expect_in_out "Left out: bag of words: it answers with labels, and the output is no choice"
# nothing to learn from
printf 'data: {file: n.csv, input: [text], target: n}\noutput: number\nsplit: {dev: 0.5, test: 0.5}\n' >hone.yaml
expect_status 0 scope --quick
expect_in_out "No ladder: train has no labelled cases."

expect_status 2 embed
expect_error "give texts, or --file"

# with the tiny reference model
cd "$ROOT" || exit 1
[ -d "$SHARED/goldens/tiny/llama" ] || skip "$SHARED is not here"
mkdir "$tmp/tiny" && cp "$SHARED"/goldens/tiny/llama/{config.json,model.safetensors} "$SHARED/goldens/tiny/tokenizer.json" "$tmp/tiny/"
expect_status 0 embed -m "$tmp/tiny" "a card" "a cat" --json
expect_json "r['n_dims'] == 64 and [len(e['vector']) for e in r['embeddings']] == [64, 64] and r['stats'] is None"
printf 'one\ntwo\r\n\nfour' >"$tmp/lines"
expect_status 0 embed -m "$tmp/tiny" --file "$tmp/lines" --json
expect_json "[e['text'] for e in r['embeddings']] == ['one', 'two', '', 'four'] and set(r['embeddings'][2]['vector']) == {0.0}"
cd "$tmp/t" || exit 1
python3 - <<'PY'
import csv
rows = list(csv.DictReader(open("data/tickets.csv", encoding="utf-8")))
with open("data/short.csv", "w", encoding="utf-8", newline="") as f:
    w = csv.writer(f)
    w.writerow(["text", "team", "customer"])
    for i, r in enumerate(rows[:240]): w.writerow([f"{i * 7919} " + r["subject"][:24], r["team"], r["customer"]])
PY
sed -i -e 's|tickets.csv|short.csv|' -e 's|input:.*|input: [text]|' -e '/id: /d' hone.yaml
expect_status 0 scope -m "$tmp/tiny" --limit 30 --json
expect_json "'probe' in [x['kind'] for x in r['ladder']['rungs']]"
expect_json "'linear probe, tiny' in [c['rung'] for c in r['ladder']['learning_curves']]"
cp "$out" "$tmp/first"
expect_status 0 scope -m "$tmp/tiny" --limit 30 --json
expect_json "all(x['kept'] for x in r['ladder']['rungs']) and [x['accuracy'] for x in r['ladder']['rungs']] == [x['accuracy'] for x in json.load(open('$tmp/first'))['ladder']['rungs']]"
expect_status 0 embed -m "$tmp/tiny" --stats "a card" --json
expect_json "r['whitened'] and 0 < r['stats']['auc'] < 1 and abs(sum(v * v for v in r['embeddings'][0]['vector']) - 1) < 1e-5"

# stopped and gone on
rm -rf .hone
"$HONE" scope -m "$tmp/tiny" >"$tmp/stdout" 2>"$tmp/stderr" &
pid=$!
sleep 0.3
kill -INT $pid 2>/dev/null
wait $pid
case $? in 0 | 130) ;; *) fail "stopped: $(cat "$tmp/stderr")" ;; esac
expect_status 0 scope -m "$tmp/tiny"
exit 0
