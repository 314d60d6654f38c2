# hone export --to gguf, gguf-adapter and peft, GGUF adapters at run time, and quantising folders and models with an adapter: on the tiny model; and that
# llama.cpp's server (HONE_LLAMA_SERVER, else PATH) answers alike with the files, where it is there.
source tests/cli/lib.bash
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
need_shared goldens/train/lora_final.gguf
tiny=$SHARED/goldens/tiny/llama peft=$SHARED/goldens/train/lora_final lora=$SHARED/goldens/train/lora_final.gguf
mkdir "$tmp/base"
cp "$tiny/config.json" "$tiny/model.safetensors" "$SHARED/goldens/tiny/tokenizer.json" "$tmp/base/"

# an adapter is the same in both forms, beside both forms of the model
greedy() { expect_status 0 complete -m "$1" --ids 5,9,33,70 --max-tokens 12 --temperature 0 --json; }
greedy "$tiny/model.gguf"
base=$(python3 -c "import json,sys; print([t['id'] for t in json.load(open(sys.argv[1]))['tokens']])" "$out")
greedy "$tiny/model.gguf+$peft"
wanted=$(python3 -c "import json,sys; print([t['id'] for t in json.load(open(sys.argv[1]))['tokens']])" "$out")
[ "$base" != "$wanted" ] || fail "the adapter changes nothing"
same() { greedy "$1" && expect_json "[t['id'] for t in r['tokens']] == $wanted"; }
same "$tiny/model.gguf+$lora"
same "$tmp/base+$lora"

# the merged file, from either form; what it says of itself
expect_status 0 export --model "$tmp/base+$lora" --to gguf --type f32 -o "$tmp/merged.gguf" --json
expect_json "r['merged'] == 14 and r['tensors'] == 20 and r['adapter'] and r['tokenizer'] and not r['requantized'] and r['bytes'] == os.path.getsize(r['file'])"
same "$tmp/merged.gguf"
expect_status 0 export --model "$tiny/model.gguf+$peft" --to gguf --type f32 -o "$tmp/merged2.gguf"
expect_in_out "the adapter merged into 14 of them"
same "$tmp/merged2.gguf"
expect_json_error exists 2 export --model "$tmp/base" --to gguf -o "$tmp/merged.gguf"
expect_status 0 export --model "$tmp/base" --to gguf -o "$tmp/merged2.gguf" --force
expect_json_error usage 2 export --model "$tmp/merged2.gguf" --to gguf -o "$tmp/merged2.gguf" --force
expect_json_error not_found 2 export --model "$tmp/base" --to gguf -o "$tmp/nowhere/x.gguf"
run export --model "$tmp/base" --to gguf
[ "$status" = 2 ] || fail "-o is needed"

# the adapter alone, there and back
expect_status 0 export --model "$tiny/model.gguf+$peft" --to gguf-adapter -o "$tmp/a.gguf" --json
expect_json "r['matrices'] == 14 and r['alpha'] == 8 and r['rank'] == 4 and r['file'].endswith('a.gguf')"
same "$tiny/model.gguf+$tmp/a.gguf"
expect_status 0 export --model "$tmp/base+$tmp/a.gguf" --to peft -o "$tmp/peft" --base-name org/base
expect_in_out "14 matrices, rank 4, alpha 8, for org/base"
same "$tmp/base+$tmp/peft"
expect_json_error exists 2 export --model "$tmp/base+$peft" --to peft -o "$tmp/peft"
expect_json_error usage 2 export --model "$tmp/base" --to peft -o "$tmp/peft2"
expect_json_error usage 2 export --model "$tmp/base" --to gguf-adapter -o "$tmp/b.gguf"

# what does not belong is refused by name
expect_json_error bad_input 2 complete -m "$tiny/model.gguf+$tiny/model.gguf" --ids 1 --max-tokens 1
expect_json "'general.type' in r['error']['message']"
expect_json_error not_found 2 complete -m "$tiny/model.gguf+$tmp/none.gguf" --ids 1 --max-tokens 1

