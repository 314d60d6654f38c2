# The data audit: leakage stops `hone scope` (exit 1) and `hone eval` (exit 2); --fix lists what is left out, without touching the data; deleting
# the list undoes it; --allow-leakage measures all the same and the run says so.
source tests/cli/lib.bash
mkdir -p "$tmp/p/prompts"
cd "$tmp/p" || exit 1
python3 - <<'PY'
import csv, random
random.seed(3)
words = {"red": "rose ruby brick wine cherry".split(), "blue": "sky sea jeans ink whale".split()}
def rows(n, first):
    for i in range(n):
        label = ("red", "blue")[i % 2]
        yield [f"c{first + i}", " ".join(random.choice(words[label]) + str(random.randrange(900)) for _ in range(9)), label]
train, dev = list(rows(40, 0)), list(rows(20, 100))
dev[3][1], dev[3][2] = train[5][1].upper() + "!", train[5][2]
dev[8][1] += " write to jane.roe@firma.de"
for name, part in (("train", train), ("dev", dev)):
    with open(name + ".csv", "w", newline="") as f:
        csv.writer(f).writerows([["id", "text", "kind"]] + part)
PY
cat > hone.yaml <<'YAML'
data: {train: train.csv, dev: dev.csv, input: text, target: kind, id: id}
output: {choice: [red, blue]}
YAML
cat > prompts/plain.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}\nKind:"}]
labels: {red: " red", blue: " blue"}
YAML
sha256sum train.csv dev.csv >"$tmp/sums"

expect_status 1 scope
expect_in_out "stop: 1 of 20 (5.0 %): cases of dev or test that stand in an earlier split, too"
expect_in_out "dev.csv:5: in dev, is train.csv:7 in train"
expect_in_out "dev.csv:10: text, character"
expect_error "dev.csv:5 (dev) is train.csv:7 (train)"
expect_error 'hone scope --fix'
grep -q "jane" "$out" "$errors" && fail "the address is shown"
run scope --json
[ "$status" = 1 ] || fail "exit status $status"
expect_json "r['leaks_across_splits'] == 1 and r['audit']['stops'] is True and r['excluded'] == 0"
expect_json "[f['name'] for f in r['audit']['findings']] == ['leak_exact', 'email']"
expect_json "r['audit']['findings'][0]['rows'] == [{'case': 'c103', 'file': 'dev.csv', 'line': 5, 'split': 'dev', 'what': 'in dev, is train.csv:7 in train'}]"
[ -s "$errors" ] && fail "something on standard error"
expect_json_error bad_input 2 eval
expect_status 2 eval
expect_error "dev.csv:5 (dev) is train.csv:7 (train)"
expect_error "--allow-leakage"

# the remedy, once and again
expect_status 0 scope --fix --quick
expect_in_out "excluded.csv leaves out 1 case from now on (1 of train, 0 of dev)"
expect_in_out "train.csv:7 (train), as in dev.csv:5 (dev)"
[ "$(cat excluded.csv)" = "id,reason,case,copy
c5,leak_exact,train.csv:7 (train),dev.csv:5 (dev)" ] || fail "excluded.csv: $(cat excluded.csv)"
expect_status 0 scope --quick --json
expect_json "r['excluded'] == 1 and r['cases'] == 59 and not r['audit']['stops'] and r['leaks_across_splits'] == 0"
cp excluded.csv "$tmp/first"
expect_status 0 scope --fix --quick
cmp -s excluded.csv "$tmp/first" || fail "a second --fix changed the list"
# what somebody listed by hand stays
sed -i '1s/.*/id,reason/; 2s/.*/c2,"not ours, really"/' excluded.csv
expect_status 0 scope --fix --quick
expect_in_out "and 1 that somebody listed there"
grep -q '^c2,"not ours, really",train.csv:4 (train),""$' excluded.csv || fail "the row by hand is gone: $(cat excluded.csv)"
grep -q '^c5,leak_exact,' excluded.csv || fail "the leak is back: $(cat excluded.csv)"
echo "nobody,x,," >>excluded.csv
expect_json_error not_found 2 scope
expect_status 0 scope --fix --quick --json
expect_json "r['excluded'] == 2"
# undone
rm excluded.csv
expect_status 1 scope --quick --no-label-check
sha256sum --quiet -c "$tmp/sums" || fail "the data files changed"

# measured all the same
need_model
export HONE_MODELS=$tmp/models
mkdir -p "$HONE_MODELS"
ln -s "$(realpath "$MODEL")" "$HONE_MODELS/SmolLM2-135M-Instruct.Q4_1.gguf"
expect_status 0 eval --allow-leakage
expect_error "leakage allowed: 1 case of dev or test also stands in an earlier split"
expect_status 0 show r1 --json
expect_json "r['parameters']['leaking_cases'] == 1"
expect_status 0 scope --fix --quick
expect_status 0 eval
expect_status 0 show r2 --json
expect_json "'leaking_cases' not in r['parameters']"
# what the model has no room for
python3 - <<'PY'
import csv
rows = list(csv.reader(open("dev.csv", newline="")))
rows[2][1] = " ".join(f"blue{i}" for i in range(4000))
csv.writer(open("dev.csv", "w", newline="")).writerows(rows)
PY
rm excluded.csv
sed -i '$a model: smollm2' hone.yaml
run scope --json
expect_json "[f['name'] for f in r['audit']['findings']] == ['leak_exact', 'too_long', 'email'] and [x['line'] for x in r['audit']['findings'][1]['rows']] == [3]"
expect_json "'in plain' in r['audit']['findings'][1]['rows'][0]['what']"
