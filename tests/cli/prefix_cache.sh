# --prefix-cache: off unless asked for, the same answers with and without, damaged files, several processes at once.
source tests/cli/lib.bash
need_model
export XDG_CACHE_HOME=$tmp/cache
folder=$tmp/cache/hone/prefixes
seq 1 150 | sed 's/$/. A line of the rules./' >"$tmp/rules.txt"
ask() { expect_status 0 complete -m "$MODEL" --system "$(cat "$tmp/rules.txt")" --user "$1" --max-tokens 6 --json "${@:2}"; }
answer() { python3 -c 'import json,sys; r=json.load(open(sys.argv[1])); print(r["text"], [t["logprob"] for t in r["tokens"]])' "$out"; }

ask "Which rule is the best?"
first=$(answer)
[ ! -e "$folder" ] || fail "there is a prefix cache that nobody asked for"
ask "Which rule is the best?" --prefix-cache 500
[ "$(answer)" = "$first" ] || fail "the answer changed while its prompt was kept"
[ "$(ls "$folder" | wc -l)" = 1 ] || fail "there is not one file: $(ls "$folder")"
HONE_PREFIX_CACHE=500 ask "Which rule is the best?"
[ "$(answer)" = "$first" ] || fail "the answer changed with its prompt from disk"
expect_error "prompt tokens read from disk instead of computed"
expect_json "r['usage']['cached_prompt_tokens'] > 1000"
ask "And the worst one?" --prefix-cache 500 # the same rules, another question
expect_json "r['usage']['cached_prompt_tokens'] > 1000"
HONE_PREFIX_CACHE=500 ask "Which rule is the best?" --prefix-cache 0
expect_json "r['usage']['cached_prompt_tokens'] == 0"
HONE_PREFIX_CACHE=much ask "Which rule is the best?"
expect_error 'HONE_PREFIX_CACHE takes megabytes, such as 1000: "much" leaves the prefix cache off'

file=$(echo "$folder"/*.kv)
head -c 1000000 "$file" >"$tmp/short"
cp "$tmp/short" "$file"
ask "Which rule is the best?" --prefix-cache 500
[ "$(answer)" = "$first" ] || fail "the answer changed with a damaged file"
expect_error "is ignored: the kept prefix has not the size that its header names"
expect_json "r['usage']['cached_prompt_tokens'] == 0"

rm "$folder"/*
for i in 1 2 3; do
    "$HONE" complete -m "$MODEL" --system "$(cat "$tmp/rules.txt")" --user "Which rule is the best?" --max-tokens 6 --json --prefix-cache 500 >"$tmp/o$i" 2>"$tmp/e$i" &
done
wait
for i in 1 2 3; do
    out=$tmp/o$i
    [ "$(answer)" = "$first" ] || fail "the answers of processes at once differ: $(cat "$tmp/o$i" "$tmp/e$i")"
done
[ "$(ls "$folder" | wc -l)" = 1 ] || fail "there is not one file: $(ls "$folder")"