# quantising a folder, and a model with its adapter; a full disk leaves nothing
expect_status 0 quantize "$tmp/base" -o "$tmp/q.gguf" --format q8_0 --json
expect_json "r['source_format'] == 'F32' and r['converted'] == 15 and not r['requantized']"
expect_status 0 quantize "$tiny/model.gguf" -o "$tmp/q2.gguf" --format q8_0
greedy "$tmp/q.gguf" && cp "$out" "$tmp/x" && greedy "$tmp/q2.gguf"
X=$tmp/x expect_json "r['tokens'] == json.load(open(os.environ['X']))['tokens']"
expect_status 0 quantize "$tmp/base+$lora" -o "$tmp/q3.gguf" --format f32
same "$tmp/q3.gguf"
expect_status 0 quantize "$tmp/q2.gguf+$lora" -o "$tmp/q4.gguf" --format q8_0
expect_error "starting from Q8_0: errors add up"
for to in gguf safetensors gguf-adapter peft; do
    rm -rf "$tmp/full"
    (ulimit -f 40 && trap '' XFSZ && "$HONE" export --model "$tmp/base+$lora" --to $to -o "$tmp/full" --json >"$tmp/stdout" 2>/dev/null)
    [ $? = 5 ] || [ $to = peft ] || [ $to = gguf-adapter ] || fail "--to $to on a full disk: $(cat "$tmp/stdout")"
    [ -z "$(find "$tmp" -name '*.part')" ] || fail "--to $to left a part"
done

# a part that a kill has left goes with the next run; one that grows stays
touch "$tmp/k.gguf.99999-1.part"
exec 9>"$tmp/k.gguf.88888-1.part"
python3 -c "import fcntl; fcntl.flock(9, fcntl.LOCK_EX)" 9>&9
expect_status 0 quantize "$tmp/base" -o "$tmp/k.gguf" --format q8_0
[ ! -e "$tmp/k.gguf.99999-1.part" ] || fail "a dead part is still there"
[ -e "$tmp/k.gguf.88888-1.part" ] || fail "a part that another program holds was removed"
exec 9>&-
for i in 1 2 3 4; do "$HONE" quantize "$tmp/base" -o "$tmp/k.gguf" --format q8_0 --force --json >/dev/null 2>"$tmp/e$i" & done
wait
cmp -s "$tmp/k.gguf" "$tmp/q.gguf" || fail "several at once made another file"
[ -z "$(find "$tmp" -name '*.part')" ] || fail "a part is left: $(find "$tmp" -name '*.part')"

# llama.cpp reads them and answers the same tokens
program=${HONE_LLAMA_SERVER:-$(command -v llama-server)}
[ -x "$program" ] || skip "there is no llama-server (HONE_LLAMA_SERVER, PATH): the files are not tried in llama.cpp here"
ask_llama() {
    local port server
    port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
    "$program" "$@" --host 127.0.0.1 --port "$port" -c 128 -t 2 >"$tmp/server" 2>&1 &
    server=$!
    trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
    python3 - "$port" "$server" "$wanted" <<'PY' || fail "llama.cpp, $*: $(tail -c 600 "$tmp/server")" 1
import json, os, sys, time, urllib.request as u
for _ in range(150):
    try:
        u.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=1)
        break
    except OSError:
        os.kill(int(sys.argv[2]), 0)
        time.sleep(0.05)
body = json.dumps({"prompt": [5, 9, 33, 70], "n_predict": 12, "temperature": 0, "return_tokens": True, "ignore_eos": False}).encode()
r = json.load(u.urlopen(u.Request(f"http://127.0.0.1:{sys.argv[1]}/completion", body, {"Content-Type": "application/json"}), timeout=20))
print(r["tokens"], "wanted", sys.argv[3])
sys.exit(0 if r["tokens"] == json.loads(sys.argv[3]) else 1)
PY
    kill $server
    wait $server 2>/dev/null
    trap 'rm -rf "$tmp"' EXIT
}
ask_llama -m "$tmp/merged.gguf"
ask_llama -m "$tiny/model.gguf" --lora "$tmp/a.gguf"
