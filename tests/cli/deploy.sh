# hone deploy, releases, rollback and the parity proof, on the tiny model: what is refused and why, what is kept, and that a server answers as was measured.
source tests/cli/lib.bash
source tests/cli/serve.bash
need_shared goldens/tiny/llama/model.gguf
MODEL=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
source tests/cli/tune_project.bash
make_project "$tmp/p"
cd "$tmp/p" || exit 1
echo "model: $MODEL" >>hone.yaml
cat >prompts/b.yaml <<'YAML'
messages: [{user: "{{ text }} is"}]
template: raw
YAML
expect_status 0 releases --json
expect_json "r == {'releases': []}"
expect_status 0 eval a --json                                                                    # r1: guesses
expect_status 0 tune --prompt a --base "$MODEL" --learning-rate 5e-3 --epochs 3 --json           # r2
expect_status 0 eval a -m tune:r2 --json                                                         # r3: right
expect_json "r['runs'][0]['run'] == 'r3' and r['runs'][0]['metrics']['accuracy']['value'] > 0.9"
expect_status 0 eval b --json                                                                    # r4: guesses

# what cannot be a release
expect_json_error not_found 2 deploy r9 --name router
expect_json_error bad_input 2 deploy r2 --name router
expect_json_error usage 2 deploy r3
for name in r7 7 last abcdef "a b" a/b a@1 -- ""; do
    [ "$name" = -- ] || expect_json_error usage 2 deploy r3 --name "$name"
done
expect_json_error usage 2 deploy r3 --name router --force " "
expect_json_error usage 2 deploy r3 --name router --all
expect_json_error not_found 2 deploy --verify router
expect_json_error not_found 2 rollback router

# a goal that is missed is refused (and nothing kept), until there is a reason
echo "target_value: 0.95" >>hone.yaml
expect_status 1 deploy r1 --name router --json
expect_json "r['released'] is False and r['release'] is None and len(r['evidence']['against']) >= 1 and 'target' in r['evidence']['against'][0]"
expect_status 1 deploy r1 --name router
expect_error "--force REASON"
expect_status 0 releases --json
expect_json "r['releases'] == []"
expect_status 0 deploy r1 --name router --force "a first one to build against" --json
expect_json "r['released'] and r['release'] == 'router@1' and r['forced'] == 'a first one to build against' and r['evidence']['verdict'] is None"

# the next one is better, with its adapter
expect_status 0 deploy r3 --name router --json
expect_json "r['release'] == 'router@2' and r['forced'] is None and r['evidence']['verdict']['verdict'] == 'better' and r['evidence']['previous'] == 'router@1'"
expect_json_error exists 2 deploy r3 --name router
# and what is worse than it is refused
sed -i '/target_value/d' hone.yaml
expect_status 1 deploy r4 --name router --json
expect_json "any('worse than router@2' in a for a in r['evidence']['against'])"
expect_status 0 releases --json
expect_json "[(x['release'], x['current'], x['verified']) for x in r['releases']] == [('router@2', True, None), ('router@1', False, None)]"
expect_json "r['releases'][0]['manifest']['model'] == 'tune:r2' and r['releases'][0]['manifest']['numeric_path'] and r['releases'][0]['manifest']['kernel_version'] > 0"
expect_json "r['releases'][1]['forced'] == 'a first one to build against' and set(r['releases'][0]['manifest']['files'].values()) and len(r['releases'][0]['content_id']) == 64"

# the proof, with a server of its own; today's files and hone gc change nothing
echo "messages: [{user: changed}]" >prompts/a.yaml
expect_status 0 gc --min-age 0 --answers-age 0 --json
expect_status 0 deploy --verify router --json
expect_json "r['release'] == 'router@2' and r['passed'] and r['n'] == r['n_equal'] == 40 and r['changes'] == [] and r['url'] is None and r['numeric_path']"
expect_status 0 deploy --verify router@1 --cases 7 --json
expect_json "r['n'] == r['n_equal'] == 7"
expect_status 0 deploy --verify router@1
expect_in_out "40 of 40 answers equal"
expect_status 0 releases router
expect_in_out "yes, 40 of 40 equal"

# through a server that runs; one that serves something else is found out
serve router
expect_status 0 deploy --verify router --url "$url/" --all --json
expect_json "r['passed'] and r['n'] == 40 and r['url'] == '$url'"
python3 - "$port" "$ROOT/tests/support" <<'PY' || fail "the release's app"
import sys; sys.path.insert(0, sys.argv[2])
import http_client as h
status, _, got = h.call(int(sys.argv[1]), "POST", "/v1/apps/router", {"inputs": {"text": "number 7 aaa"}})
assert status == 200 and got["app"] == "router" and got["value"] == "yes", got
PY
expect_status 1 deploy --verify router@1 --url "$url" --json
expect_json "not r['passed'] and r['n_equal'] < r['n'] == 40 and len(r['changes']) == 40 - r['n_equal'] and r['changes'][0]['case']"
stop_server 0
expect_json_error network 7 deploy --verify router --url "$url"

# another numeric path is told, not served silently; back and forth
export HONE_ISA=ref
expect_json_error bad_input 2 deploy --verify router
unset HONE_ISA
expect_status 0 rollback router --json
expect_json "r == {'current': 'router@1', 'before': 'router@2'}"
expect_json_error not_found 2 rollback router
expect_json_error exists 2 rollback router@1
expect_status 0 releases router --json
expect_json "[x['current'] for x in r['releases']] == [False, True] and r['releases'][1]['verified']['passed'] is False"
expect_status 0 deploy --verify router --json
expect_json "r['release'] == 'router@1' and r['passed']"
expect_status 0 rollback router@2
expect_json_error not_found 2 serve router@7 --port 0
