# docs/json.md and the program: every field that a documented example has, the program's output has too, with the same type of value.
source tests/cli/lib.bash

# check NAME: what is in $out has all that the block ```json NAME shows
check() {
    python3 - docs/json.md "$1" "$out" <<'PY' || fail "docs/json.md and the output of $1 differ" 1
import json, re, sys
text, name = open(sys.argv[1], encoding="utf-8").read(), sys.argv[2]
told = json.loads(re.search(r"```json " + name + r"\n(.*?)\n```", text, re.S).group(1))
have = json.load(open(sys.argv[3], encoding="utf-8"))
def compare(a, b, where):
    if a is None or b is None: return
    number = lambda x: isinstance(x, (int, float)) and not isinstance(x, bool)
    if type(a) is not type(b) and not (number(a) and number(b)): sys.exit(f"{where}: {b!r}, documented is {a!r}")
    if isinstance(a, dict):
        for key in a:
            if key not in b: sys.exit(f"{where}: no field {key}")
            compare(a[key], b[key], f"{where}.{key}")
    if isinstance(a, list) and a and b: compare(a[0], b[0], where + "[0]")
compare(told, have, name)
PY
}
show() { local name=$1; shift; expect_status 0 "$@" --json; check "$name"; }

expect_json_error not_found 2 tokens -m smolm2 --raw x
check error
show help help
show help_command help complete
show help_errors help errors
show version version
show models models

# each command has its block, and each block is valid
python3 - docs/json.md "$("$HONE" help --json)" <<'PY' || fail "a command is not in docs/json.md"
import json, re, sys
blocks = dict(re.findall(r"```json ([\w-]+)\n(.*?)\n```", open(sys.argv[1], encoding="utf-8").read(), re.S))
for block in blocks.values(): json.loads(block)
missing = {c["command"] for c in json.loads(sys.argv[2])["commands"]} - set(blocks)
if missing: sys.exit(f"not documented: {missing}")
PY

echo '[{"role": "user", "content": "Hi"}]' >"$tmp/m.json"
echo '{{ messages[0].content }}' >"$tmp/t.jinja"
show render render --template "$tmp/t.jinja" --messages "$tmp/m.json"
show train-tokenizer train-tokenizer examples/tickets/data/tickets.csv --field body --vocab 400 -o "$tmp/tokenizer/tokenizer.json"
if [ -f "$SHARED/goldens/tiny/llama/model.gguf" ]; then
    show quantize quantize "$SHARED/goldens/tiny/llama/model.gguf" -o "$tmp/tiny.gguf" --format q4_k
    show export_gguf export --model "$SHARED/goldens/tiny/llama/model.gguf" --to gguf -o "$tmp/tiny-bf16.gguf"
    show export_adapter export --model "$SHARED/goldens/tiny/llama/model.gguf+$SHARED/goldens/train/lora_final.gguf" --to gguf-adapter -o "$tmp/tiny-lora.gguf"
fi
(cd "$tmp" && "$HONE" init new --example tickets --json >"$tmp/stdout") || fail "hone init"
out=$tmp/stdout
check init
(cd "$tmp/new" && "$HONE" scope --quick --json >"$tmp/stdout") || fail "hone scope"
check scope
(cd "$tmp/new" && "$HONE" log --json >"$tmp/stdout") || fail "hone log"
check log

(cd "$tmp/new" && "$HONE" note project "labels cleaned" >/dev/null && "$HONE" note --json >"$tmp/stdout") || fail "hone note"
check note

need_model
show tokens tokens -m "$MODEL" --messages "$tmp/m.json"
echo '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}' >"$tmp/chat.jsonl"
show tokens_loss tokens -m "$MODEL" --data "$tmp/chat.jsonl"
show complete complete -m "$MODEL" --raw "The capital of France is" --max-tokens 2 --logprobs 1
show score score -m "$MODEL" --raw "The capital of France is" --label " Paris" --stop .
show embed embed -m "$MODEL" "my card is lost" "where is my card"
show bench bench -m "$MODEL" --prompts 8 --streams 1 --seconds 0.01
input=$tmp/line
echo hi >"$input"
show chat chat -m "$MODEL" --max-tokens 4
HONE_MODELS=$tmp/models show pull pull "$MODEL"
unset input

# a small evaluation, twice, compared
cd "$tmp/new" || exit 1
cp "$ROOT/docs/json.md" "$tmp/json.md"
for prompt in $(ls prompts/*.yaml | head -2); do
    "$HONE" eval "$prompt" -m "$MODEL" --limit 12 --json >"$tmp/stdout" 2>"$tmp/stderr" || fail "hone eval: $(cat "$tmp/stdout" "$tmp/stderr")"
done
cd "$ROOT" && check eval
for command in "compare r1 r2" "diff r1 r2 -m $MODEL" "show r1" "log" "ledger" "regrade r1" "judge r1 r2 -m $MODEL"; do
    (cd "$tmp/new" && "$HONE" $command --json >"$tmp/stdout") || fail "hone $command: $(cat "$tmp/stdout")"
    check "${command%% *}"
done
(cd "$tmp/new" && "$HONE" history --json >"$tmp/stdout") || fail "hone history"
check history
(cd "$tmp/new" && "$HONE" replay r1 -m "$MODEL" --limit 3 --json >"$tmp/stdout") || fail "hone replay"
check replay
(cd "$tmp/new" && "$HONE" export r1 -o report.html --json >"$tmp/stdout") || fail "hone export"
check export
(cd "$tmp/new" && "$HONE" gc --dry-run --json >"$tmp/stdout") || fail "hone gc"
check gc
(cd "$tmp/new" && "$HONE" eval 5-plain -m "$MODEL" --limit 12 --json >"$tmp/stdout") || fail "hone eval"
check eval
(cd "$tmp/new" && "$HONE" calibrate last --json >"$tmp/stdout") || fail "hone calibrate"
check calibrate
(cd "$tmp/new" && "$HONE" deploy r1 --name router --force "to see its fields" -m "$MODEL" --json >"$tmp/stdout") || fail "hone deploy: $(cat "$tmp/stdout")"
check deploy
(cd "$tmp/new" && "$HONE" deploy --verify router -m "$MODEL" --json >"$tmp/stdout") || fail "hone deploy --verify: $(cat "$tmp/stdout")"
check deploy_verify
(cd "$tmp/new" && "$HONE" releases --json >"$tmp/stdout") || fail "hone releases"
check releases
(cd "$tmp/new" && "$HONE" deploy r2 --name router --force again -m "$MODEL" --json >/dev/null && "$HONE" rollback router --json >"$tmp/stdout") || fail "hone rollback"
check rollback
