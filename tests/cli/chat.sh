# hone chat through a pipe: turns, commands, memory of the conversation, errors; models and bench beside it.
source tests/cli/lib.bash

expect_status 2 chat -m "$tmp/none.gguf"
expect_status 2 chat extra
expect_error "unexpected argument"
expect_status 2 bench --prompts 0
expect_error "--prompts takes numbers from 1 to"
expect_status 2 bench --streams 1,two
expect_status 2 models extra

# what can be fetched is told before anything is
HONE_MODELS=$tmp/empty expect_status 0 models --json
expect_json "r['models'][0]['name'] == 'smollm2-135m' and 'smollm2' in r['models'][0]['aliases'] and not r['models'][0]['present']"
expect_json "r['models'][0]['file_bytes'] == 98362432 and r['models'][0]['parameters'] == 134515008 and r['models'][0]['context'] == 8192"
expect_json "r['models'][0]['estimated_tokens_per_s'] > 0 and r['models'][0]['memory_bytes'] >= r['models'][0]['memory_low_bytes'] > 98362432"
expect_json "r['models'][0]['licence'] == 'Apache-2.0' and len(r['models'][0]['sha256']) == 64 and r['machine']['bytes_per_s'] > 0"
HONE_MODELS=$tmp/empty expect_status 0 models
expect_in_out "hone pull"
mkdir "$tmp/some" && echo x >"$tmp/some/other.gguf"
HONE_MODELS=$tmp/some expect_status 0 models
expect_in_out "other.gguf"

need_model
input=$tmp/lines
printf 'What is the capital of France?\n\n/help\n' >"$input"
expect_status 0 chat -m "$MODEL" --temperature 0 --repetition-penalty 1
expect_in_out "The capital of France is Paris."
expect_in_out "/reset"

# the conversation is remembered, /reset forgets it and keeps the system message, a backslash joins lines
printf 'What is the capital of \\\nFrance?\nAnd of Italy?\n' >"$input"
expect_status 0 chat -m "$MODEL" --temperature 0 --json --system "Answer briefly."
expect_json "[m['role'] for m in r['messages']] == ['system', 'user', 'assistant', 'user', 'assistant'] and r['messages'][1]['content'] == 'What is the capital of \nFrance?'"
expect_json "r['usage']['cached_prompt_tokens'] > 20 and r['left'] == r['context'] - r['usage']['prompt_tokens'] - r['usage']['completion_tokens']"
printf 'Hello\n/system Be brief.\n/reset\nHi\n/quit\nnever read\n' >"$input"
expect_status 0 chat -m "$MODEL" --temperature 0 --json
expect_json "[m['role'] for m in r['messages']] == ['system', 'user', 'assistant'] and r['messages'][0]['content'] == 'Be brief.' and r['messages'][1]['content'] == 'Hi'"
printf '/rest\n' >"$input"
expect_status 2 chat -m "$MODEL"
expect_error "/reset"
printf 'one two three four five six seven eight nine ten\n' >"$input"
expect_json_error context_full 4 chat -m "$MODEL" --context 16
unset input

expect_status 0 bench -m "$MODEL" --prompts 16,64 --streams 1,2 --seconds 0.01 --json
expect_json "isinstance(r['isa'], str) and r['threads'] >= 1 and [p['n_tokens'] for p in r['prefill']] == [16, 64] and [d['n_streams'] for d in r['decode']] == [1, 2]"
expect_json "all(x['tokens_per_s'] > 0 and x['limit_share'] > 0 for x in r['prefill'] + r['decode'])"
HONE_ISA=nonsense expect_json_error unsupported 3 bench -m "$MODEL"
