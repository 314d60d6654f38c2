# The overview, help of every command, versions, suggestions, and what happens to standard output.
source tests/cli/lib.bash

expect_status 0
cp "$out" "$tmp/alone"
expect_status 0 help
cmp -s "$out" "$tmp/alone" || fail "hone and hone help differ"
expect_in_out "version"
expect_status 0 --version
expect_in_out "hone "
expect_status 0 version --json
expect_json "r['name'] == 'hone' and r['version'].count('.') == 2"

# every command explains itself, in text and as data, and refuses what it does not know
expect_status 0 help --json
commands=$(python3 -c 'import json,sys; print(*[c["command"] for c in json.load(open(sys.argv[1]))["commands"]])' "$out")
for command in $commands; do
    expect_status 0 help "$command"
    expect_in_out "hone $command"
    cp "$out" "$tmp/one"
    expect_status 0 "$command" --help
    cmp -s "$out" "$tmp/one" || fail "hone help $command and hone $command --help differ"
    expect_status 0 "$command" --help --json
    expect_json "r['command'] == '$command' and r['summary'] and isinstance(r['options'], list)"
    expect_status 2 "$command" --no-such-option
    expect_error "unknown option --no-such-option"
    expect_error "  do: "
    expect_json_error usage 2 "$command" --no-such-option
done

expect_status 2 hlep
expect_error 'did you mean `hone help`?'
expect_json_error usage 2 hlep
expect_status 2 help zzzzzzzz
expect_error 'there is no command "zzzzzzzz"'
expect_status 2 version extra
expect_error 'unexpected argument "extra"'

# docs/errors.md lists exactly the codes that the program has
expect_status 0 help errors --json
python3 - "$out" docs/errors.md <<'PY' || fail "docs/errors.md and the program differ"
import json, re, sys
have = {(e["code"], e["exit"], e["http"]) for e in json.load(open(sys.argv[1]))["errors"]}
rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", open(sys.argv[2], encoding="utf-8").read(), re.M)
told = {(c, int(e), int(h)) for c, e, h in rows}
if have != told: sys.exit(f"only in the program: {have - told}; only in the document: {told - have}")
PY

# a full disk is an error, a reader that goes away is not
if [ -w /dev/full ]; then
    "$HONE" help >/dev/full 2>"$tmp/stderr"
    [ $? = 5 ] || fail "a full disk was not noticed"
    grep -q "No space left" "$tmp/stderr" || fail "a full disk was not named"
fi
"$HONE" help 2>"$tmp/stderr" | true
[ ! -s "$tmp/stderr" ] || fail "a closed pipe was reported: $(cat "$tmp/stderr")"
