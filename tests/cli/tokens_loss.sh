# hone tokens --loss and --data: which tokens are learned, against those that scoring uses; every format; refusals with rows; bad usage.
source tests/cli/lib.bash
need_model

cat >"$tmp/chat.jsonl" <<'ROWS'
{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there!"}, {"role": "user", "content": "Bye <|im_end|>"}, {"role": "assistant", "content": "Good bye."}]}

{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!", "weight": 0}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}
ROWS
expect_status 0 tokens -m "$MODEL" --data "$tmp/chat.jsonl"
expect_in_out "OpenAI chat messages, 2 rows; this is row 1, line 1"
expect_in_out "[[Hello| there|!|<|im_end|>]]"
expect_in_out "message 4, assistant"
expect_in_out "all rows can be trained on"
expect_status 0 tokens -m "$MODEL" --data "$tmp/chat.jsonl" --row 2
expect_in_out "this is row 2, line 3"
expect_in_out "[[Yes|?|<|im_end|>]]"
grep -qF "[[Hello" "$out" && fail "a message of weight 0 is learned"
NO_COLOR= CLICOLOR_FORCE=1 expect_status 0 tokens -m "$MODEL" --data "$tmp/chat.jsonl"
expect_in_out $'\033['
expect_status 0 tokens -m "$MODEL" --data "$tmp/chat.jsonl" --json
expect_json "r['data']['format'] == 'chat' and r['data']['rows'] == 2 and r['data']['all']['rows'] == 2 and r['data']['all']['answers'] == 3"
expect_json "sum(r['learned']) == r['n_learned'] == sum(a['end'] - a['start'] for a in r['answers'])"
expect_json "''.join(p['text'] for p, l in zip(r['pieces'], r['learned']) if l) == 'Hello there!<|im_end|>Good bye.<|im_end|>'"
expect_json "r['ids'].count(2) == 5 and all(a['has_end'] for a in r['answers'])"

# a prompt's case: the very tokens that label likelihood scores
(cd "$tmp" && "$HONE" init new --example tickets >/dev/null) || fail "hone init"
cd "$tmp/new" || exit 1
cat >prompts/short.yaml <<'PROMPT'
messages: [{user: "Which team?"}]
labels: {billing: "billing and invoices"}
PROMPT
printf 'messages: [{user: "Which team?\\nTeam:"}]\ntemplate: raw\n' >prompts/plain.yaml
for prompt in short plain; do
    expect_status 0 tokens -m "$MODEL" "$prompt" --loss --json
    cp "$out" "$tmp/$prompt.json"
    expect_json "r['case'] and r['n_learned'] > 1 and len(r['answers']) == 1 and r['answers'][0]['end'] == r['n_tokens']"
done
wording=$(python3 -c 'import json,sys; r = json.load(open(sys.argv[1])); print("".join(p["text"] for p, l in zip(r["pieces"], r["learned"]) if l)[:-len("<|im_end|>")])' "$tmp/short.json")
expect_status 0 score -m "$MODEL" --user "Which team?" --label "$wording" --json
R2=$tmp/short.json expect_json "[i for i, l in zip(*[json.load(open(os.environ['R2']))[k] for k in ('ids', 'learned')]) if l] == r['labels'][0]['ids']"
expect_status 0 tokens -m "$MODEL" short --loss
expect_in_out "<|im_end|>]]"
expect_status 0 tokens -m "$MODEL" 4-reasoning --loss
expect_in_out "the reasoning that this prompt asks for is left out"
cd "$ROOT" || exit 1

# the other formats
echo '[{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}]' >"$tmp/s.json"
expect_status 0 tokens -m "$MODEL" --data "$tmp/s.json"
expect_in_out "ShareGPT conversations, 1 row;"
expect_in_out "[[Hello|<|im_end|>]]"
echo '{"instruction": "Add.", "input": "1 1", "output": "two"}' >"$tmp/a.jsonl"
expect_status 0 tokens -m "$MODEL" --data "$tmp/a.jsonl"
expect_in_out "Alpaca instructions"
expect_in_out "[[two|<|im_end|>]]"
echo '{"prompt": "Hi", "chosen": "Hello", "rejected": "No"}' >"$tmp/p.jsonl"
expect_status 0 tokens -m "$MODEL" --data "$tmp/p.jsonl"
expect_in_out "preference pairs"
expect_in_out "[[No|<|im_end|>]]"
expect_status 0 tokens -m "$MODEL" --data "$tmp/p.jsonl" --json
expect_json "r['data']['rejected']['n_learned'] == 2 and r['data']['all']['rows'] == 1 and r['data']['all']['answers'] == 2"
printf 'once upon a time\n' >"$tmp/t.txt"
expect_status 0 tokens -m "$MODEL" --data "$tmp/t.txt" --json
expect_json "r['learned'] == [0] + [1] * (r['n_tokens'] - 1) and r['data']['format'] == 'text'"

# refusals
echo '{"messages": [{"role": "user", "content": "Hi"}]}' >>"$tmp/chat.jsonl"
expect_status 2 tokens -m "$MODEL" --data "$tmp/chat.jsonl"
expect_error "row 3 (line 4)"
expect_json_error bad_input 2 tokens -m "$MODEL" --data "$tmp/chat.jsonl"
expect_status 0 tokens -m "$MODEL" --data "$tmp/chat.jsonl" --row 3
expect_in_out "0 of "
expect_json_error limit 4 tokens -m "$MODEL" --data "$tmp/a.jsonl" --max-tokens 20
expect_json_error not_found 2 tokens -m "$MODEL" --data "$tmp/a.jsonl" --row 2
expect_json_error not_found 2 tokens -m "$MODEL" --data "$tmp/none.jsonl"
echo '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x", "weight": 3}]}' >"$tmp/w.jsonl"
expect_json_error bad_input 2 tokens -m "$MODEL" --data "$tmp/w.jsonl"
expect_json "r['error']['where'].endswith('w.jsonl:1: messages[1].weight')"

# usage
expect_json_error usage 2 tokens -m "$MODEL" --raw x --loss
expect_json_error usage 2 tokens -m "$MODEL" --raw x --row 1
expect_json_error usage 2 tokens -m "$MODEL" --raw x --data "$tmp/a.jsonl"
expect_json_error usage 2 tokens -m "$MODEL" --data "$tmp/a.jsonl" --html x.html
