# A server for tests: `source tests/cli/serve.bash` after lib.bash. serve ARG... starts `hone serve` on a free port and waits for its line; $port, $url, $server
# (its process). stop_server N: SIGTERM, and its exit status must be N.
serve() {
    : >"$tmp/serving"
    "$HONE" serve --port 0 --json "$@" >"$tmp/serving" 2>"$tmp/serve-errors" &
    server=$!
    trap 'kill -9 $server 2>/dev/null; rm -rf "$tmp"' EXIT
    for _ in $(seq 600); do
        [ -s "$tmp/serving" ] && break
        kill -0 $server 2>/dev/null || fail "the server ended: $(cat "$tmp/serve-errors")" 1
        sleep 0.02
    done
    port=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["port"])' "$tmp/serving") || fail "no line with the port" 1
    url=http://127.0.0.1:$port
}

stop_server() {
    kill -TERM $server
    wait $server
    local got=$?
    trap 'rm -rf "$tmp"' EXIT
    [ "$got" = "$1" ] || fail "the server ended with $got: $(cat "$tmp/serve-errors")" 1
}

# check FILE ARG...: a Python script of tests/support, with the port first
check_server() {
    PYTHONPATH=$ROOT/tests/support python3 "$ROOT/tests/support/$1" "$port" "${@:2}" || fail "$1" 1
}
