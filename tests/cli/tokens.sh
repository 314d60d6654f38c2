# hone tokens: ids of the reference vocabularies and of SmolLM2, pieces that make up the text again, pictures and pages, bad usage.
source tests/cli/lib.bash
need_shared suites/vocab
VOCAB=$SHARED/suites/vocab

# every vocabulary: its texts, one by one, through a file, as a vocabulary-only GGUF
python3 - "$VOCAB" "$tmp" "$HONE" <<'PY' || fail "a vocabulary differs"
import glob, json, os, subprocess, sys
vocab, tmp, hone = sys.argv[1:4]
n = 0
for path in sorted(glob.glob(vocab + "/*.gguf")):
    texts = open(path + ".inp", encoding="utf-8", newline="").read().split("\n__ggml_vocab_test__\n")
    lines = open(path + ".out", encoding="utf-8").read().split("\n")
    for i in list(range(0, len(texts), 6)) + [len(texts) - 1]:
        open(tmp + "/text", "w", encoding="utf-8", newline="").write(texts[i])
        r = json.loads(subprocess.run([hone, "tokens", "-m", path, "--file", tmp + "/text", "--json"], stdout=subprocess.PIPE, check=True).stdout)
        wanted = [int(x) for x in lines[i].split()]
        if r["ids"] != wanted: sys.exit(f"{path} text {i} {texts[i]!r}: {r['ids']} instead of {wanted}")
        assert r["n_tokens"] == len(wanted) == len(r["pieces"]) and [p["id"] for p in r["pieces"]] == wanted
        n += 1
print(n, "texts", file=sys.stderr)
PY

any=$(ls "$VOCAB"/*.gguf | grep -m1 gpt-2 || ls "$VOCAB"/*.gguf | head -1)

# bad usage and bad input
expect_status 2 tokens -m "$any"
expect_error "one of --file, --raw"
expect_status 2 tokens -m "$any" --raw a --file b
expect_error "cannot be given together"
expect_json_error not_found 2 tokens -m "$any" --file "$tmp/nowhere"
expect_json_error not_found 2 tokens -m "$tmp/no-model.gguf" --raw a
expect_json_error not_found 2 tokens -m smolm2 --raw a
head -c 1000 "$any" >"$tmp/cut.gguf"
expect_status 2 tokens -m "$tmp/cut.gguf" --raw a
expect_error "cut.gguf"
expect_status 0 tokens -m "$any" --raw ""
printf 'a\0b' >"$tmp/nul"
expect_status 0 tokens -m "$any" --file "$tmp/nul" --json
expect_json "bytes(b for p in r['pieces'] for b in p['bytes']) == b'a\\0b'"

# a page that stands alone, with what is dangerous in HTML written harmlessly
expect_status 0 tokens -m "$any" --raw '<script>alert("1")</script> & more' --html "$tmp/page.html"
grep -q '<!DOCTYPE html>' "$tmp/page.html" || fail "no page"
grep -q '<script' "$tmp/page.html" && fail "text became markup"
grep -qE 'https?://|src=' "$tmp/page.html" && fail "the page needs something from elsewhere"
expect_status 5 tokens -m "$any" --raw a --html /dev/null/page.html
mkfifo "$tmp/pipe" # a pipe or a device is written to, not replaced by a file
cat "$tmp/pipe" >"$tmp/through.html" &
expect_status 0 tokens -m "$any" --raw a --html "$tmp/pipe"
wait
[ -p "$tmp/pipe" ] && grep -q '<!DOCTYPE html>' "$tmp/through.html" || fail "the pipe was replaced"

need_model
expect_status 0 tokens -m "$MODEL" --raw "Hello world" --json
expect_json "r['ids'] == [19556, 905] and r['context'] == 8192 and 0 < r['share'] < 0.001"
expect_status 0 tokens -m "$MODEL" --raw "Hello world"
expect_in_out "Hello| world"
expect_in_out "2 tokens"
NO_COLOR= CLICOLOR_FORCE=1 expect_status 0 tokens -m "$MODEL" --raw "Hello world"
expect_in_out $'\033['

# control tokens in a user's text stay text, unless asked for; in messages always
expect_status 0 tokens -m "$MODEL" --raw "<|im_end|>" --json
expect_json "2 not in r['ids'] and r['n_tokens'] > 1"
expect_status 0 tokens -m "$MODEL" --raw "<|im_end|>" --special --json
expect_json "r['ids'] == [2]"
echo '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <|im_end|> there"}]' >"$tmp/messages.json"
expect_status 0 tokens -m "$MODEL" --messages "$tmp/messages.json" --json
expect_json "r['ids'].count(2) == 2 and [m['role'] for m in r['messages']] == ['system', 'user']"
expect_json "sum(m['n_tokens'] for m in r['messages']) + r['template_tokens'] == r['n_tokens']"
expect_status 0 tokens -m "$MODEL" --messages "$tmp/messages.json"
expect_in_out "1 system"
echo '[]' >"$tmp/empty.json"
expect_json_error bad_input 2 tokens -m "$MODEL" --messages "$tmp/empty.json"
echo '[{"role": "user", "content": "x"' >"$tmp/broken.json"
expect_json_error bad_input 2 tokens -m "$MODEL" --messages "$tmp/broken.json"
expect_json "'broken.json:' in r['error']['where']"

# SmolLM2's golden tokens
if [ -e "$SHARED/goldens/smollm2/tokens.jsonl" ]; then
    python3 - "$SHARED/goldens/smollm2/tokens.jsonl" "$tmp" "$HONE" "$MODEL" <<'PY' || fail "golden tokens differ"
import json, subprocess, sys
golden, tmp, hone, model = sys.argv[1:5]
for line in list(open(golden, encoding="utf-8").read().split("\n"))[::7]:
    if not line: continue
    row = json.loads(line)
    open(tmp + "/text", "wb").write(bytes.fromhex(row["utf8_hex"]))
    command = [hone, "tokens", "-m", model, "--file", tmp + "/text", "--json"] + (["--special"] if row["special"] else [])
    got = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["ids"]
    if got != row["ids"]: sys.exit(f"{row['name']}: {got} instead of {row['ids']}")
PY
fi
