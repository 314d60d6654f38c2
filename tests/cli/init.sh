# hone init: the example and a project from data, --json, and what is refused.
source tests/cli/lib.bash
cd "$tmp"

expect_status 0 init tickets --example tickets
expect_in_out "output    one of 8 labels: billing, login"
[ -f tickets/hone.yaml ] && [ -f tickets/data/tickets.csv ] && [ -f tickets/.gitignore ] || fail "files are missing"
expect_status 2 init tickets --example tickets
expect_error "the file is there already"

{ echo "id,customer,text,label"; for i in $(seq 1 60); do echo "$i,c$((i % 20)),\"some text, number $i\",$([ $((i % 2)) = 0 ] && echo even || echo odd)"; done; } >cases.csv
expect_status 0 init made --data cases.csv --json
expect_json "r['target'] == 'label' and r['input'] == ['text'] and r['group'] == 'customer' and r['id'] == 'id'"
expect_json "r['guessed'] == {'input': True, 'target': True, 'group': True} and r['output'] == 'choice' and r['labels'] == ['even', 'odd']"
expect_json "r['n'] == 60 and sum(r['splits'].values()) == 60 and 'hone.yaml' in r['files'] and 'data/cases.csv' in r['files']"
expect_status 0 init named --data cases.csv --input text,customer --target label --group customer --json
expect_json "r['input'] == ['text', 'customer'] and not any(r['guessed'].values())"

expect_status 2 init
expect_status 2 init x --data cases.csv --example tickets
expect_status 2 init x --example tickets --target label
expect_error "--target goes with --data"
expect_json_error bad_input 2 init x --data cases.csv --target lable
expect_json "r['error']['hint'].startswith('did you mean \`label\`?')"
expect_json_error not_found 2 init x --data nowhere.csv
expect_json_error not_found 2 init x --example nothing
[ ! -e x ] || fail "a refused init left a folder behind"

# What the data cannot carry is refused after the files are composed: nothing stays behind, and the corrected command works.
printf 'text,label\n' >none.csv
expect_status 2 init x --data none.csv --target label
[ ! -e x ] || fail "a refused init left a folder behind"
mkdir there
expect_status 2 init there --data none.csv --target label
[ -d there ] && [ -z "$(ls -A there)" ] || fail "a refused init changed the folder"
expect_status 0 init there --data cases.csv

# A line break in a column's name does not break the prompts.
{ printf '"the\ntext","the\nlabel"\n'; for i in $(seq 1 40); do echo "\"some text, number $i\",$([ $((i % 2)) = 0 ] && echo even || echo odd)"; done; } >lines.csv
expect_status 0 init lines --data lines.csv
grep -q '^      The label:$' lines/prompts/plain.yaml || fail "the label's line is broken"
grep -qF '{{ inputs["the\ntext"] }}' lines/prompts/plain.yaml || fail "the variable is broken"

# A row past the limit is named.
{ echo text,label; head -c 17000000 /dev/zero | tr '\0' x; echo ,a; } >long.csv
expect_json_error limit 4 init x --data long.csv
expect_json "r['error']['where'].endswith('long.csv:2:1')"
