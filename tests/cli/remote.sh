# Models elsewhere, against a scripted loopback server (tests/support/api_server.py) that checks each request and misbehaves on purpose.
source tests/cli/lib.bash
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy HONE_RECORD HONE_REPLAY HONE_API_KEY
server_py=$ROOT/tests/support/api_server.py
python3 "$server_py" "$tmp/port" "$tmp/log" 2>"$tmp/server-errors" &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
for _ in $(seq 100); do [ -s "$tmp/port" ] && break; sleep 0.05; done
base=http://127.0.0.1:$(cat "$tmp/port")
key=sk-test-0123456789abcdef
mkdir "$tmp/p" && cd "$tmp/p" || exit 1

# log EXPRESSION: a Python expression over the list of requests so far holds.
log() {
    python3 - "$tmp/log" "$1" <<'PY' || fail "of the requests does not hold: $1: $(tail -c 1500 "$tmp/log")" 1
import json, sys
log = [json.loads(line) for line in open(sys.argv[1])]
sys.exit(0 if eval(sys.argv[2]) else 1)
PY
}
o() { echo "openai:m@$base/$1/v1"; }
a() { echo "anthropic:c@$base/$1/v1"; }

# ---- one completion ----
expect_status 0 complete -m "$(o ok)" --prompt "say hello there" --json
expect_json "r['text'] == 'hello there' and r['finish_reason'] == 'stop' and r['usage']['completion_tokens'] == 2 and r['usage']['cached_prompt_tokens'] == 4"
log "log[-1]['body'] == {'model': 'm', 'messages': [{'role': 'user', 'content': 'say hello there'}], 'max_tokens': 256, 'temperature': 0.0}"
log "log[-1]['auth'] == ''"
expect_status 0 complete -m "$(o ok)" --system "be brief" --prompt "say hi" --temperature 0.7 --top-p 0.9 --seed 3 --stop X --max-tokens 5 --json
log "{k: log[-1]['body'][k] for k in ('temperature','top_p','seed','stop','max_tokens')} == {'temperature': 0.7, 'top_p': 0.9, 'seed': 3, 'stop': ['X'], 'max_tokens': 5}"
log "log[-1]['body']['messages'][0] == {'role': 'system', 'content': 'be brief'}"
expect_status 0 complete -m "$(o ok)" --prompt "count 50" --max-tokens 3 --json
expect_json "r['finish_reason'] == 'length'"
expect_status 0 complete -m "$(o ok)" --prompt "say yes" --logprobs 2 --json
expect_json "r['tokens'][0]['logprob'] == -0.25 and [t['text'] for t in r['tokens'][0]['top']] == ['yes', 'no']"
expect_status 0 complete -m "$(o ok)" --prompt "say yes" --logprobs 2
expect_in_out '"yes" -0.250, "no" -1.500'
expect_status 0 complete -m "$(o ok)" --raw "text" --json
expect_json "r['text'] == ' raw'"
log "log[-1]['body']['prompt'] == 'text' and log[-1]['path'].endswith('/v1/completions')"
expect_status 0 complete -m "$(a ok)" --system "be brief" --prompt "say hello" --json
expect_json "r['text'] == 'hello' and r['usage'] == {'prompt_tokens': 12, 'completion_tokens': 5, 'cached_prompt_tokens': 4}"
log "log[-1]['body'] == {'model': 'c', 'system': 'be brief', 'messages': [{'role': 'user', 'content': 'say hello'}], 'max_tokens': 256, 'temperature': 0.0}"
expect_status 3 complete -m "$(a ok)" --prompt hi --logprobs 2
expect_error "the messages API has no log-probabilities"
expect_status 3 complete -m "$(o ok)" --prompt hi --top-k 5
expect_error "has no \`top_k\`"
expect_status 3 complete -m "$(o ok)" --ids 1,2
expect_error "takes no token ids"

# ---- streams, in pieces of seven bytes ----
for model in "$(o ok)" "$(a ok)" "$(o whole)"; do
    expect_status 0 complete -m "$model" --prompt "say grüße über alles: ✓"
    expect_out "grüße über alles: ✓"
