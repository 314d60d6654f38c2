# `hone eval` killed (SIGKILL) at 50 random moments loses no answer that it had reported as saved, and what is gone on with comes to the same
# answers as a run that was left alone. With the tiny model, so that every moment of a run is hit.
source tests/cli/lib.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
mkdir -p "$tmp/p/prompts"
cd "$tmp/p" || exit 1
python3 - <<'PY'
import csv
with open("cases.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "text", "kind"])
    for i in range(1500): out.writerow([f"c{i}", f"case {i} it is {'abcd'[i % 4]}", ["yes", "no"][i % 3 == 0]])
PY
cat > hone.yaml <<'YAML'
data: {file: cases.csv, input: [text], target: kind, id: id}
split: {train: 0.1, dev: 0.9, test: 0, seed: 7}
output: text
YAML
cat > prompts/a.yaml <<'YAML'
template: raw
messages: [{user: "{{ text }}:"}]
answer: generate
parameters: {max_tokens: 16, temperature: 1}
YAML
MODEL=$MODEL HONE=$HONE python3 - <<'PY' || fail "answers were lost"
import json, os, random, signal, sqlite3, subprocess, time
random.seed(20261124)
hone, model = os.environ["HONE"], os.environ["MODEL"]
def command(seed, *more): return [hone, "eval", "a", "-m", model, "--threads", "1", "-p", f"seed={seed}", "--progress", "json", *more]
def saved_rows(run):
    db = sqlite3.connect(".hone/store.db")
    n, distinct = db.execute("SELECT count(*), count(DISTINCT position) FROM prediction WHERE run_id = ?", (run,)).fetchone()
    assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    assert n == distinct
    return n
# Moments are drawn over twice the time that this machine and build take to report the first saved answers: else a slow one (a sanitizer's, a
# busy machine's) is always killed before there is anything to lose.
began = time.time()
with subprocess.Popen(command(0), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as job:
    while json.loads(job.stderr.readline())["saved"] == 0: pass
    first_report_s = time.time() - began
    job.kill()
kills = told = 0
seed = 1
began = time.time()
while kills < 50 or told < 10:
    job = subprocess.Popen(command(seed), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(random.uniform(0.005, 2 * first_report_s))
    job.send_signal(signal.SIGKILL)
    lines = [line for line in job.stderr.read().decode().splitlines(True) if line.endswith("\n")]
    job.stderr.close()
    finished = job.wait() == 0
    kills += not finished
    if lines:
        last = json.loads(lines[-1])
        rows = saved_rows(int(last["run"][1:]))
        told += last["saved"] > 0 and not finished
        assert rows >= last["saved"], (last, rows)
    seed += finished
    assert kills < 500, f"only {told} of {kills} kills came after a report"
print(f"{kills} kills, {told} of them after answers had been reported, in {time.time() - began:.1f} s")
# to its end, and beside a run that was left alone
def answers(*more):
    done = json.loads(subprocess.run(command(seed, "--json", *more), capture_output=True, check=True).stdout)["runs"][0]
    shown = json.loads(subprocess.run([hone, "show", done["run"], "--json", "--predictions"], capture_output=True, check=True).stdout)
    return done["n"], [(p["case"], p["text"], p["correct"]) for p in shown["predictions"]]
n, gone_on = answers()
assert len(gone_on) == n and len({a[0] for a in gone_on}) == n
assert answers("--no-cache") == (n, gone_on)
PY
