# The OpenAI dialect against a real server that speaks it: llama.cpp's, on loopback. Skipped where there is none: HONE_LLAMA_SERVER names the
# program, else PATH is searched. remote_replay.sh replays what it said once, everywhere.
source tests/cli/lib.bash
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy HONE_REPLAY HONE_API_KEY
need_model
program=${HONE_LLAMA_SERVER:-$(command -v llama-server)}
[ -x "$program" ] || skip "there is no llama-server (HONE_LLAMA_SERVER, PATH): llama.cpp's server is not tested against here"
port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
"$program" -m "$MODEL" --host 127.0.0.1 --port "$port" -c 8192 -np 4 -t 2 --api-key sk-llama-secret-key --jinja >"$tmp/server" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
for _ in $(seq 200); do
    python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/health', timeout=1)" 2>/dev/null && break
    kill -0 $server 2>/dev/null || skip "llama-server does not start: $(tail -c 300 "$tmp/server")"
    sleep 0.1
done
mkdir "$tmp/p" && cd "$tmp/p" || exit 1
"$HONE" init . --example tickets >/dev/null || fail "init"
cat >>hone.yaml <<Y
models:
  llama: {api: openai, url: http://127.0.0.1:$port/v1, model: smol, key_env: LLAMA_KEY, concurrency: 4, structured: grammar, price: {input: 1, output: 2}}
Y
export LLAMA_KEY=sk-llama-secret-key
source "$ROOT/tests/cli/llama_requests.bash"
llama_requests
expect_status 4 complete -m llama --prompt "$(python3 -c "print('very ' * 9000 + 'long')")" --json
expect_json "r['error']['code'] == 'context_full'"
LLAMA_KEY=sk-wrong-key expect_status 7 complete -m llama --prompt x
expect_error "does not accept the key"
cat >prompts/remote.yaml <<'Y'
messages:
  - user: "Route this support ticket to a team. Ticket: {{ subject }}\nTeam:"
parameters: {max_tokens: 16}
Y
expect_status 0 eval prompts/remote.yaml -m llama --limit 4 --json
expect_json "r['runs'][0]['n'] == 4 and r['runs'][0]['invalid_cases'] == 0 and r['runs'][0]['failed_cases'] == 0 and r['runs'][0]['cost'] > 0"
expect_status 0 show last
expect_in_out "remote (not reproducible)"
grep -rq sk-llama-secret-key "$tmp/p" && fail "the key is on disk"
exit 0
