# hone complete on the real model: golden continuations and log-probabilities, every form of input, streaming, stops, bad usage, Ctrl-C.
source tests/cli/lib.bash

# bad usage needs no model
expect_status 2 complete -m x.gguf
expect_error "there is no"
expect_status 2 complete --raw a --max-tokens -1
expect_error "must be between"
expect_status 2 complete --raw a --temperature warm
expect_error "needs a number"
expect_status 2 complete --raw a --logit-bias 5
expect_status 2 complete --raw a --logit-bias 5=1e99
expect_error "needs ID=NUMBER"
expect_status 2 complete --raw a --logprobs 21
expect_json_error not_found 2 complete -m smollm3 --raw a
HONE_MODELS=$tmp/none expect_json_error not_found 2 complete -m smollm2 --raw a
expect_json "'hone pull smollm2' in r['error']['hint']"

need_model
expect_status 2 complete -m "$MODEL"
expect_error "one of --prompt, --user, --messages, --ids or --raw is needed"
expect_status 2 complete -m "$MODEL" --raw a --ids 1
expect_error "cannot be given together"
expect_status 2 complete -m "$MODEL" --raw a --system b
expect_error "--system stands beside"
expect_status 2 complete -m "$MODEL" --ids 1,x
expect_error "is not a token id"
expect_json_error bad_input 2 complete -m "$MODEL" --ids 99999999
expect_json_error bad_input 2 complete -m "$MODEL" --raw ""
expect_json_error bad_input 2 complete -m "$MODEL" --raw a --stop ""
expect_json_error context_full 4 complete -m "$MODEL" --raw "one two three four five six" --context 4

# the answer's shape
expect_status 2 complete -m "$MODEL" --raw a --regex a --choices b
expect_error "cannot be given together"
expect_status 2 complete -m "$MODEL" --raw a --choices a,,b
expect_error "empty choice"
expect_status 2 complete -m "$MODEL" --raw a --regex '(a'
expect_error "--regex"
printf 'root ::= "I say "\n  ("yes" | "no"\n' >"$tmp/wrong.gbnf"
expect_status 2 complete -m "$MODEL" --raw a --grammar "$tmp/wrong.gbnf"
expect_error "wrong.gbnf:2:3"
expect_status 0 complete -m "$MODEL" -p "When did the second world war end?" --regex '\d{4}-\d{2}-\d{2}' --json
expect_json "__import__('re').fullmatch(r'\d{4}-\d{2}-\d{2}', r['parsed']) and r['text'] == r['parsed'] and r['finish_reason'] == 'stop'"
expect_status 0 complete -m "$MODEL" -p "Is the sky blue?" --choices yes,no
expect_json_text=$(cat "$out")
[ "$expect_json_text" = yes ] || [ "$expect_json_text" = no ] || fail "the answer is \"$expect_json_text\""
printf '{"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},\n "required": ["name", "age"], "additionalProperties": false}\n' >"$tmp/schema.json"
expect_status 0 complete -m "$MODEL" -p "Describe a customer." --json-schema "$tmp/schema.json" --temperature 1.5 --seed 5 --json
expect_json "isinstance(r['parsed']['name'], str) and 0 <= r['parsed']['age'] <= 120 and json.loads(r['text']) == r['parsed']"
expect_status 0 complete -m "$MODEL" -p "Describe a customer." --json-object -n 12 --json
expect_json "r['finish_reason'] == 'length' and r['parsed'] is None or isinstance(r['parsed'], dict)"
printf '{"properties": {"a": {"not": {}}}}' >"$tmp/schema.json"
expect_json_error unsupported 3 complete -m "$MODEL" -p x --json-schema "$tmp/schema.json"
expect_json "'/properties/a/not' in r['error']['where'] and 'schema.json' in r['error']['where']"
printf '{"properties":\n {"a" 1}}' >"$tmp/schema.json"
expect_json_error bad_input 2 complete -m "$MODEL" -p x --json-schema "$tmp/schema.json"
expect_json "'schema.json:2:' in r['error']['where']"
printf 'root ::= "I say " ("yes" | "no") "!"\n' >"$tmp/right.gbnf"
expect_status 0 complete -m "$MODEL" -p "Is the sky blue?" --grammar "$tmp/right.gbnf" --temperature 1.5 --seed 3
grep -qxE 'I say (yes|no)!' "$out" || fail "not in the grammar: $(cat "$out")"
expect_status 0 complete -m "$MODEL" -p "A number?" --regex '[0-9]{30}' -n 4 --json
expect_json "r['parsed'] is None and r['finish_reason'] == 'length'"
echo '[{"type": "function", "function": {"name": "f"}}]' >"$tmp/tools.json"
expect_json_error template 2 complete -m "$MODEL" -p x --tools "$tmp/tools.json"
expect_json "'tools' in r['error']['message']"
echo '[{"name": "a b"}]' >"$tmp/tools.json"
expect_status 2 complete -m "$MODEL" -p x --tools "$tmp/tools.json"
expect_error "cannot be a tool's name"

