# Requests to the model `llama` of a project whose answers hold for any server with SmolLM2-135M-Instruct behind it: used with the real server, and with
# what it answered once (tests/fixtures/llama_server).
llama_requests() {
    echo '{"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}, "n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["city", "n"], "additionalProperties": false}' >schema.json
    echo 'root ::= "left" | "right"' >way.gbnf
    expect_status 0 complete -m llama --prompt "Name a colour." --max-tokens 8 --json
    expect_json "r['text'] and r['usage']['prompt_tokens'] > 5 and 0 < r['usage']['completion_tokens'] <= 8 and r['usage']['cost'] > 0"
    expect_status 0 complete -m llama --prompt "Name a colour." --max-tokens 8 # streamed
    [ -s "$out" ] || fail "nothing was streamed"
    expect_status 0 complete -m llama --prompt "Say yes." --max-tokens 2 --logprobs 3 --json
    expect_json "all(t['logprob'] <= 0 and len(t['top']) == 3 and t['top'][0]['logprob'] >= t['top'][1]['logprob'] for t in r['tokens']) and 0 < len(r['tokens']) <= 2"
    expect_status 0 complete -m llama --prompt "Is the sky blue?" --choices yes,no,maybe --json
    expect_json "r['parsed'] in ('yes', 'no', 'maybe')"
    expect_status 0 complete -m llama --prompt "A city and a number." --json-schema schema.json --max-tokens 64 --json
    expect_json "set(r['parsed']) == {'city', 'n'} and 1 <= r['parsed']['n'] <= 9"
    expect_status 0 complete -m llama --prompt "Two letters." --regex '[a-z]{2}' --json
    expect_json "len(r['parsed']) == 2"
    expect_status 0 complete -m llama --prompt "Left or right?" --grammar way.gbnf --json
    expect_json "r['text'] in ('left', 'right')"
    expect_status 0 complete -m llama --raw "Once upon a time" --max-tokens 5 --json
    expect_json "r['text'] and r['finish_reason'] == 'length'"
    expect_status 0 complete -m llama --prompt "Count." --stop , --max-tokens 12 --json
    expect_json "',' not in r['text']"
}
