# What the tests of `hone tune` share: a project that the tiny model can learn, and a training that is killed again and again.
make_project() { # DIR
    mkdir -p "$1/prompts"
    python3 - "$1" <<'PY'
import csv, sys
with open(sys.argv[1] + "/cases.csv", "w", newline="") as f:
    out = csv.writer(f)
    out.writerow(["id", "text", "kind"])
    for i in range(160): out.writerow([f"c{i}", f"number {i * 7919 % 1000} {'aabb'[i % 4] * 3}", ["yes", "no"][i % 4 > 1]])
PY
    cat >"$1/hone.yaml" <<'YAML'
data: {file: cases.csv, input: [text], target: kind, id: id}
split: {train: 0.5, dev: 0.25, test: 0.25, seed: 7}
output: {choice: ["yes", "no"]}
YAML
    cat >"$1/prompts/a.yaml" <<'YAML'
template: raw
messages: [{user: "{{ text }}:"}]
YAML
}
# Runs `hone ARGS` to its end for its time (with --seed 9), then kills it at random moments until it is through. The project has two models then.
kill_until_done() { # ARGS
    HONE=$HONE python3 - "$@" <<'PY'
import os, random, signal, subprocess, sys, time
random.seed(5)
command = [os.environ["HONE"], *sys.argv[1:]]
began = time.time()
subprocess.run([*command, "--seed", "9"], check=True, capture_output=True)
whole_s = time.time() - began
kills = 0
for attempt in range(200):
    job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        job.wait(timeout=random.uniform(0.3, 0.8) * whole_s)
        assert job.returncode == 0, job.returncode
        break
    except subprocess.TimeoutExpired:
        job.send_signal([signal.SIGKILL, signal.SIGINT][attempt % 2])
        kills += job.wait() != 0
else:
    raise AssertionError("never done")
assert kills, "it was never killed"
PY
}