# golden continuations, in f32 on the reference kernels: ids, text, log-probabilities
if [ -e "$SHARED/goldens/smollm2/greedy.jsonl" ]; then
    python3 - "$SHARED/goldens/smollm2/greedy.jsonl" "$tmp" "$HONE" "$MODEL" <<'PY' || fail "a golden continuation differs"
import json, os, subprocess, sys
golden, tmp, hone, model = sys.argv[1:5]
row = json.loads(open(golden, encoding="utf-8").readline())
json.dump(row["messages"], open(tmp + "/messages.json", "w"))
for source, isa, tolerance in ((["--ids", ",".join(map(str, row["prompt_ids"]))], "ref", 5e-4), (["--messages", tmp + "/messages.json"], None, 0.2)):
    environment = {**os.environ, **({"HONE_ISA": isa} if isa else {})}
    run = subprocess.run([hone, "complete", "-m", model, *source, "--max-tokens", "48", "--json"], stdout=subprocess.PIPE, check=True, env=environment)
    r = json.loads(run.stdout)
    assert [t["id"] for t in r["tokens"]] == row["tokens"], r["tokens"]
    assert r["text"] == row["text"] and r["finish_reason"] == "stop", r["text"]
    assert r["usage"]["prompt_tokens"] == len(row["prompt_ids"]) and r["usage"]["completion_tokens"] == len(row["tokens"])
    assert max(abs(t["logprob"] - x) for t, x in zip(r["tokens"], row["logprob"])) < tolerance
    assert set(r["timing"]) >= {"prefill_ms", "decode_ms"}
PY
    python3 - "$SHARED/goldens/smollm2/logits.jsonl" "$HONE" "$MODEL" <<'PY' || fail "a prompt's log-probabilities differ"
import json, os, subprocess, sys
golden, hone, model = sys.argv[1:4]
rows = [json.loads(x) for x in open(golden, encoding="utf-8").read().split("\n") if x]
row = next(r for r in rows if r["n"] == 37)
run = subprocess.run([hone, "complete", "-m", model, "--ids", ",".join(map(str, row["ids"])), "--max-tokens", "0", "--echo", "--logprobs", "20", "--json"],
                     stdout=subprocess.PIPE, check=True, env={**os.environ, "HONE_ISA": "ref"})
r = json.loads(run.stdout)
assert [t["id"] for t in r["tokens"]] == row["ids"] and r["tokens"][0]["logprob"] is None and r["tokens"][0]["top"] == []
assert max(abs(t["logprob"] - x) for t, x in zip(r["tokens"][1:], row["next_logprob"])) < 5e-4
for top in row["top"]:
    if top["pos"] + 1 < row["n"]:
        got = {x["id"]: x["logprob"] for x in r["tokens"][top["pos"] + 1]["top"]}
        wanted = dict(top["top20"])
        assert len(got) == 20 and all(abs(got[i] - wanted[i]) < 5e-4 for i in got if i in wanted) and len(set(got) & set(wanted)) >= 19
assert r["text"] == "" and r["usage"]["completion_tokens"] == 0 and r["finish_reason"] == "length"
PY
fi

