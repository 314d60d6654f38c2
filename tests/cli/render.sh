# hone render: the golden chat renderings through the command, its options, and errors that name the place.
source tests/cli/lib.bash
need_shared goldens/chat

python3 - "$SHARED" "$tmp" "$HONE" <<'PY' || fail "a rendering differs"
import glob, json, subprocess, sys
shared, tmp, hone = sys.argv[1:4]
def put(name, value):
    with open(f"{tmp}/{name}", "w", encoding="utf-8") as f: json.dump(value, f)
    return f"{tmp}/{name}"
n = 0
for path in sorted(glob.glob(shared + "/goldens/chat/*.json")):
    golden = json.load(open(path, encoding="utf-8"))
    for case in golden["cases"][::4]:
        variables = {"bos_token": golden["bos_token"], "eos_token": golden["eos_token"], **(case["extra"] or {})}
        command = [hone, "render", "--template", shared + "/suites/chat-templates/" + golden["template"], "--messages", put("m", case["messages"]),
                   "--vars", put("v", variables), "--now", golden["now"], "--json"]
        if case["tools"] is not None: command += ["--tools", put("t", case["tools"])]
        if case["add_generation_prompt"]: command += ["--add-generation-prompt"]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        r = json.loads(run.stdout)
        if "output" in case: fine = run.returncode == 0 and r == {"text": case["output"]}
        else: fine = run.returncode == 2 and (not case["error"]["raised_by_template"] or case["error"]["message"] in r["error"]["message"])
        if not fine: sys.exit(f"{path} {case['name']}: {r}")
        n += 1
print(n, "cases", file=sys.stderr)
PY

echo '[{"role": "user", "content": "Hi"}]' >"$tmp/m.json"
printf '{{ messages[0].content }} {{ strftime_now("%%Y-%%m-%%d %%H:%%M") }} {{ bos_token }}{{ x }}{%% if add_generation_prompt %%}!{%% endif %%}' >"$tmp/t.jinja"
echo '{"bos_token": "<s>", "x": 7}' >"$tmp/v.json"
expect_status 0 render --template "$tmp/t.jinja" --messages "$tmp/m.json" --vars "$tmp/v.json" --now 2024-07-26T12:34:56 --add-generation-prompt
expect_out "Hi 2024-07-26 12:34 <s>7!"
expect_status 0 render --template "$tmp/t.jinja" --messages "$tmp/m.json" --vars "$tmp/v.json" --now 0
expect_out "Hi 1970-01-01 00:00 <s>7"

expect_status 2 render --template "$tmp/t.jinja"
expect_error "--template and --messages are needed"
for now in 2024-13-01 yesterday 2024-07-26T25:00:00 2024-07-26x; do
    expect_status 2 render --template "$tmp/t.jinja" --messages "$tmp/m.json" --now $now
    expect_error "--now needs a time"
done
expect_json_error not_found 2 render --template "$tmp/none.jinja" --messages "$tmp/m.json"
printf 'line one\n{%% extends "x" %%}' >"$tmp/bad.jinja"
expect_json_error template 2 render --template "$tmp/bad.jinja" --messages "$tmp/m.json"
expect_json "'bad.jinja:2' in r['error']['where'] and 'extends' in r['error']['message']"
printf '{{ raise_exception("no system message, please") }}' >"$tmp/raise.jinja"
expect_json_error template 2 render --template "$tmp/raise.jinja" --messages "$tmp/m.json"
expect_json "'no system message, please' in r['error']['message']"
echo '{"not": "an array"}' >"$tmp/object.json"
expect_json_error bad_input 2 render --template "$tmp/t.jinja" --messages "$tmp/object.json"
expect_json_error bad_input 2 render --template "$tmp/t.jinja" --messages "$tmp/m.json" --tools "$tmp/object.json"
expect_json_error bad_input 2 render --template "$tmp/t.jinja" --messages "$tmp/m.json" --vars "$tmp/m.json"
printf '{%% for i in range(100000) %%}{%% for j in range(100000) %%}{%% endfor %%}{%% endfor %%}' >"$tmp/endless.jinja"
expect_json_error limit 4 render --template "$tmp/endless.jinja" --messages "$tmp/m.json"
