# hone train-tokenizer: what it prints and writes, the same file every time, and what it refuses. Where Python has Hugging Face's tokenizers
# (HONE_HF_PYTHON names such a Python): the merges and ids of its trainer.
source tests/cli/lib.bash

expect_json_error usage 2 train-tokenizer x.txt
expect_json_error not_found 2 train-tokenizer "$tmp/none.txt" -o "$tmp/t.json"
printf '' >"$tmp/empty.txt"
expect_json_error bad_input 2 train-tokenizer "$tmp/empty.txt" -o "$tmp/t.json"
printf 'a\xff' >"$tmp/bad.txt"
expect_json_error bad_input 2 train-tokenizer "$tmp/bad.txt" -o "$tmp/t.json"
expect_json_error usage 2 train-tokenizer "$tmp/bad.txt" --vocab 255 -o "$tmp/t.json"
(cd "$tmp" && expect_json_error not_found 2 train-tokenizer -o "$tmp/t.json") || fail "without a project"
[ ! -e "$tmp/t.json" ] || fail "a failure left a file"

data=examples/tickets/data/tickets.csv
expect_json_error bad_input 2 train-tokenizer $data -o "$tmp/t.json"
expect_status 0 train-tokenizer $data --field subject --field body --vocab 1500 -o "$tmp/a/tokenizer.json" --json
expect_json "r['vocab'] == 1500 and r['merges'] == 1500 - 256 - 3 and r['cut'] == 'smollm' and len(r['special']) == 3"
expect_json "2 < r['held_out']['bytes_per_token']['low'] < r['held_out']['bytes_per_token']['value'] < 4 and r['bytes'] > 250000"
expect_json_error exists 2 train-tokenizer $data --field body -o "$tmp/a/tokenizer.json"
cp "$tmp/a/tokenizer.json" "$tmp/first.json"
expect_status 0 train-tokenizer $data --field subject --field body --vocab 1500 -o "$tmp/a/tokenizer.json" --force
cmp "$tmp/a/tokenizer.json" "$tmp/first.json" || fail "not the same file"
expect_in_out "bytes a token"
python3 - "$tmp/a" <<'PY' || fail "the files"
import json, sys
t = json.load(open(sys.argv[1] + "/tokenizer.json", encoding="utf-8"))
c = json.load(open(sys.argv[1] + "/tokenizer_config.json", encoding="utf-8"))
vocab = t["model"]["vocab"]
assert len(vocab) == 1500 and sorted(vocab.values()) == list(range(1500)) and vocab["<|im_end|>"] == 2
assert c["eos_token"] == "<|im_end|>" and "im_start" in c["chat_template"]
PY
printf 'no pair twice' >"$tmp/few.txt"
expect_status 0 train-tokenizer "$tmp/few.txt" --held-out 0 --no-special -o "$tmp/few/tokenizer.json"
expect_in_out "fewer than the 4096 asked for"

# in a project: its training cases
"$HONE" init "$tmp/p" --example tickets >/dev/null || fail "hone init"
(cd "$tmp/p" && "$HONE" train-tokenizer --vocab 600 -o t/tokenizer.json --json >"$tmp/out") || fail "in a project"
python3 -c "import json, sys; r = json.load(open('$tmp/out')); sys.exit(r['vocab'] != 600)" || fail "in a project: $(cat "$tmp/out")"

python=${HONE_HF_PYTHON:-python3}
"$python" -c "import tokenizers" 2>/dev/null || exit 0
for words in smollm gpt2; do
    expect_status 0 train-tokenizer $data --field body --words $words --held-out 0 --vocab 3000 -o "$tmp/$words/tokenizer.json"
    "$python" - $data $words "$tmp/$words/tokenizer.json" <<'PY' || fail "Hugging Face's trainer finds other merges ($words)"
import csv, json, sys
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
docs = [r["body"] for r in csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8"))]
t, level = Tokenizer(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=False)
t.pre_tokenizer = level if sys.argv[2] == "gpt2" else pre_tokenizers.Sequence([pre_tokenizers.Digits(True), level])
specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
t.train_from_iterator(docs, trainers.BpeTrainer(vocab_size=3000, min_frequency=2, special_tokens=specials, show_progress=False,
                                                initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
theirs, ours = json.loads(t.to_str())["model"], json.load(open(sys.argv[3], encoding="utf-8"))["model"]
assert [tuple(m) for m in theirs["merges"]] == [tuple(m.split(" ")) for m in ours["merges"]] and theirs["vocab"] == ours["vocab"]
read = Tokenizer.from_file(sys.argv[3])
assert all(read.encode(d).ids == t.encode(d).ids for d in docs + ["don't 123  \n\n caf\u00e9 \U0001f642 <|im_end|>"])
PY
    text="don't 123  it's 4,50 "$'\n\n'" (a)"
    expect_status 0 tokens -m "$tmp/$words" --raw "$text" --json
    "$python" - "$tmp/$words/tokenizer.json" "$out" "$text" <<'PY' || fail "hone reads its tokenizer otherwise than Hugging Face ($words)"
import json, sys
from tokenizers import Tokenizer
ours = json.load(open(sys.argv[2], encoding="utf-8"))["ids"]
assert ours == Tokenizer.from_file(sys.argv[1]).encode(sys.argv[3]).ids, ours
PY
done