done
log "log[-3]['body']['stream'] is True and log[-3]['body']['stream_options'] == {'include_usage': True} and 'stream_options' not in log[-2]['body']"
expect_status 7 complete -m "$(o cut)" --prompt "count 200"
expect_error "broke off"
expect_status 7 complete -m "$(o streamerror)" --prompt "say x"
expect_error "the engine broke"
input=$tmp/talk; printf 'say one\nsay two\n' >"$input"
expect_status 0 chat -m "$(a ok)" --json
expect_json "[m['content'] for m in r['messages']] == ['say one', 'one', 'say two', 'two']"
unset input

# ---- what an answer must be ----
echo '{"type": "object", "properties": {"n": {"type": "integer"}, "who": {"type": "string"}}, "required": ["n", "who"], "additionalProperties": false}' >schema.json
for model in "$(o ok)" "$(a ok)"; do
    expect_status 0 complete -m "$model" --prompt "x" --json-schema schema.json --json
    expect_json "r['parsed'] == {'n': 4, 'who': 'text'}"
    expect_status 0 complete -m "$model" --prompt "rather b" --choices a1,b,c --json
    expect_json "r['text'] == 'b' and r['parsed'] == 'b'"
    expect_status 0 complete -m "$model" --prompt "x" --regex '[a-z]{2}' --json
    expect_json "r['parsed'] == 'ab'"
done
log "log[-6]['body']['response_format']['json_schema']['strict'] is True"
log "log[-1]['body']['tool_choice'] == {'type': 'tool', 'name': 'answer'}"
echo 'root ::= "a"' >g.gbnf
expect_status 3 complete -m "$(o ok)" --prompt x --grammar g.gbnf
expect_error "a grammar cannot be sent"
echo '[{"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}}}}]' >tools.json
for model in "$(o ok)" "$(a ok)"; do
    expect_status 0 complete -m "$model" --prompt "call it" --tools tools.json --json
    expect_json "r['tool_calls'][0]['function']['name'] == 'weather' and json.loads(r['tool_calls'][0]['function']['arguments']) == {'city': 'Paris'}"
    for choice in required weather; do
        expect_status 0 complete -m "$model" --prompt "x" --tools tools.json --tool-choice $choice --json
        expect_json "len(r['tool_calls']) == 1"
    done
    expect_status 0 complete -m "$model" --prompt "call it" --tools tools.json --tool-choice none --json
    expect_json "'tool_calls' not in r"
done
cat >talk.json <<'J'
[{"role": "user", "content": "weather?"},
 {"role": "assistant", "content": "", "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Paris\"}"}}]},
 {"role": "tool", "tool_call_id": "t1", "content": "say sun"}]
J
expect_status 0 complete -m "$(a ok)" --messages talk.json --json
expect_json "r['text'] == 'sun'"
log "log[-1]['body']['messages'][1]['content'] == [{'type': 'tool_use', 'id': 't1', 'name': 'weather', 'input': {'city': 'Paris'}}] and log[-1]['body']['messages'][2]['content'][0]['type'] == 'tool_result'"

# ---- keys: from the environment or a file, and nowhere else ----
cat >hone.yaml <<Y
data: {file: data.csv, input: text, target: label}
split: {train: 0.2, dev: 0.8, test: 0, seed: 1}
output: {choice: [apple, pear, plum]}
limits: {cost_per_1000: 5}
models:
  gpt: {api: openai, url: $base/key/v1, model: m, key_env: TEST_KEY, price: {input: 10, cached_input: 1, output: 100}, retries: 3}
  claude: {api: anthropic, url: $base/key/v1, model: c, key_file: key.txt, price: {input: 3, cached_input: 0.3, cache_write: 4, output: 15}}
  busy: {api: openai, url: $base/busy/v1, model: m, concurrency: 4}
  gather: {api: openai, url: $base/gather/v1, model: m, concurrency: 4}
  serial: {api: openai, url: $base/ok/v1, model: m, concurrency: 1}
  long: {api: openai, url: $base/long/v1, model: m}
  slow: {api: openai, url: $base/slow/v1, model: m, concurrency: 2}
  denied: {api: openai, url: $base/denied/v1, model: m, key_env: TEST_KEY}
  down: {api: openai, url: $base/down/v1, model: m, retries: 1}
  newer: {api: openai, url: $base/newer/v1, model: m}
  tuned: {api: openai, url: $base/ok/v1, model: m, max_tokens: 7, max_tokens_name: max_completion_tokens, omit: [temperature], extra: {reasoning_effort: low}}
  free: {api: openai, url: $base/ok/v1, model: m, structured: none}
  hang: {api: openai, url: $base/hang/v1, model: m, timeout_s: 0.3, retries: 0}
  paced: {api: openai, url: $base/ok/v1, model: m, requests_per_minute: 600}
