# hone quantize: every format of the tiny model, that the files answer, what stands in for a format that does not fit, and what is left
# alone: existing files, the source, damaged weights.
source tests/cli/lib.bash

expect_status 2 quantize
expect_json_error usage 2 quantize x.gguf --format q8_0
expect_json_error usage 2 quantize x.gguf -o "$tmp/x.gguf"
expect_json_error usage 2 quantize x.gguf -o "$tmp/x.gguf" --format q9
expect_json "'Q8_0' in r['error']['message'] and 'q9' in r['error']['message']"
expect_json_error usage 2 quantize x.gguf -o "$tmp/x.gguf" --format q2_k
expect_json_error not_found 2 quantize "$tmp/none.gguf" -o "$tmp/x.gguf" --format q8_0
mkdir "$tmp/folder"
expect_json_error not_found 2 quantize "$tmp/folder" -o "$tmp/x.gguf" --format q8_0
echo "no model" >"$tmp/text.gguf"
expect_json_error bad_input 2 quantize "$tmp/text.gguf" -o "$tmp/x.gguf" --format q8_0
[ ! -e "$tmp/x.gguf" ] || fail "a failure left a file"

TINY=$SHARED/goldens/tiny/llama/model.gguf
[ -f "$TINY" ] || skip "no ../shared"

# all 2-D tensors get the format, the five norms stay F32; the file's size is what is told
expect_status 0 quantize "$TINY" -o "$tmp/q8.gguf" --format q8_0 --json
expect_json "r['format'] == 'Q8_0' and r['source_format'] == 'F32' and not r['requantized'] and r['converted'] == 15"
expect_json "{t['format']: t['tensors'] for t in r['tensors']} == {'Q8_0': 15, 'F32': 5} and r['fallbacks'] == []"
expect_json "r['bytes_after'] == os.path.getsize(r['path']) and r['bytes_before'] == os.path.getsize(r['source'])"
expect_json "0.001 < r['relative_error'] < 0.01 and r['worst']['relative_error'] >= r['relative_error']"

# rows of 64 and 160 are no whole blocks of 256: llama.cpp's stand-ins, named
for pair in q4_k:Q5_0 q5_k:Q5_1 q6_k:Q8_0; do
    expect_status 0 quantize "$TINY" -o "$tmp/k.gguf" --format "${pair%:*}" --force --json
    expect_json "len(r['fallbacks']) == 15 and {f['format'] for f in r['fallbacks']} == {'${pair#*:}'}"
    expect_json "{'tensor': 'blk.1.ffn_down.weight', 'format': '${pair#*:}', 'columns': 160} in r['fallbacks']"
done
expect_status 0 quantize "$TINY" -o "$tmp/k.gguf" --format Q4_K --force
expect_in_out "15 of 15 matrices fell back"
expect_in_out "Q5_0 blk.*.ffn_down.weight (2), rows of 160"

# the file answers; the golden continuation where nothing was lost, and it is one file with any number of threads
greedy() { expect_status 0 complete -m "$1" --ids 5,9,33,70 --max-tokens 8 --temperature 0 --json; }
greedy "$TINY"
wanted=$(python3 -c "import json,sys; print([t['id'] for t in json.load(open(sys.argv[1]))['tokens']])" "$out")
for format in f32 bf16 f16 q8_0 q6_k q5_k q5_1 q5_0 q4_k q4_1 q4_0; do
    expect_status 0 quantize "$TINY" -o "$tmp/$format.gguf" --format "$format" --threads 1
    greedy "$tmp/$format.gguf"
    expect_json "len(r['tokens']) == 8"
    [ "$format" != f32 ] || expect_json "[t['id'] for t in r['tokens']] == $wanted"
    expect_status 0 quantize "$TINY" -o "$tmp/again.gguf" --format "$format" --threads 3 --force
    cmp -s "$tmp/$format.gguf" "$tmp/again.gguf" || fail "$format: other bytes with other threads"
done

# from a format that lost something: said; to the same: copied as it is; to F32 and back to the same format: nothing changes
expect_status 0 quantize "$tmp/q4_1.gguf" -o "$tmp/b.gguf" --format q5_1
expect_error "starting from Q4_1: errors add up"
expect_status 0 quantize "$tmp/q4_1.gguf" -o "$tmp/b.gguf" --format q5_1 --force --json
expect_json "r['requantized'] and r['source_format'] == 'Q4_1'"
[ ! -s "$errors" ] || fail "--json says something on standard error"
expect_status 0 quantize "$tmp/q8_0.gguf" -o "$tmp/c.gguf" --format q8_0
expect_in_out "Every matrix had its format already"
cmp -s "$tmp/q8_0.gguf" "$tmp/c.gguf" || fail "a copy is another file"
expect_status 0 quantize "$tmp/q8_0.gguf" -o "$tmp/d.gguf" --format f32
expect_in_out "No weight changed"

# nothing is replaced unasked, and never the source; nothing stays of what fails
expect_json_error exists 2 quantize "$TINY" -o "$tmp/b.gguf" --format q8_0
expect_json "'--force' in r['error']['hint']"
cp "$tmp/f32.gguf" "$tmp/own.gguf"
expect_json_error usage 2 quantize "$tmp/own.gguf" -o "$tmp/own.gguf" --format q8_0 --force
ln "$tmp/own.gguf" "$tmp/other-name.gguf"
expect_json_error usage 2 quantize "$tmp/own.gguf" -o "$tmp/other-name.gguf" --format q8_0 --force
cmp -s "$tmp/f32.gguf" "$tmp/own.gguf" || fail "the source was touched"
expect_json_error not_found 2 quantize "$TINY" -o "$tmp/nowhere/x.gguf" --format q8_0
head -c 100000 "$tmp/f32.gguf" >"$tmp/cut.gguf"
expect_json_error bad_input 2 quantize "$tmp/cut.gguf" -o "$tmp/x.gguf" --format q8_0
python3 - "$tmp/f32.gguf" "$tmp/nan.gguf" <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
at = len(b) // 2 // 4 * 4  # norms are a four-hundredth of the file: a matrix is here
b[at:at + 4] = b"\x00\x00\xc0\x7f"
open(sys.argv[2], "wb").write(b)
PY
expect_json_error bad_input 2 quantize "$tmp/nan.gguf" -o "$tmp/x.gguf" --format q4_0
expect_json "'not a finite number' in r['error']['message'] and 'row ' in r['error']['where'] and 'weight' in r['error']['where']"
(ulimit -f 60 && trap '' XFSZ && "$HONE" quantize "$TINY" -o "$tmp/x.gguf" --format q8_0 --json >"$tmp/stdout" 2>/dev/null)
[ $? = 5 ] || fail "a full disk: $(cat "$tmp/stdout")"
[ -z "$(ls "$tmp" | grep -E 'x\.gguf|part')" ] || fail "a failure left a file: $(ls "$tmp")"
