# What llama.cpp's server answered once (recorded by HONE_RECORD with the requests of llama_requests.bash), replayed: the same requests and the same
# reading of real answers, streams and log-probabilities wherever the tests run. Nothing is sent.
source tests/cli/lib.bash
unset HONE_RECORD LLAMA_KEY
export HONE_REPLAY=$ROOT/tests/fixtures/llama_server
mkdir "$tmp/p" && cd "$tmp/p" || exit 1
"$HONE" init . --example tickets >/dev/null || fail "init"
cat >>hone.yaml <<Y
models:
  llama: {api: openai, url: http://127.0.0.1:9/v1, model: smol, key_env: LLAMA_KEY, concurrency: 4, structured: grammar, price: {input: 1, output: 2}}
Y
source "$ROOT/tests/cli/llama_requests.bash"
llama_requests
expect_status 2 complete -m llama --prompt "Something else."
expect_error "no recorded answer"
exit 0