model: gpt
Y
python3 - <<'PY'
names = ["apple", "pear", "plum"]
with open("data.csv", "w") as f:
    f.write("text,label\n")
    for i in range(60): f.write(f"case {i} is a{'n' if i % 3 == 0 else ''} {names[i % 3] if i % 5 else 'thing like an apple'},{names[i % 3]}\n")
PY
expect_status 2 complete --prompt "say x"
expect_error "TEST_KEY, which is not set"
export TEST_KEY=$key
expect_status 0 complete --prompt "say x" --json
expect_json "r['text'] == 'x' and abs(r['usage']['cost'] - (6 * 10 + 4 * 1 + 1 * 100) / 1e6) < 1e-12"
expect_status 2 complete -m claude --prompt "say x"
expect_error "there is no such key file"
echo "$key" >key.txt && chmod 644 key.txt
expect_status 0 complete -m claude --prompt "say x" --json
expect_error "can be read by others"
expect_json "abs(r['usage']['cost'] - (6 * 3 + 4 * 0.3 + 2 * 4 + 5 * 15) / 1e6) < 1e-12"
chmod 600 key.txt
expect_status 0 complete -m claude --prompt "say x"
grep -q "can be read" "$errors" && fail "a key file of one's own is warned about"
printf 'two words\n' >key2.txt; sed 's/key.txt/key2.txt/' hone.yaml >h2.yaml
TEST_KEY="bad key" expect_status 2 complete --prompt x
expect_error "can be no key"
HONE_LOG=debug expect_status 7 complete -m denied --prompt x
expect_error "does not accept the key (HTTP 401)"
expect_error "check the key (\$TEST_KEY)"
grep -q "$key" "$errors" && fail "the key is shown"
grep -q $'\x1b' "$errors" && fail "control characters of the server are shown"
HONE_API_KEY=$key expect_status 0 complete -m "$(o key)" --prompt "say x"
expect_status 7 complete -m "$(o key)" --prompt "say x"

# ---- usage of addresses ----
for bad in "openai:m" "openai:m@ftp://x/v1" "openai:@https://x/v1" "openai:m@https://u:p@x/v1" "openai:m@https://x/v1?key=1"; do
    expect_status 2 complete -m "$bad" --prompt x
done
expect_status 2 complete -m "openai:m@http://example.org/v1" --prompt x
expect_error "plain_http: true"
expect_status 2 complete -m gtp --prompt x
expect_error "gpt"
expect_status 3 tokens -m gpt --raw x
expect_status 0 models --json
expect_json "[m['name'] for m in r['remote']][:2] == ['gpt', 'claude'] and r['remote'][0]['key'] == '\$TEST_KEY' and r['remote'][0]['price']['output'] == 100"
expect_status 0 models
expect_in_out "$base/key/v1"
grep -q "$key" "$out" && fail "the key is listed"

# ---- what goes wrong ----
cd "$tmp" || exit 1
expect_status 0 complete -m "$(o busy)" --prompt "say x1" --json
expect_json "r['text'] == 'x1'"
expect_status 0 complete -m "$(o shaky)" --prompt "say x2"
expect_out "x2"
expect_status 0 complete -m "$(a overloaded)" --prompt "say x2"
started=$(date +%s%N)
expect_status 0 complete -m "$(o after)" --prompt "say x3" --json
[ $(($(date +%s%N) - started)) -ge 1000000000 ] || fail "Retry-After was not respected"
for case in "7 forbidden HTTP 403" "2 missing no such address or model" "7 refused refuses the request" "7 quota cannot pay" "7 redirect redirects to elsewhere.example.org" \
    "7 forever asks to wait for 86400" "7 headers more than any answer needs" "7 endless more than any answer needs" "4 filter content filter"; do
    set -- $case
    wanted=$1 scenario=$2
    shift 2
    n=$(wc -l <"$tmp/log")
    expect_status "$wanted" complete -m "$(o "$scenario")" --prompt "say x" --json
    expect_json "'$*' in r['error']['message'] and r['error']['hint']"
    [ $(($(wc -l <"$tmp/log") - n)) = 1 ] || fail "$scenario was tried again"
