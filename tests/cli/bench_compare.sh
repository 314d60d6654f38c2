# hone bench --compare with tools that print what llama.cpp's did once: the form of the result, and each error.
source tests/cli/lib.bash

expect_status 2 bench --compare "$tmp/none"
expect_error "there is no such folder"
expect_status 2 bench --compare "$tmp" --rows prefill,everything
expect_error 'not "everything"'
expect_status 2 bench --compare "$tmp" --rows ,
expect_status 2 bench --compare "$tmp" --prompts 8
expect_error "do not go with it"
mkdir -p "$tmp/peer/bin"
expect_status 2 bench --compare "$tmp/peer"
expect_error "llama-bench is neither here nor in bin"

# fake NAME: a tool in bin/ whose script is standard input
fake() {
    { echo '#!/bin/sh' && cat; } >"$tmp/peer/bin/$1"
    chmod +x "$tmp/peer/bin/$1"
}
good_bench() {
    fake llama-bench <<'SH'
while [ $# -gt 0 ]; do case $1 in -p) p=$2 ;; -n) n=$2 ;; -r) r=$2 ;; -t) t=$2 ;; esac; shift; done
samples=410.5; i=1; while [ "$i" -lt "$r" ]; do samples="$samples, 41$i.25"; i=$((i + 1)); done
cat <<JSON
[
  {
    "build_commit": "0c1e570",
    "build_number": 1,
    "cpu_info": "AMD EPYC",
    "n_threads": $t,
    "n_prompt": $p,
    "n_gen": $n,
    "avg_ts": 410.5,
    "samples_ts": [ $samples ]
  }
]
JSON
SH
}
good_batched() {
    fake llama-batched-bench <<'SH'
echo '{"n_kv_max": 8192, "n_batch": 2048, "n_threads": 2, "pp": 128, "tg": 64, "pl": 32, "n_kv": 6144, "t_pp": 4.6, "speed_pp": 893.0, "t_tg": 4.5, "speed_tg": 457.0, "t": 9.1, "speed": 675.1}'
echo
SH
}
good_bench
expect_status 2 bench --compare "$tmp/peer"
expect_error "llama-batched-bench is neither here nor in bin"
expect_status 2 bench --compare "$tmp/peer" --rows decode
expect_error "llama-completion is neither here nor in bin"
good_batched
expect_status 2 bench --compare "$tmp/peer"
expect_error "llama-completion is neither here nor in bin"
fake llama-completion </dev/null
expect_status 2 bench --compare "$tmp/peer"
expect_error "there are no model files"
expect_error "name a model file with -m"
mkdir "$tmp/peer/models"
echo nonsense >"$tmp/peer/models/broken.gguf"
expect_status 2 bench --compare "$tmp/peer" --rows decode
expect_error "broken.gguf"

# From here on a model: a small one with a vocabulary where there is one, else the real one.
real=$MODEL small=$SHARED/models/llama-2-tiny-random.gguf
[ -f "$small" ] && "$HONE" complete -m "$small" --raw "Once" --max-tokens 1 >/dev/null 2>&1 && MODEL=$(realpath "$small")
need_model
rm "$tmp/peer/models/broken.gguf"
ln -s "$(realpath "$MODEL")" "$tmp/peer/models/a.gguf"

# llama-completion says what hone says, with the mark that it puts behind an end
cat >"$tmp/say" <<'SH'
while [ $# -gt 0 ]; do case $1 in -m) m=$2 ;; -p) p=$2 ;; -n) n=$2 ;; esac; shift; done
"$HONE" complete -m "$m" --raw "$p" --max-tokens "$n" && echo " [end of text]"
SH
export HONE
fake llama-completion <"$tmp/say"
expect_status 0 bench --compare "$tmp/peer" --rows decode,streams,start --turns 1 --json
expect_json "r['peer'] == {'name': 'llama.cpp', 'build': '0c1e570 (build 1)', 'cpu': 'AMD EPYC'} and r['turns'] == 1 and r['threads'] >= 1"
expect_json "(r['machine'] or r['machine_f32'])['flops_per_s'] > 0"
expect_json "all(row['file'] == 'a.gguf' and row['hone']['n'] > 0 and row['hone']['low'] <= row['hone']['median'] <= row['hone']['high'] for row in r['rows'])"
expect_json "r['rows'][0]['peer'] == {'median': 412.25, 'low': 410.5, 'high': 414.25, 'n': 5} and r['rows'][0]['work'] == 'decode, one stream'"
expect_json "math.isclose(r['rows'][0]['ratio'], r['rows'][0]['hone']['median'] / 412.25) and r['rows'][0]['limit'] > 0"
expect_json "[(row['work'], row['peer']['median']) for row in r['rows'][1:3]] == [('32 streams, prompts of 128', 893.0), ('32 streams, 64 steps', 457.0)]"
expect_json "r['rows'][-1]['unit'] == 's' and r['rows'][-1]['limit'] is None and math.isclose(r['rows'][-1]['ratio'], r['rows'][-1]['peer']['median'] / r['rows'][-1]['hone']['median'])"
expect_status 0 bench --compare "$tmp/peer/bin" -m "$MODEL" --rows decode --turns 1 --threads 1
expect_in_out "decode, one stream, tokens/s"
expect_in_out "LIMIT HERE"

# tools that fail, or print something else
fake llama-bench <<'SH'
echo "error: out of patience" >&2
exit 3
SH
expect_status 2 bench --compare "$tmp/peer" --rows decode
expect_error "it ended with exit status 3: error: out of patience"
expect_json_error bad_input 2 bench --compare "$tmp/peer" --rows decode
for text in "no JSON at all" "[]" '[{"n_prompt": 1, "n_gen": 2}]'; do
    echo "echo '$text'" | fake llama-bench
    expect_status 2 bench --compare "$tmp/peer" --rows decode
    expect_error "its output is not understood"
done
good_bench
sed -i 's/"samples_ts".*/"samples_ts": [ 1.0 ]/' "$tmp/peer/bin/llama-bench"
expect_status 2 bench --compare "$tmp/peer" --rows decode
expect_error "samples_ts does not have a number for each repetition"
good_bench
fake llama-batched-bench <<'SH'
echo "| PP | TG |"
SH
expect_status 2 bench --compare "$tmp/peer" --rows streams
expect_error "printed no line of JSON"

fake llama-completion <<'SH'
kill -9 $$
SH
expect_status 2 bench --compare "$tmp/peer" --rows decode
expect_error "it ended with exit status 137"

# A text that differs: nothing is timed. The small model's weights are random, all its tokens are nearly equal: this needs the real one.
MODEL=$real
need_model
ln -sf "$(realpath "$MODEL")" "$tmp/peer/models/a.gguf"
fake llama-completion <<'SH'
echo "42 quite another text"
SH
expect_status 2 bench --compare "$tmp/peer" --rows decode
expect_error "the greedy texts after"
expect_error "nothing was timed"