# the same answer, however it is asked for and shown
say() { expect_status 0 complete -m "$MODEL" "$@"; }
say --prompt "What is the capital of France?"
expect_out "The capital of France is Paris."
say --user "What is the capital of France?" --json
expect_json "r['text'] == 'The capital of France is Paris.' and r['tokens'][-1]['id'] == 2"
input=$tmp/question
echo -n "What is the capital of France?" >"$input"
say --prompt -
expect_out "The capital of France is Paris."
unset input
say --raw "The capital of France is" --max-tokens 2 --echo
expect_out "The capital of France is Paris."
say --raw "The capital of France is" --max-tokens 8 --stop "ris" --json
expect_json "r['text'] == ' Pa' and r['finish_reason'] == 'stop'"
say --raw "The capital of France is" --max-tokens 8 --stop "ris"
expect_out " Pa"
say --raw "The capital of France is" --max-tokens 1 --logit-bias 7042=-inf --json
expect_json "r['tokens'][0]['id'] != 7042 and r['finish_reason'] == 'length'"
say --raw "The capital of France is" --max-tokens 1 --logprobs 2
expect_in_out '" Paris"'
say --prompt "What is the capital of France?" --memory low
expect_out "The capital of France is Paris."
say --prompt "What is the capital of France?" --threads 1
expect_out "The capital of France is Paris."

# sampling: a seed gives the same answer, another seed another
say --raw "Once upon a time" --max-tokens 24 --temperature 1 --seed 1 && cp "$out" "$tmp/first"
say --raw "Once upon a time" --max-tokens 24 --temperature 1 --seed 1
cmp -s "$out" "$tmp/first" || fail "the same seed gave another answer"
say --raw "Once upon a time" --max-tokens 24 --temperature 1 --seed 2
cmp -s "$out" "$tmp/first" && fail "another seed gave the same answer"
say --raw "Once upon a time" --max-tokens 24 --temperature 1 --top-k 1 && cp "$out" "$tmp/top"
say --raw "Once upon a time" --max-tokens 24
cmp -s "$out" "$tmp/top" || fail "top-k 1 is not the most likely"

# streamed text is whole characters at every moment, and a reader that goes away ends it quietly
"$HONE" complete -m "$MODEL" --raw "Once upon a time" --max-tokens 4000 --temperature 1 2>"$tmp/stderr" | head -c 20 >/dev/null
[ ! -s "$tmp/stderr" ] || fail "a closed pipe was reported: $(cat "$tmp/stderr")"
if [ -w /dev/full ]; then
    "$HONE" complete -m "$MODEL" --raw "Once upon a time" --max-tokens 8 >/dev/full 2>"$tmp/stderr"
    [ $? = 5 ] || fail "a full disk was not noticed"
fi

# Ctrl-C: what was said stays, status 130
"$HONE" complete -m "$MODEL" --raw "Once upon a time" --max-tokens 8000 --temperature 1.2 >"$tmp/stdout" 2>"$tmp/stderr" &
child=$!
for _ in $(seq 200); do [ -s "$tmp/stdout" ] && break; sleep 0.05; done
kill -INT $child
wait $child
[ $? = 130 ] || fail "Ctrl-C did not end it with 130"
[ -s "$tmp/stdout" ] || fail "what was said is gone"

# a cache of 8-bit integers: another numeric path, nearly the same answer; a context that does not fit is refused
expect_status 0 complete -m "$MODEL" --raw "The capital of France is" --max-tokens 4 --temperature 0 --kv q8_0 --json
expect_json "'Paris' in r['text']"
expect_status 0 bench -m "$MODEL" --kv q8_0 --prompts 32 --streams 1 --seconds 0 --json
expect_json "'kv-q8_0' in r['numeric_path']"
expect_status 2 complete -m "$MODEL" --raw a --kv q4_0
expect_json_error out_of_memory 6 complete -m "$MODEL" --raw a --context 2048 --kv-memory 20
expect_json "'takes 47.2 MB' in r['error']['message'] and ': 864 tokens fit' in r['error']['message'] and '--kv q8_0): 1632 fit' in r['error']['hint']"
expect_status 0 complete -m "$MODEL" --raw a --context 1632 --kv q8_0 --kv-memory 20 --max-tokens 1
