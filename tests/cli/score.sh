# hone score on the real model: golden label likelihoods, all forms of labels, the seam between prompt and label, bad usage.
source tests/cli/lib.bash

echo '["yes", "no"]' >"$tmp/labels.json"
expect_status 2 score --raw a
expect_error "one of --labels or --label is needed"
expect_status 2 score --raw a --labels "$tmp/labels.json" --label x
expect_json_error not_found 2 score --raw a --labels "$tmp/none.json"
for bad in '[]' '{"labels": 3}' '[1]' '[[]]' '[["x"]]' '[[-1]]' '"yes"' '[' ; do
    echo "$bad" >"$tmp/bad.json"
    expect_json_error bad_input 2 score --raw a --labels "$tmp/bad.json"
done

need_model
expect_json_error bad_input 2 score -m "$MODEL" --raw a --label x --label x
expect_json_error bad_input 2 score -m "$MODEL" --raw a --label ""  --stop ""
echo '[[99999999]]' >"$tmp/bad.json"
expect_json_error bad_input 2 score -m "$MODEL" --raw a --labels "$tmp/bad.json"
expect_json_error context_full 4 score -m "$MODEL" --raw "one two three four" --label five --context 4

# goldens on the reference kernels: totals, ids, shares; labels as texts and as ids
if [ -e "$SHARED/goldens/smollm2/label_scores.jsonl" ]; then
    python3 - "$SHARED/goldens/smollm2/label_scores.jsonl" "$tmp" "$HONE" "$MODEL" <<'PY' || fail "golden label scores differ"
import json, os, subprocess, sys
golden, tmp, hone, model = sys.argv[1:5]
rows = [json.loads(x) for x in open(golden, encoding="utf-8").read().split("\n") if x]
for name, as_ids in (("plain_space", True), ("prefix_labels", False)):
    for row in [r for r in rows if r["name"] == name]:
        json.dump([l["ids"] if as_ids else l["label"] for l in row["labels"]], open(tmp + "/l.json", "w"))
        run = subprocess.run([hone, "score", "-m", model, "--ids", ",".join(map(str, row["prompt_ids"])), "--labels", tmp + "/l.json", "--json"],
                             stdout=subprocess.PIPE, check=True, env={**os.environ, "HONE_ISA": "ref"})
        r = json.loads(run.stdout)
        for got, wanted in zip(r["labels"], row["labels"]):
            assert got["label"] == (wanted["ids"] if as_ids else wanted["label"]) and got["ids"] == wanted["ids"], got
            assert abs(got["logprob"] - wanted["logprob"]) < 1e-3 and abs(got["probability"] - wanted["prob_normalised"]) < 1e-3, (got, wanted)
        assert len(r["labels"]) == len(row["labels"]) and abs(sum(l["probability"] for l in r["labels"]) - 1) < 1e-9
        assert r["usage"]["prompt_tokens"] == len(row["prompt_ids"]) and "prefill_ms" in r["timing"]
PY
fi

# chat form, raw form with a stop text
expect_status 0 score -m "$MODEL" --user "Is Paris in France? Answer yes or no." --label yes --label no --json
expect_json "[l['label'] for l in r['labels']] == ['yes', 'no'] and all(l['ids'][-1] == 2 for l in r['labels'])"
expect_status 0 score -m "$MODEL" --raw "The capital of France is" --label " Paris" --label " Rome" --stop "." --json
expect_json "r['labels'][0]['ids'] == [7042, 30] and r['labels'][0]['probability'] > 0.9"
expect_status 0 score -m "$MODEL" --raw "The capital of France is" --label " Paris" --label " Rome" --stop "."
expect_in_out "Paris"

# a label that merges with the prompt's end is an error with its remedy
expect_json_error bad_input 2 score -m "$MODEL" --raw "The answer is uncom" --label "fortable" --stop "."
expect_json "'fortable' in r['error']['message'] and 'space' in r['error']['hint']"
expect_json_error bad_input 2 score -m "$MODEL" --raw "The capital of France is " --label "Paris" --stop "."
expect_json_error bad_input 2 score -m "$MODEL" --user "Yes or no?" --label "  yes"
expect_json "'white space' in r['error']['hint']"

# searches: the best label and the probabilities of the whole set, with and without priors, many prompts together
echo '[" Paris", " Rome", " a city", " Paris of course", " the", " Lyon", " not known"]' >"$tmp/l.json"
echo '[-2, 0.5, -9, 1, 3, -4, 0]' >"$tmp/p.json"
printf '%s\n' '{"raw": "The capital of France is"}' '{"raw": "The capital of Italy is"}' '{"raw": "My favourite place is"}' '{"ids": [504, 3575, 282, 4649, 314]}' >"$tmp/c.jsonl"
for priors in "" "--priors $tmp/p.json"; do
    for how in exact bounded best; do
        expect_status 0 score -m "$MODEL" --cases "$tmp/c.jsonl" --labels "$tmp/l.json" --stop . --probabilities $how $priors --json
        cp "$out" "$tmp/$how.json"
    done
    python3 - "$tmp" <<'PY' || fail "searches of labels differ"
import json, sys
exact, bounded, best = (json.load(open(f"{sys.argv[1]}/{how}.json"))["cases"] for how in ("exact", "bounded", "best"))
for e, o, b in zip(exact, bounded, best):
    assert e["best"] == o["best"] == b["best"], (e, o, b)
    assert o["probabilities"] == "bounded" and b["probabilities"] == "best"
    for x, y, z in zip(e["labels"], o["labels"], b["labels"]):
        assert abs(x["probability"] - y["probability"]) <= 1e-4 and "probability" not in z
        for other in (y, z):
            assert other["logprob"] == x["logprob"] if "logprob" in other else other["logprob_at_most"] >= x["logprob"]
assert any("logprob_at_most" in l for b in best for l in b["labels"])
PY
done
expect_status 0 score -m "$MODEL" --cases "$tmp/c.jsonl" --labels "$tmp/l.json" --stop .
expect_in_out "Paris"
echo '{"text": "x"}' >"$tmp/bad.jsonl"
expect_json_error bad_input 2 score -m "$MODEL" --cases "$tmp/bad.jsonl" --label x
expect_json_error bad_input 2 score -m "$MODEL" --raw a --label x --label y --priors "$tmp/l.json"
