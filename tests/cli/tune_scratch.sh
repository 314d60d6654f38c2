# hone tune --method scratch, and plain text for the other methods: bits per byte fall, the same bits after a kill, the model works everywhere, a
# classifier from a project's cases, and what is refused.
source tests/cli/lib.bash
need_python() { command -v python3 >/dev/null || skip "no python3"; }
need_python
cd "$tmp" || exit 1

python3 - <<'PY'
import random
random.seed(3)
who, what, where = ["the cat", "a dog", "the bird", "my fish"], ["sat on", "ran to", "saw", "liked"], ["the mat", "a tree", "the red house", "the door"]
with open("corpus.txt", "w") as f:
    for i in range(240): f.write(f"{random.choice(who)} {random.choice(what)} {random.choice(where)}, number {i}.\n")
PY
tiny="layers: 1, width: 32, context: 48"

expect_json_error usage 2 tune --method scratch --data corpus.txt --base smollm2
expect_json_error usage 2 tune --method scratch --data corpus.txt --shape "layers: 0"
expect_json_error usage 2 tune --method scratch --data corpus.txt --shape "layer: 2"
expect_json_error not_found 2 tune --method scratch --data corpus.txt --tokenizer none.json
printf 'one line only\n' >one.txt
expect_json_error bad_input 2 tune --method scratch --data one.txt --shape "$tiny"
printf 'bad \xff\n' >bytes.txt
expect_json_error bad_input 2 tune --method scratch --data bytes.txt --shape "$tiny"
[ ! -e .hone/models ] || [ -z "$(ls .hone/models)" ] || fail "a refused training left a model"

expect_status 0 tune --method scratch --data corpus.txt --shape "$tiny" --vocab 300 --epochs 3 --json
expect_json "r['bits_per_byte']['value'] < 0.7 * r['epochs'][0]['bits_per_byte']['value'] and r['method'] == 'scratch'"
expect_json "r['bits_per_byte']['low'] < r['bits_per_byte']['value'] < r['bits_per_byte']['high'] and r['adapter'] is None"
expect_json "[e['bits_per_byte']['value'] for e in r['epochs']] == sorted((e['bits_per_byte']['value'] for e in r['epochs']), reverse=True)"
first=$(python3 -c "import json; print(json.load(open('$out'))['folder'])")
[ -f "$first/model.safetensors" ] || fail "no model in $first"
# nothing is known at first: about ln(300) / ln 2 bits a token, whatever the text
expect_json "abs(r['epochs'][0]['held_out_loss']['value'] - math.log(300)) < 0.2"
expect_status 0 complete -m tune:r1 --raw "the cat" --max-tokens 8 --json
expect_status 0 tune --method scratch --data corpus.txt --shape "$tiny" --vocab 300 --epochs 3
expect_in_out "earlier"

# killed at any moment and started again, and with another number of threads: the same bits
i=0
for seconds in 0.15 0.3 0.45 0.6 1 60; do
    timeout -s KILL $seconds "$HONE" tune --method scratch --data corpus.txt --shape "$tiny" --vocab 300 --epochs 3 --store killed --threads $((1 + i % 2)) >/dev/null 2>&1
    i=$((i + 1))
done
second=$(echo killed/models/*/model)
cmp "$first/model.safetensors" "$second/model.safetensors" || fail "other bits after kills"

# with a tokenizer of one's own; goes on from the result, all weights or an adapter
expect_status 0 train-tokenizer corpus.txt --vocab 280 -o own/tokenizer.json
expect_status 0 tune --method scratch --data corpus.txt --tokenizer own --shape "$tiny, tied: false" --epochs 1
expect_in_out "280 tokens"
for method in full lora; do
    expect_status 0 tune --method $method --data corpus.txt --base "$first" --epochs 1 --learning-rate 1e-3 --json
    expect_json "r['bits_per_byte']['value'] < r['epochs'][0]['bits_per_byte']['value']"
done

# a classifier, from a project's cases
python3 - <<'PY'
import random
random.seed(5)
words = {"pets": ["cat", "dog", "fish", "bird"], "food": ["bread", "rice", "soup", "cake"]}
with open("cases.csv", "w") as f:
    f.write("text,kind\n")
    for i in range(240):
        kind = random.choice(list(words))
        f.write(f"I like my {random.choice(words[kind])} {i},{kind}\n")
PY
"$HONE" init p --data cases.csv --target kind --input text >/dev/null || fail "hone init"
cd p || exit 1
printf 'template: raw\nmessages:\n  - user: "{{ text }} kind:"\nlabels: {pets: " pets", food: " food"}\n' >prompts/short.yaml
expect_status 0 tune --method scratch --prompt short --shape "$tiny" --vocab 300 --epochs 40 --learning-rate 1e-2 --allow-leakage --json
expect_json "r['accuracy']['value'] > 0.9 and r['epochs'][0]['n_correct'] < 0.9 * r['dev_cases']"
expect_status 0 eval short -m tune:r1 --allow-leakage --json
expect_json "json.dumps(r).count('accuracy') > 0"
printf 'tune: {method: scratch, shape: "layers: 1, width: 16", prompt: short, epochs: 1, vocab: 300}\n' >>hone.yaml
expect_status 0 tune --allow-leakage --json
expect_json "r['method'] == 'scratch' and r['settings']['shape']['from'] == 'hone.yaml'"
