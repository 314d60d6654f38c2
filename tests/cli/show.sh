# `hone show`: what a run cost, what its guards did, what changed since the run before, the classification report; support as a gate's metric. With the
# tiny model.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
TINY=$(realpath "$SHARED/goldens/tiny")
mkdir -p "$tmp/p/prompts"
cd "$tmp/p" || exit 1
python3 - <<'PY'
import csv
with open("cases.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "text", "kind", "notes"])
    for i in range(80): out.writerow([f"c{i}", f"case {i} it is {'abcd'[i % 4]}" + " long" * (i % 5 == 0), ["yes", "no"][i % 2], "the answer is yes." if i % 2 == 0 else "nothing of use stands here."])
PY
cat > hone.yaml <<'YAML'
data: {file: cases.csv, input: [text, notes], target: kind, id: id, context: notes}
split: {train: 0.4, dev: 0.4, test: 0.2, seed: 7}
output: {choice: ["yes", "no"]}
guard: {input: {max_characters: 45}}
YAML
prompt() { printf 'template: raw\nmessages: [{user: "%s"}]\n' "$1" > "prompts/$2.yaml"; }
prompt "{{ text }}. {{ notes }}:" a
M="-m $TINY/llama/model.gguf"
expect_status 0 eval a $M
expect_status 0 show r1
expect_in_out "local: no price;"
expect_in_out "r1: guards refused"
expect_in_out "input.max_characters"
grep -q "Since the run before" "$out" && fail "r1 has no run before it"
expect_status 0 show r1 --json
expect_json "r['before'] is None and r['guards']['refused'] > 0 and 'report' not in r"

# the prompt's next version, then another prompt, then the first again with other data
prompt "{{ text }}, which kind?" a
expect_status 0 eval a $M
prompt "Kind of {{ text }}:" b
expect_status 0 eval b $M
expect_status 0 show r2
expect_in_out "Since the run before: r1 (a) -> r2 (a)"
expect_in_out "{+"
expect_in_out "hone diff r1 r2"
expect_status 0 show r2 --json
expect_json "r['before']['a']['run'] == 'r1' and len(r['before']['prompt']) == 1 and r['before']['answers']['shared'] > 0 and 'cases' not in r['before']['answers']"
expect_status 0 show r3 --json
expect_json "r['before']['a']['run'] == 'r2'"
sed -i 's/^c1,case 1/c1,case one/' cases.csv
prompt "{{ text }}. {{ notes }}:" a
expect_status 0 eval a $M
expect_status 0 show r4
expect_in_out "Since the run before: r2 (a) -> r4 (a)"
expect_in_out "1 changed"

# the classification report
expect_status 0 show r1 --report
expect_in_out "Matthews correlation"
expect_status 0 show r1 --report --json
expect_json "[c['label'] for c in r['report']['classes']] == ['yes', 'no'] and r['report']['log_loss'] > 0"

# how far answers rest on their context, as a metric of a gate
expect_status 0 show r1 --json
expect_json "r['groundedness']['n'] > 0"
expect_status 0 eval a $M --gate "support >= 0 and unsupported <= 100 % and guarded > 0"
expect_in_out "support is"
expect_status 1 eval a $M --gate "support > 99.9 % or upper(unsupported) < 0"

# answers that are no UTF-8 (a small model writes such) are shown and set side by side all the same
sed -i -e '/^guard:/d' -e 's|, context: notes||' -e 's/^output: .*/output: text/' hone.yaml
printf 'template: raw\nmessages: [{user: "{{ text }}"}]\nanswer: generate\nparameters: {max_tokens: 16, temperature: 1}\n' > prompts/free.yaml
expect_status 0 eval free $M -p seed=1,2 --no-cache --json
expect_status 0 show last --json --predictions
expect_json "r['before']['answers']['other'] > 0"
expect_status 0 show last
expect_status 0 diff last r1 --json
