# `hone scope` on more cases than its rungs learn from and answer, and stopped at any moment.
source tests/cli/lib.bash
cd "$tmp" || exit 1
python3 - <<'PY'
import random
random.seed(7)
words = ["".join(random.choice("bcdfgklmnprst") + random.choice("aeiou") for _ in range(3)) for _ in range(2000)]
with open("cases.csv", "w") as f:
    f.write("text,team\n")
    for i in range(41000):
        k = random.randrange(4)
        f.write(" ".join(random.choices(words, k=3) + [words[k * 7 + random.randrange(7)], str(i)]) + f",team{k}\n")
open("hone.yaml", "w").write("data: {file: cases.csv, input: [text], target: team}\nsplit: {train: 0.5, dev: 0.25, test: 0.25, seed: 7}\noutput: {choice: [team0, team1, team2, team3]}\n")
PY
for moment in 0.3 1.2; do
    rm -rf .hone
    timeout 60 "$HONE" scope --quick >"$tmp/stdout" 2>"$tmp/stderr" &
    pid=$!
    sleep $moment
    began=$SECONDS
    kill -TERM $pid 2>/dev/null
    wait $pid
    case $? in 0 | 124 | 130 | 143) ;; *) fail "stopped after $moment s: $(cat "$tmp/stderr")" ;; esac
    [ $((SECONDS - began)) -lt 30 ] || fail "asked to stop after $moment s, it went on"
done
expect_status 0 scope --quick --no-label-check --limit 300 --json
expect_json "r['ladder']['train'] == 20000 and r['ladder']['dev'] == 300 and r['ladder']['train_all'] == 20500 and r['ladder']['dev_all'] == 10250"
expect_status 0 scope --quick --no-label-check --limit 300
expect_in_out "Measured on a sample: 20000 of 20500 train cases, 300 of 10250 dev cases."
exit 0
