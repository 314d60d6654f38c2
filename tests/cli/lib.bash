# Helpers for the command-line tests: `source tests/cli/lib.bash` gives $tmp (removed at the end), $HONE (the program), $SHARED and the
# functions below. A test fails at its first wrong line and says which; exit status 77 means skipped.
set -u -o pipefail
HONE=${HONE:-build/hone}
HONE=$(realpath "$HONE")
SHARED=${HONE_SHARED:-../shared}
ROOT=$(pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/hone-cli-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
MODEL=${HONE_TEST_MODEL:-${HONE_MODELS:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/hone/models}/SmolLM2-135M-Instruct.Q4_1.gguf}
export NO_COLOR=1 XDG_CACHE_HOME=${XDG_CACHE_HOME:-$tmp/cache} XDG_STATE_HOME=$tmp/state

fail() {
    echo "FAILED at line ${BASH_LINENO[${2:-0}]}: $1" >&2
    exit 1
}

skip() {
    echo "skipped: $1" >&2
    exit 77
}

# run ARG...: runs the program; $status, $out (file), $errors (file). Input is empty unless redirected by the caller.
run() {
    out=$tmp/stdout errors=$tmp/stderr
    "$HONE" "$@" >"$out" 2>"$errors" <"${input:-/dev/null}"
    status=$?
}

# expect_status N ARG...: runs the program and wants exit status N.
expect_status() {
    local wanted=$1
    shift
    run "$@"
    [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: hone $*
$(head -c 2000 "$out" "$errors")" 1
}

# expect_out TEXT, expect_error TEXT: the whole of standard output is TEXT; standard error contains TEXT.
expect_out() { [ "$(cat "$out")" = "$1" ] || fail "standard output is not \"$1\" but: $(head -c 2000 "$out")" 1; }
expect_in_out() { grep -qF -- "$1" "$out" || fail "standard output lacks \"$1\": $(head -c 2000 "$out")" 1; }
expect_error() { grep -qF -- "$1" "$errors" || fail "standard error lacks \"$1\": $(head -c 2000 "$errors")" 1; }

# expect_json EXPRESSION: a Python expression over r, the JSON value on standard output, is true.
expect_json() {
    R=$out python3 - "$1" <<'PY' || fail "does not hold: $1: $(head -c 2000 "$out")" 1
import json, math, os, sys
r = json.load(open(os.environ["R"], encoding="utf-8"))
sys.exit(0 if eval(sys.argv[1]) else 1)
PY
}

# expect_json_error CODE EXIT ARG...: with --json, an error object with this code and exit status, and nothing on standard error.
expect_json_error() {
    local code=$1 wanted=$2
    shift 2
    run "$@" --json
    [ "$status" = "$wanted" ] || fail "exit status $status, wanted $wanted: hone $* --json: $(head -c 2000 "$out" "$errors")" 1
    expect_json "list(r) == ['error'] and r['error']['code'] == '$code' and r['error']['message'] and set(r['error']) == {'code','message','where','hint'}"
}

# The real model, or skip.
need_model() {
    [ -f "$MODEL" ] || skip "the model is not here ($MODEL); \`hone pull smollm2\` fetches it"
}

need_shared() { [ -e "$SHARED/$1" ] || skip "$SHARED/$1 is not here"; }