done
expect_status 4 complete -m "$(o long)" --prompt "a long one" --json
expect_json "r['error']['code'] == 'context_full'"
expect_status 4 complete -m "$(a long)" --prompt "a long one" --json
expect_json "r['error']['code'] == 'context_full'"
expect_status 7 complete -m openai:m@http://127.0.0.1:1/v1 --prompt x
expect_error "cannot be reached"
cd "$tmp/p" || exit 1
expect_status 7 complete -m down --prompt x
expect_error "(tried 2 times)"
expect_status 7 complete -m hang --prompt x
expect_error "no whole answer came within 0.3 s"
"$HONE" complete -m "$(o drip)" --prompt x >"$tmp/stdout" 2>"$tmp/stderr" &
child=$!
sleep 0.7
started=$(date +%s%N)
kill -INT $child
wait $child
[ $? = 130 ] || fail "Ctrl-C did not end it with 130: $(cat "$tmp/stderr")"
[ $(($(date +%s%N) - started)) -lt 3000000000 ] || fail "Ctrl-C took long"

# ---- evaluation ----
mkdir prompts
echo 'messages: [{user: "Which fruit? {{ text }}"}]' >prompts/v1.yaml
printf 'messages: [{user: "Which fruit, please? {{ text }}"}]\nanswer: likelihood\n' >prompts/likely.yaml
expect_status 2 eval prompts/likely.yaml
expect_error "prompts/likely.yaml:2:9"
expect_error "\`answer: generate\`"
expect_status 0 eval prompts/v1.yaml -m gpt --json
right=$(python3 -c "print(json.load(open('$out'))['runs'][0]['metrics']['accuracy']['value'])" 2>/dev/null || python3 -c "import json; print(json.load(open('$out'))['runs'][0]['metrics']['accuracy']['value'])")
expect_json "0.8 < r['runs'][0]['metrics']['accuracy']['value'] < 1 and r['runs'][0]['n'] == 48 and r['runs'][0]['cost'] > 0"
expect_json "any(g['name'] == 'cost_per_1000' and g['state'] == 'met' for g in r['runs'][0]['goals'])"
n=$(wc -l <"$tmp/log")
expect_status 0 eval prompts/v1.yaml -m gpt
expect_in_out "not reproducible: remote"
expect_in_out "these answers cost \$"
[ "$(wc -l <"$tmp/log")" = "$n" ] || fail "an unchanged run asked again"
cp prompts/v1.yaml prompts/copy.yaml && echo "# the same" >>prompts/copy.yaml
expect_status 0 eval prompts/copy.yaml -m gpt --json
[ "$(wc -l <"$tmp/log")" = "$n" ] || fail "cached answers were asked for again"
expect_json "abs(r['runs'][0]['metrics']['accuracy']['value'] - $right) < 1e-9"
expect_status 0 show last --json
expect_json "r['parameters']['answer'] == 'generate' and r['model'] == 'gpt' and r['summary']['cost'] > 0"
expect_status 0 show last
expect_in_out "1,000 answers cost"
expect_in_out "remote (not reproducible)"
expect_status 0 eval prompts/v1.yaml -m claude --json
expect_json "r['runs'][0]['metrics']['accuracy']['value'] > 0.8"
expect_status 0 compare r1 last
expect_in_out "1,000 answers of A cost"
expect_status 0 eval prompts/v1.yaml -m gather --limit 8
log "max(e['in_flight'] for e in log if '/gather/' in e['path']) == 4"
expect_status 0 eval prompts/v1.yaml -m serial --limit 8
log "max(e['in_flight'] for e in log[-8:]) == 1"
expect_status 0 eval prompts/v1.yaml -m busy --json
expect_json "abs(r['runs'][0]['metrics']['accuracy']['value'] - $right) < 1e-9 and r['runs'][0]['failed_cases'] == 0"
log "sum('/busy/' in e['path'] for e in log) >= 3 * 48"
expect_status 0 eval prompts/v1.yaml -m tuned --limit 3
log "log[-1]['body']['max_completion_tokens'] == 7 + 32 and log[-1]['body']['reasoning_effort'] == 'low' and not {'temperature', 'max_tokens'} & set(log[-1]['body'])"
expect_status 0 eval prompts/v1.yaml -m free --limit 3
log "'response_format' not in log[-1]['body']"
started=$(date +%s%N)
expect_status 0 eval prompts/v1.yaml -m paced --limit 6 --no-cache
[ $(($(date +%s%N) - started)) -ge 500000000 ] || fail "requests_per_minute was not respected"
# one case that is too long is that case's own failure
sed 's/case 7 is/a long case 7 is/' data.csv >d2.csv && cp data.csv keep.csv && cp d2.csv data.csv
expect_status 0 eval prompts/v1.yaml -m long --json
expect_json "r['runs'][0]['failed_cases'] in (0, 1)"
cp keep.csv data.csv
expect_status 7 eval prompts/v1.yaml -m down
expect_error "of 48 answers are saved as r"

# ---- budget: stops, keeps, goes on ----
echo 'messages: [{user: "A new question: which fruit? {{ text }}"}]' >prompts/v2.yaml
sed -i 's/retries: 3}/retries: 3, max_tokens: 8}/' hone.yaml
expect_status 2 eval prompts/v2.yaml -m busy --budget 1
expect_error "a budget needs the model's prices"
n=$(wc -l <"$tmp/log")
expect_status 4 eval prompts/v2.yaml -m gpt --budget 0.02 --json
expect_json "r['error']['code'] == 'budget' and 'is used up' in r['error']['message']"
asked=$(($(wc -l <"$tmp/log") - n))
[ "$asked" -gt 3 ] && [ "$asked" -lt 48 ] || fail "with a small budget $asked requests were made"
for _ in 1 2 3 4 5 6 7 8; do
    run eval prompts/v2.yaml -m gpt --budget 0.02 --json
    [ "$status" = 4 ] || break
done
[ "$status" = 0 ] || fail "it did not come to its end: $(cat "$out")"
[ $(($(wc -l <"$tmp/log") - n)) = 48 ] || fail "what was paid for was asked again: $(($(wc -l <"$tmp/log") - n)) requests"
expect_json "r['runs'][0]['resumed_cases'] > 0"
echo 'budget: 0.000001' >>hone.yaml
expect_status 4 complete -m gpt --prompt "say more"
sed -i '/^budget/d' hone.yaml

# ---- Ctrl-C in the middle, and on from there ----
echo 'messages: [{user: "Once more: which fruit? {{ text }}"}]' >prompts/v3.yaml
"$HONE" eval prompts/v3.yaml -m slow >"$tmp/stdout" 2>"$tmp/stderr" &
child=$!
sleep 2.5
kill -INT $child
wait $child
[ $? = 130 ] || fail "Ctrl-C: $(cat "$tmp/stderr")"
expect_status 0 eval prompts/v3.yaml -m slow --json --limit 48 || true

# ---- record and replay ----
export HONE_RECORD=$tmp/record
expect_status 0 complete -m gpt --prompt "say recorded"
HONE_RECORD=$tmp/record expect_status 0 eval prompts/v1.yaml -m gpt --no-cache --limit 5 --json
unset HONE_RECORD
grep -rq "$key" "$tmp/record" && fail "the key is in a recording"
n=$(wc -l <"$tmp/log")
export HONE_REPLAY=$tmp/record
(unset TEST_KEY; expect_status 0 complete -m gpt --prompt "say recorded"; expect_out recorded) || exit 1
expect_status 0 eval prompts/v1.yaml -m gpt --no-cache --limit 5 --json
expect_status 2 complete -m gpt --prompt "say something else"
expect_error "no recorded answer"
unset HONE_REPLAY
[ "$(wc -l <"$tmp/log")" = "$n" ] || fail "a replay asked the server"

# ---- no key anywhere on disk, and each request was as a strict endpoint wants it ----
grep -rl "$key" "$tmp/p/.hone" && { grep -rao ".\{80\}$key.\{60\}" "$tmp/p/.hone" | head -3; fail "the key is in the store"; }
log "not [e for e in log if e['problems']]"
exit 0
