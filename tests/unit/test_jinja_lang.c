/* The template language, snippet by snippet. The expected texts are what Jinja2 3.1.6 renders in the environment that
 * transformers sets up for chat templates (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls,
 * its tojson, raise_exception, strftime_now and the generation tag; the clock at 2024-07-06 09:05:03): each snippet was
 * rendered once with the variables below and its output stored here. NULL: Jinja2 raises an error. */
#include "support.h"

#include "base/str.h"
#include "format/jinja.h"

#include <stdio.h>
#include <string.h>

static const char variables_text[] =
    "{\"s\": \"Hello World\", \"u\": \"\303\204\303\266\303\237 \303\251\", \"e\": \"\", \"n\": 7, \"z\": 0, \""
    "neg\": -5, \"f\": 2.5, \"big\": 12345678901, \"t\": true, \"no\": false, \"nil\": null, \"l\": [3, 1, 2], "
    "\"names\": [\"bob\", \"Alice\", \"carol\", \"alice\"], \"mixed\": [1, \"a\", null, 2.5, true], \"d\": {\"b"
    "\": 1, \"a\": 2, \"items\": 3}, \"nested\": {\"x\": {\"y\": [10, {\"k\": \"v\"}]}}, \"people\": [{\"name\""
    ": \"Bob\", \"age\": 30, \"team\": \"x\"}, {\"name\": \"ann\", \"age\": 25, \"team\": \"y\"}, {\"name\": \""
    "Cid\", \"age\": 25, \"team\": \"x\"}], \"msgs\": [{\"role\": \"system\", \"content\": \" S \"}, {\"role\":"
    " \"user\", \"content\": \"U\"}, {\"role\": \"assistant\", \"content\": \"A\", \"tool_calls\": [{\"id\": \""
    "1\"}]}], \"text\": \"line one\\nline two\\n\\nlast\", \"quote\": \"it's \\\"q\\\"\", \"html\": \"<a href='"
    "x'>&</a>\"}";

static const struct {
    const char *snippet, *expected;
} cases[] = {
    {"{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / "
     "2 }} {{ 2 ** 10 }} {{ 2 ** -1 }}",
     "7 9 3 -4 1 2 -2 3.5 1024 0.5"},
    {"{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 1 - 2 - 3 }} {{ 8 / 4 / 2 }} {{ 10 - 2 + 3 }}", "64 4 -4 1.0 11"},
    {"{{ 1.5 + 1 }} {{ 0.1 + 0.2 }} {{ 1e3 }} {{ 1e16 }} {{ 1.0 }} {{ 5 / 5 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ "
     "1e-5 }} {{ 3.0 * 2 }} {{ 100000.0 * 10000000000 }}",
     "2.5 0.30000000000000004 1000.0 1e+16 1.0 1.0 3.0 0.5 1e-05 6.0 1000000000000000.0"},
    {"{{ true + 1 }} {{ true }} {{ false }} {{ none }} {{ True and 3 }} {{ 0 or \"x\" }} {{ not 1 }} {{ not not "
     "\"a\" }} {{ 1 and 0 or 5 }}",
     "2 True False None 3 x False True 5"},
    {"{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_0.5 }} {{ 0 }} {{ 00 }}", "1000 31 5 15 10.5 0 0"},
    {"{{ \"a\" \"b\" 'c' }} {{ \"a\" ~ 1 ~ none ~ true ~ 2.0 ~ [1, \"x\"] }} {{ \"x\" * 3 }} {{ 3 * \"ab\" }} {{"
     " [1] * 2 + [3] }} {{ (1,) + (2,) }}",
     "abc a1NoneTrue2.0[1, 'x'] xxx ababab [1, 1, 3] (1, 2)"},
    {"{{ \"tab\\tnl\\\\n\\x41\\u00e9\\U0001F600\\101\\q'\" }} {{ 'it\\'s' }} {{ \"line\\\njoined\" }}",
     "tab\tnl\\nA\303\251\360\237\230\200A\\q' it's linejoined"},
    {"{{ [1, 2.0, \"a\", none, true, [], {}, (), (1,), (1, 2)] }}",
     "[1, 2.0, 'a', None, True, [], {}, (), (1,), (1, 2)]"},
    {"{{ {\"a\": 1, 2: \"b\", \"c\": [1], \"q\": \"it's\", \"dq\": 'say \"x\"', \"both\": \"'\\\"\", \"nl\": \"a"
     "\\nb\\t\\\\\", \"u\": \"\303\251\\x01\\u200b\"} }}",
     "{'a': 1, 2: 'b', 'c': [1], 'q': \"it's\", 'dq': 'say \"x\"', 'both': '\\'\"', 'nl': 'a\\nb\\t\\\\', 'u': '"
     "\303\251\\x01\\u200b'}"},
    {"{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 2 >= 2 }} {{ \"a\" < \"b\" }} {{ [1, 2] < [1, 3] }} {{ 1 =="
     " 1.0 }} {{ 1 == true }} {{ \"1\" == 1 }} {{ none == none }} {{ 1 != 2 }} {{ 1 <= 1.5 > 0 }}",
     "True True False True True True True True False True True True"},
    {"{{ \"a\" in \"cat\" }} {{ 1 in l }} {{ 9 in l }} {{ 9 not in l }} {{ \"a\" in d }} {{ \"z\" not in d }} {{"
     " \"\" in \"\" }} {{ none in mixed }} {{ not 1 in l }} {{ \"x\" in missing }}",
     "True True False True True True True True False False"},
    {"{{ 1 if true else 2 }} {{ 1 if false else 2 }} {{ \"x\" if false }}| {{ 1 if 0 else 2 if 0 else 3 }} {{ (1"
     " if true else 2) + 1 }}",
     "1 2 | 3 2"},
    {"{{ missing }}|{{ missing is defined }}|{{ missing|default(\"d\") }}|{{ d.zzz }}|{{ d.zzz is undefined }}|{"
     "{ l[10] is defined }}|{{ missing|length }}|{{ missing|list }}|{{ not missing }}|{{ missing == missing2 }}",
     "|False|d||True|False|0|[]|True|True"},
    {"{{ missing.x }}", NULL},
    {"{{ missing + 1 }}", NULL},
    {"{{ d.zzz.y }}", NULL},
    {"{{ \"a\" + 1 }}", NULL},
    {"{{ 1 + \"a\" }}", NULL},
    {"{{ 1 < \"a\" }}", NULL},
    {"{{ 1 // 0 }}", NULL},
    {"{{ 1 % 0 }}", NULL},
    {"{{ [1] + (1,) }}", NULL},
    {"{{ {\"a\": 1}[\"b\"] }}|{{ l[\"x\"] }}|{{ none.x }}|{{ 5.x is defined }}", "|||False"},
    {"{{ s[0] }} {{ s[-1] }} {{ s[1:4] }} {{ s[:-6] }} {{ s[::-1] }} {{ s[::2] }} {{ s[-3:] }} {{ s[20:] }}| {{ "
     "u[1:3] }} {{ u[::-1] }} {{ s[4:1:-1] }} {{ s[100] }}|",
     "H d ell Hello dlroW olleH HloWrd rld | \303\266\303\237 \303\251 \303\237\303\266\303\204 oll |"},
    {"{{ l[0] }} {{ l[-1] }} {{ l[1:] }} {{ l[::-1] }} {{ l[:0] }} {{ l[-2:] }} {{ (1,2,3)[1:] }} {{ l[5:2] }} {"
     "{ l[::-2] }} {{ l[-100:100] }} {{ l[1:1:-1] }} {{ range(5)[1:3] }}",
     "3 2 [1, 2] [2, 1, 3] [] [1, 2] (2, 3) [] [2, 3] [3, 1, 2] [] range(1, 3)"},
    {"{{ l.0 }} {{ nested.x.y[1].k }} {{ nested[\"x\"][\"y\"][0] }} {{ nested.x[\"y\"].1[\"k\"] }} {{ people[1]."
     "name }}",
     "3 v 10 v ann"},
    {"{{ d.items is callable }} {{ d[\"items\"] }} {{ d.b }} {{ d[\"b\"] }} {{ d.get(\"a\") }} {{ d.get(\"q\") }"
     "} {{ d.get(\"q\", 5) }} {{ d.keys()|list }} {{ d.values()|list }} {{ d.items()|list }}",
     "True 3 1 1 2 None 5 ['b', 'a', 'items'] [1, 2, 3] [('b', 1), ('a', 2), ('items', 3)]"},
    {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}|{% for k in d %}{{ k }},{% endfor %}|{% for k, v i"
     "n d|items %}{{ k }}{{ v }}{% endfor %}|{% for k, v in d|dictsort %}{{ k }}{{ v }}{% endfor %}",
     "b=1;a=2;items=3;|b,a,items,|b1a2items3|a2b1items3"},
    {"{{ d|dictsort(by=\"value\") }} {{ d|dictsort(reverse=true) }} {{ {\"B\": 1, \"a\": 2}|dictsort }} {{ {\"B"
     "\": 1, \"a\": 2}|dictsort(true) }}",
     "[('b', 1), ('a', 2), ('items', 3)] [('items', 3), ('b', 1), ('a', 2)] [('a', 2), ('B', 1)] [('B', 1), ('a'"
     ", 2)]"},
    {"{{ s.upper() }} {{ s.lower() }} {{ \"heLLo wORLD x2y it's\".title() }} {{ \"hELLO\".capitalize() }} {{ s.s"
     "wapcase() }} {{ u.upper() }} {{ u.lower() }} {{ \"\303\204B\".lower() }} {{ \"stra\303\237e\".upper() }}",
     "HELLO WORLD hello world Hello World X2Y It'S Hello hELLO wORLD \303\204\303\226SS \303\211 \303\244\303"
     "\266\303\237 \303\251 \303\244b STRASSE"},
    {"{{ \"heLLo wORLD x2y it's (foo) a-b [c] {d} <e>\"|title }} {{ \"hELLO wORLD\"|capitalize }} {{ s|upper }} "
     "{{ s|lower }} {{ 5|upper }} {{ none|lower }}",
     "Hello World X2y It's (Foo) A-B [C] {D} <E> Hello world HELLO WORLD hello world 5 none"},
    {"[{{ \"  x \".strip() }}] [{{ \"  x \".lstrip() }}] [{{ \"  x \".rstrip() }}] [{{ \"xxaxx\".strip(\"x\") }}"
     "] [{{ \"abcba\".lstrip(\"ab\") }}] [{{ \"abcba\".rstrip(\"ab\") }}] [{{ \"\\n a\\t\\n\"|trim }}] [{{ \"--a"
     "--\"|trim(\"-\") }}] [{{ \"\\u00a0a\\u2003\"|trim }}] [{{ 12|trim }}] [{{ \"\"|trim }}]",
     "[x] [x ] [  x] [a] [cba] [abc] [a] [a] [a] [12] []"},
    {"{{ \"a,b,,c\".split(\",\") }} {{ \" a  b c \".split() }} {{ \"a,b,c\".split(\",\", 1) }} {{ \"a b c\".spli"
     "t(none, 1) }} {{ \"a,b,c\".rsplit(\",\", 1) }} {{ \" a  b  c \".rsplit(none, 1) }} {{ \"\".split() }} {{ "
     "\"\".split(\",\") }} {{ \"abc\".split(\"x\") }} {{ \"a--b--c\".split(\"--\") }} {{ \"a b\".rsplit() }} {{ "
     "\"a,b,c\".rsplit(\",\") }}",
     "['a', 'b', '', 'c'] ['a', 'b', 'c'] ['a', 'b,c'] ['a', 'b c'] ['a,b', 'c'] [' a  b', 'c'] [] [''] ['abc'] "
     "['a', 'b', 'c'] ['a', 'b'] ['a', 'b', 'c']"},
    {"{{ \"a\".split(\"\") }}", NULL},
    {"{{ text.splitlines() }} {{ \"a\\r\\nb\\rc\\x0bd\\x85e\\u2028f\\n\".splitlines() }} {{ \"\".splitlines() }}"
     " {{ \"\\n\".splitlines() }}",
     "['line one', 'line two', '', 'last'] ['a', 'b', 'c', 'd', 'e', 'f'] [] ['']"},
    {"{{ \"a=b=c\".partition(\"=\") }} {{ \"a=b=c\".rpartition(\"=\") }} {{ \"abc\".partition(\"x\") }} {{ \"abc"
     "\".rpartition(\"x\") }}",
     "('a', '=', 'b=c') ('a=b', '=', 'c') ('abc', '', '') ('', '', 'abc')"},
    {"{{ s.startswith(\"He\") }} {{ s.endswith(\"ld\") }} {{ s.startswith((\"x\", \"H\")) }} {{ s.startswith(\""
     "\") }} {{ \"\".startswith(\"a\") }} {{ s.find(\"o\") }} {{ s.rfind(\"o\") }} {{ s.find(\"zz\") }} {{ s.ind"
     "ex(\"W\") }} {{ s.count(\"l\") }} {{ s.find(\"o\", 5) }} {{ u.find(\"\303\251\") }} {{ \"aaa\".count(\"aa"
     "\") }} {{ \"aaa\".count(\"\") }} {{ s.find(\"o\", -3) }} {{ s.find(\"l\", 3, 5) }} {{ s.rfind(\"o\", 0, 5)"
     " }}",
     "True True True True False 4 7 -1 6 3 7 4 1 4 -1 3 4"},
    {"{{ s.index(\"zz\") }}", NULL},
    {"{{ \"aXbXc\".replace(\"X\", \"-\") }} {{ \"aXbXc\".replace(\"X\", \"\", 1) }} {{ \"abc\".replace(\"\", \"-"
     "\") }} {{ \"abc\".replace(\"\", \"-\", 2) }} {{ \"aaa\"|replace(\"a\", \"b\", 2) }} {{ 123|replace(\"2\", "
     "\"x\") }} {{ \"aXb\"|replace(\"X\", \"\") }}",
     "a-b-c abXc -a-b-c- -a-bc bba 1x3 ab"},
    {"{{ \", \".join([\"a\", \"b\"]) }} {{ \"\".join([]) }} {{ \"-\".join(\"abc\") }} {{ [\"a\", 1, none, 2.5]|j"
     "oin(\", \") }} {{ l|join }} {{ people|join(\", \", attribute=\"name\") }} {{ \"abc\"|join(\"-\") }} {{ d|j"
     "oin }}",
     "a, b  a-b-c a, 1, None, 2.5 312 Bob, ann, Cid a-b-c baitems"},
    {"{{ \",\".join([1, 2]) }}", NULL},
    {"{{ \"12\".isdigit() }} {{ \"1a\".isdigit() }} {{ \"\".isdigit() }} {{ \"ab\".isalpha() }} {{ \"a1\".isalnu"
     "m() }} {{ \" \\n\".isspace() }} {{ \"AB1\".isupper() }} {{ \"ab1\".islower() }} {{ \"1\".islower() }} {{ "
     "\"12\"|int is odd }}",
     "True False False True True True True True False False"},
    {"[{{ \"x\".center(5) }}] [{{ \"xy\".center(5) }}] [{{ \"x\".ljust(3) }}] [{{ \"x\".rjust(3) }}] [{{ \"5\".z"
     "fill(3) }}] [{{ \"-5\".zfill(4) }}] [{{ \"ab\"|center(7) }}] [{{ \"abc\".center(2) }}]",
     "[  x  ] [  xy ] [x  ] [  x] [005] [-005] [   ab  ] [abc]"},
    {"{{ \"foobar\".removeprefix(\"foo\") }} {{ \"foobar\".removesuffix(\"bar\") }} {{ \"x\".removeprefix(\"y\")"
     " }}",
     "bar foo x"},
    {"{{ \"{} and {}\".format(1, \"b\") }} {{ \"{1}{0}\".format(\"a\", \"b\") }} {{ \"{x}-{{y}}\".format(x=3) }}"
     " {{ \"%s is %d, %5.2f|%-4s|%04d|%x %%\" % (\"a\", 3, 2.567, \"b\", 42, 255) }} {{ \"%s\" % \"one\" }} {{ "
     "\"%s, %s!\"|format(\"Hi\", \"Bob\") }} {{ \"%(a)s\"|format(a=5) }} {{ \"%r\" % \"x\" }} {{ \"%.2s|%5s\" % "
     "(\"abc\", \"d\") }} {{ \"%+d\" % 5 }} {{ \"%e\" % 12345.678 }}",
     "1 and b ba 3-{y} a is 3,  2.57|b   |0042|ff % one Hi, Bob! 5 'x' ab|    d +5 1.234568e+04"},
    {"{{ \"%d\" % \"x\" }}", NULL},
    {"{{ \"%s %s\" % \"a\" }}", NULL},
    {"{{ \"%s\" % (1, 2) }}", NULL},
    {"{{ l|tojson }} {{ d|tojson }} {{ mixed|tojson }} {{ nested|tojson }} {{ \"\303\251<>&'\\\"\\n\\u2028\\x00"
     "\\x7f\"|tojson }} {{ none|tojson }} {{ 1.0|tojson }} {{ 1e20|tojson }} {{ (1, 2)|tojson }} {{ []|tojson }}"
     " {{ {}|tojson }} {{ true|tojson }} {{ \"x\"|tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}",
     "[3, 1, 2] {\"b\": 1, \"a\": 2, \"items\": 3} [1, \"a\", null, 2.5, true] {\"x\": {\"y\": [10, {\"k\": \"v"
     "\"}]}} \"\303\251<>&'\\\"\\n\342\200\250\\u0000\177\" null 1.0 1e+20 [1, 2] [] {} true \"x\" {\"1\": 4, \""
     "null\": 3, \"1.5\": 5}"},
    {"{{ nested|tojson(indent=2) }}\n{{ [[], {}, [1]]|tojson(indent=4) }}",
     "{\n  \"x\": {\n    \"y\": [\n      10,\n      {\n        \"k\": \"v\"\n      }\n    ]\n  }\n}\n[\n    [],"
     "\n    {},\n    [\n        1\n    ]\n]"},
    {"{{ u|tojson(ensure_ascii=true) }} {{ \"\360\237\230\200\"|tojson(true) }} {{ d|tojson(separators=(\",\", "
     "\":\")) }} {{ d|tojson(sort_keys=true) }} {{ d|tojson(indent=0) }} {{ l|tojson(indent=none) }}",
     "\"\\u00c4\\u00f6\\u00df \\u00e9\" \"\\ud83d\\ude00\" {\"b\":1,\"a\":2,\"items\":3} {\"a\": 2, \"b\": 1, \""
     "items\": 3} {\n\"b\": 1,\n\"a\": 2,\n\"items\": 3\n} [3, 1, 2]"},
    {"{{ missing|tojson }}", NULL},
    {"{{ l|map(\"string\")|list }} {{ people|map(attribute=\"name\")|list }} {{ names|map(\"upper\")|join(\" \")"
     " }} {{ people|map(attribute=\"zzz\", default=\"-\")|list }} {{ [[1,2],[3,4]]|map(\"sum\")|list }} {{ l|map"
     "(\"multiply\")|list if false else \"skip\" }} {{ [[1,2],[3]]|map(\"first\")|list }} {{ people|map(attribut"
     "e=\"name\")|map(\"lower\")|sort|join(\",\") }} {{ [\"a b\"]|map(\"replace\", \" \", \"_\")|first }}",
     "['3', '1', '2'] ['Bob', 'ann', 'Cid'] BOB ALICE CAROL ALICE ['-', '-', '-'] [3, 7] skip [1, 3] ann,bob,cid"
     " a_b"},
    {"{{ l|select(\"odd\")|list }} {{ l|reject(\"odd\")|list }} {{ mixed|select|list }} {{ mixed|reject|list }} "
     "{{ l|select(\"greaterthan\", 1)|list }} {{ people|selectattr(\"age\", \"equalto\", 25)|map(attribute=\"nam"
     "e\")|list }} {{ people|rejectattr(\"age\", \"eq\", 25)|map(attribute=\"name\")|list }} {{ msgs|selectattr("
     "\"tool_calls\")|list|length }} {{ msgs|selectattr(\"role\", \"in\", [\"user\", \"system\"])|list|length }}"
     " {{ msgs|selectattr(\"tool_calls\", \"defined\")|list|length }} {{ l|select(\">\", 1)|list }} {{ people|se"
     "lectattr(\"name\", \"==\", \"Bob\")|list|count }}",
     "[3, 1] [2] [1, 'a', 2.5, True] [None] [3, 2] ['ann', 'Cid'] ['Bob'] 1 2 1 [3, 2] 1"},
    {"{% if l|select(\"greaterthan\", 100) %}true{% else %}false{% endif %} {% if l|select(\"greaterthan\", 100)"
     "|list %}true{% else %}false{% endif %}",
     "true false"},
    {"{{ l|select(\"odd\")|length }}", NULL},
    {"{{ l|sort }} {{ names|sort }} {{ names|sort(case_sensitive=true) }} {{ names|sort(reverse=true) }} {{ peop"
     "le|sort(attribute=\"age\")|map(attribute=\"name\")|list }} {{ people|sort(attribute=\"age,name\")|map(attr"
     "ibute=\"name\")|list }} {{ people|sort(attribute=\"age\", reverse=true)|map(attribute=\"name\")|list }} {{"
     " \"bca\"|sort }} {{ [2.5, 1, true]|sort }}",
     "[1, 2, 3] ['Alice', 'alice', 'bob', 'carol'] ['Alice', 'alice', 'bob', 'carol'] ['carol', 'bob', 'Alice', "
     "'alice'] ['ann', 'Cid', 'Bob'] ['ann', 'Cid', 'Bob'] ['Bob', 'ann', 'Cid'] ['a', 'b', 'c'] [1, True, 2.5]"},
    {"{{ mixed|sort }}", NULL},
    {"{{ names|unique|list }} {{ [1, 1.0, true, 2]|unique|list }} {{ names|unique(true)|list }} {{ people|unique"
     "(attribute=\"age\")|map(attribute=\"name\")|list }}",
     "['bob', 'Alice', 'carol'] [1, 2] ['bob', 'Alice', 'carol', 'alice'] ['Bob', 'ann']"},
    {"{{ l|min }} {{ l|max }} {{ names|min }} {{ names|max }} {{ []|min }}| {{ people|max(attribute=\"age\") }} "
     "{{ l|sum }} {{ people|sum(attribute=\"age\") }} {{ l|sum(start=10) }} {{ [1.5, 2]|sum }} {{ [[1],[2]]|sum("
     "start=[]) }}",
     "1 3 Alice carol | {'name': 'Bob', 'age': 30, 'team': 'x'} 6 80 16 3.5 [1, 2]"},
    {"{{ l|first }} {{ l|last }} {{ []|first }}| {{ \"abc\"|first }} {{ \"abc\"|last }} {{ d|first }} {{ l|rever"
     "se|list }} {{ \"abc\"|reverse }} {{ l|length }} {{ \"\303\244b\"|length }} {{ d|count }} {{ l|list }} {{ "
     "\"abc\"|list }} {{ d|list }} {{ ()|length }}",
     "3 2 | a c b [2, 1, 3] cba 3 2 3 [3, 1, 2] ['a', 'b', 'c'] ['b', 'a', 'items'] 0"},
    {"{{ [1,2,3,4,5]|batch(2)|list }} {{ [1,2,3]|batch(2, 0)|list }} {% for g in people|groupby(\"team\") %}{{ g"
     ".grouper }}:{{ g.list|map(attribute=\"name\")|join(\",\") }};{% endfor %}{% for k, v in people|groupby(\"a"
     "ge\") %}{{ k }}={{ v|length }} {% endfor %}",
     "[[1, 2], [3, 4], [5]] [[1, 2], [3, 0]] x:Bob,Cid;y:ann;25=2 30=1 "},
    {"{{ \"42\"|int }} {{ \"4.9\"|int }} {{ \"x\"|int }} {{ \"x\"|int(5) }} {{ \" 7 \"|int }} {{ \"ff\"|int(0, 1"
     "6) }} {{ \"0x1A\"|int(0, 16) }} {{ 3.99|int }} {{ -3.99|int }} {{ true|int }} {{ none|int }} {{ \"1e2\"|in"
     "t }} {{ \"-12\"|int }} {{ \"1_000\"|int }} {{ \"3.5\"|float }} {{ \"x\"|float }} {{ \"x\"|float(1.5) }} {{"
     " 3|float }} {{ \"1e3\"|float }} {{ \"inf\"|float }} {{ none|float }}",
     "42 4 0 5 7 255 26 3 -3 1 0 100 -12 1000 3.5 0.0 1.5 3.0 1000.0 inf 0.0"},
    {"{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 1.005|round(2) }} {{ 42|round }} {{ 2.1|round(0, "
     "\"ceil\") }} {{ 2.9|round(method=\"floor\") }} {{ 2.123|round(2, \"ceil\") }} {{ -2.5|round }} {{ 1234.5|r"
     "ound(-2) }} {{ -5|abs }} {{ neg|abs }} {{ 2.5|abs }}",
     "2.0 4.0 2.67 1.0 42 3.0 2.0 2.13 -2.0 1200.0 5 5 2.5"},
    {"{{ missing|default(\"x\") }} {{ none|default(\"x\") }} {{ none|default(\"x\", true) }} {{ \"\"|d(\"e\", tr"
     "ue) }} {{ 0|default(1, boolean=true) }} {{ missing|default }}| {{ \"v\"|default(\"x\") }} {{ d.zz|default("
     "[])|length }}",
     "x None x e 1 | v 0"},
    {"{{ html|e }} {{ html|escape }} {{ html|safe }} {{ s|wordcount }} {{ \"don't stop_me 2\"|wordcount }} {{ 5|"
     "string + \"x\" }} {{ none|string }} {{ l|string }} {{ 1.0|string }}",
     "&lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt; &lt;a href=&#39;x&#39;&gt;&amp;&lt;/a&gt; <a href='x'>&</a> 2 4 "
     "5x None [3, 1, 2] 1.0"},
    {"{{ text|indent }}\n---\n{{ text|indent(2, true) }}\n---\n{{ text|indent(width=2, blank=true) }}\n---\n{{ t"
     "ext|indent(\"> \") }}",
     "line one\n    line two\n\n    last\n---\n  line one\n  line two\n\n  last\n---\nline one\n  line two\n  \n"
     "  last\n---\nline one\n> line two\n\n> last"},
    {"{{ \"\"|indent }}| {{ \"a\\n\"|indent(2) }}|", "| a\n|"},
    {"{{ d|attr(\"zz\") is defined }} {{ s|attr(\"upper\") is callable }}", "False True"},
    {"{{ n is number }} {{ f is float }} {{ n is integer }} {{ t is integer }} {{ t is boolean }} {{ t is true }"
     "} {{ no is false }} {{ 1 is true }} {{ s is string }} {{ d is mapping }} {{ l is mapping }} {{ l is sequen"
     "ce }} {{ d is sequence }} {{ s is sequence }} {{ s is iterable }} {{ n is iterable }} {{ none is none }} {"
     "{ missing is none }} {{ n is not none }} {{ t is number }} {{ missing is iterable }} {{ missing is sequenc"
     "e }} {{ (l|map(\"string\")) is sequence }}",
     "True True True False True True True False True True False True True True True False True False True True T"
     "rue True False"},
    {"{{ 4 is divisibleby 2 }} {{ 4 is divisibleby(3) }} {{ 3 is odd }} {{ 4 is even }} {{ 3 is even }} {{ n is "
     "eq 7 }} {{ n is ne(7) }} {{ n is lt 8 }} {{ n is gt 8 }} {{ n is ge 7 }} {{ n is le 6 }} {{ n is equalto 7"
     " }} {{ \"a\" is in \"abc\" }} {{ n is in l }} {{ none is sameas none }} {{ t is sameas true }} {{ 1 is sam"
     "eas true }} {{ \"abc\" is lower }} {{ \"ABC\" is upper }} {{ \"upper\" is filter }} {{ \"nope\" is filter "
     "}} {{ \"odd\" is test }} {{ n is lessthan 8 }} {{ n is greaterthan 8 }}",
     "True False True True False True False True False True False True True False True True False True True True"
     " False True True False"},
    {"{{ n is defined and n > 3 }} {{ missing is defined or n == 7 }} {{ not missing is defined }} {{ n is numbe"
     "r and s is string }} {{ (n is string) == false }} {{ n is not string }}",
     "True True True True True True"},
    {"{{ n is foo }}", NULL},
    {"{{ n|foo }}", NULL},
    {"{% if false %}{{ n|int|abs }}{% else %}ok{% endif %}", "ok"},
    {"{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{"
     " loop.last }}{{ loop.length }} {{ loop.previtem }}|{{ loop.nextitem }}|{{ loop.depth }};{% endfor %}",
     "1032TrueFalse3 |1|1;2121FalseFalse3 3|2|1;3210FalseTrue3 1||1;"},
    {"{% for x in [] %}x{% else %}none{% endfor %} {% for x in missing %}x{% else %}undef{% endfor %} {% for x i"
     "n l if x > 5 %}x{% else %}filtered{% endfor %}",
     "none undef filtered"},
    {"{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}", "1/2:3 2/2:2 "},
    {"{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }} {% endfor %}{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{"
     " b }}{{ c }}{% endfor %}",
     "12 34 123"},
    {"{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", NULL},
    {"{% for c in \"a\303\261b\" %}{{ c }}.{% endfor %} {% for x in 1, 2, 3 %}{{ x }}{% endfor %} {% for x in ra"
     "nge(3) %}{{ x }}{% endfor %} {% for x in range(5, 0, -2) %}{{ x }}{% endfor %} {{ range(3) }} {{ range(2, "
     "5)|list }} {{ range(0)|list }} {{ range(-2)|list }}",
     "a.\303\261.b. 123 012 531 range(0, 3) [2, 3, 4] [] []"},
    {"{% for x in none %}{% endfor %}", NULL},
    {"{% for x in 5 %}{% endfor %}", NULL},
    {"{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x "
     "}}{% endfor %}",
     "0134"},
    {"{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }}{{ loop.d"
     "epth }} {% endfor %}{% endfor %}",
     "001 101 201 "},
    {"{% for x in [1, 2, 3, 4] %}{{ loop.cycle(\"a\", \"b\", \"c\") }}{% endfor %} {% for x in [1, 1, 2] %}{{ lo"
     "op.changed(x) }}{% endfor %}",
     "abca TrueFalseTrue"},
    {"{% for x in [{\"n\": 1, \"c\": [{\"n\": 2, \"c\": []}]}] recursive %}<{{ x.n }}d{{ loop.depth0 }}{{ loop(x"
     ".c) }}>{% endfor %}",
     "<1d0<2d1>>"},
    {"{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }} {% if true %}{% set y = "
     "5 %}{% endif %}{{ y }}",
     "221 5"},
    {"{% set ns = namespace(a=1, b=\"x\") %}{% for i in range(3) %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a "
     "}}{{ ns.b }}{{ ns.c }}{% set ns.c = [1] %}{{ ns.c }}{{ ns.d is defined }}",
     "4x[1]False"},
    {"{% set ns = namespace({\"k\": 3}) %}{{ ns.k }} {{ dict(a=1, b=2) }} {{ dict({\"x\": 1}, y=2) }} {{ dict([("
     "\"p\", 1)]) }}",
     "3 {'a': 1, 'b': 2} {'x': 1, 'y': 2} {'p': 1}"},
    {"{% set d.x = 1 %}", NULL},
    {"{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set t = 1, 2 %}{{ t }} {% set (p, q) = [3, 4] %}{{ p }}{{ q }}",
     "12 (1, 2) 34"},
    {"{% set x %}a{{ n }}b{% endset %}{{ x }} {% set y | upper %}abc{% endset %}{{ y }} {% set z | trim | replac"
     "e(\"b\", \"c\") %} abb {% endset %}[{{ z }}]",
     "a7b ABC [acc]"},
    {"{% macro m(a, b=2, c=\"z\") %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=\"q\")"
     " }} {{ m(c=3, a=1) }} {{ m() }} {{ m.name }} {{ m.arguments }}",
     "12z 13z 12q 123 2z m ('a', 'b', 'c')"},
    {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", NULL},
    {"{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, zz=2) }}", NULL},
    {"{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, k=4) }}", "1(2, 3){'k': 4}"},
    {"{% macro outer(x) %}[{{ x }}{{ caller() }}]{% endmacro %}{% call outer(1) %}body{{ n }}{% endcall %}{% mac"
     "ro each(l) %}{% for i in l %}{{ caller(i) }};{% endfor %}{% endmacro %}{% call(i) each([1, 2]) %}<{{ i }}>"
     "{% endcall %}",
     "[1body7]<1>;<2>;"},
    {"{% macro fact(n) %}{% if n < 2 %}1{% else %}{{ n * fact(n - 1)|int }}{% endif %}{% endmacro %}{{ fact(5) }"
     "}",
     "120"},
    {"{% set g = \"glob\" %}{% macro m() %}{{ g }}{% set g = \"loc\" %}{{ g }}{% endmacro %}{{ m() }}{{ g }}",
     "globlocglob"},
    {"{% macro m() %}{{ late }}{% endmacro %}{% set late = 3 %}{{ m() }}", "3"},
    {"{% macro m(x, y=x) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}", "11"},
    {"{% filter upper %}a{{ s }}{% endfilter %} {% filter replace(\"a\", \"b\") | upper %}aac{% endfilter %}",
     "AHELLO WORLD BBC"},
    {"{% with a = 1, b = 2 %}{{ a + b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a is defined }} {% with %}{% set q"
     " = 1 %}{% endwith %}{{ q is defined }}",
     "35False False"},
    {"{% generation %}a{{ n }}{% endgeneration %}b", "a7b"},
    {"{% raw %}{{ x }} {% if %}{% endraw %}|{%- raw -%}  a  {%- endraw -%}  b {% raw %}\nkeep\n  {% endraw %}\nx",
     "{{ x }} {% if %}|ab \nkeep\nx"},
    {"a {#- comment -#} b {# c #} d\n  {# own line #}\ne", "ab  d\ne"},
    {"  {% if true %}\n  x\n    {% endif %}\ny", "  x\ny"},
    {"a\n  {%- if true -%}\n  b\n  {%- endif +%}\nc", "ab\nc"},
    {"   {%+ if true %}a{% endif %}\nb", "   ab"},
    {"x {% if true +%}\ny{% endif %}", "x \ny"},
    {"{{- \"a\" -}}   \n   {{- \"b\" }}\n{{ \"c\" -}}\n\nd", "ab\ncd"},
    {"{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\nend\n", "  1\n  2\nend"},
    {"{% for i in [1, 2] -%}\n  {{ i }}\n{%- endfor %}", "12"},
    {"a\t{% set x = 1 %}\t\nb\n\t{% set y = 2 %}\nc", "a\t\t\nb\nc"},
    {"{{ {\"a\": {\"b\": 1}}.a.b }} {{ {\"a\": {\"b\": 1}}}} {{ {'x': [1, {'y': 2}]}['x'][1]['y'] }}",
     "1 {'a': {'b': 1}} 2"},
    {"{{ [1, 2, ] }} {{ (1, ) }} {{ {\"a\": 1, } }} {{ () }} {{ 1, 2 }}", "[1, 2] (1,) {'a': 1} () (1, 2)"},
    {"{{ \"%s\" | format(\"x\") | upper ~ \"y\" }} {{ -1 | abs }} {{ \"a\" | upper == \"A\" }} {{ l | length > 2"
     " }} {{ 2 * l|length + 1 }} {{ \"a\" ~ \"b\" | upper }} {{ not l|length == 3 }} {{ (-5)|abs }} {{ 1 + -1|ab"
     "s }}",
     "Xy 1 True True 7 aB False 5 2"},
    {"{{ strftime_now(\"%Y-%m-%d %H:%M:%S %d %b %Y %B %A %a %j %y %I %p %-d %% %e|%F %T\") }}",
     "2024-07-06 09:05:03 06 Jul 2024 July Saturday Sat 188 24 09 AM 6 %  6|2024-07-06 09:05:03"},
    {"{{ raise_exception(\"no: \" ~ n) }}", NULL},
    {"{{ msgs[0]['content']|trim + '!' + msgs[1].content }} {{ msgs[-1].tool_calls[0].id }} {{ msgs|length }} {{"
     " msgs[1:]|map(attribute=\"role\")|join(\",\") }} {{ 'tool_calls' in msgs[2] }} {{ msgs[2].get('tool_calls'"
     ")|length }} {{ msgs[0] == msgs[0] }} {{ msgs[0] == msgs[1] }}",
     "S!U 1 3 user,assistant True 1 True False"},
    {"{{ l.append(4) }}", NULL},
    {"{{ d.update({\"x\": 1}) }}", NULL},
    {"{{ d.pop(\"a\") }}", NULL},
    {"{{ l.index(2) }} {{ l.count(1) }} {{ names.index(\"carol\") }}", "2 1 2"},
    {"{{ n() }}", NULL},
    {"{{ nope() }}", NULL},
    {"{{ s.nope() }}", NULL},
    {"{{ s|upper(1) }}", NULL},
    {"{{ s|replace(\"x\") }}", NULL},
    {"{{ range() }}", NULL},
    {"{{ namespace(a=1) is mapping }} {{ range is callable }} {{ range is defined }} {{ loop is defined }}",
     "False True True False"},
    {"{% if n == 7 %}a{% elif n == 8 %}b{% else %}c{% endif %}{% if n > 8 %}a{% elif n > 6 %}b{% endif %}{% if "
     "\"\" %}x{% elif [] %}y{% elif {} %}z{% elif 0.0 %}w{% else %}v{% endif %}",
     "abv"},
    {"{% if missing %}a{% else %}b{% endif %}{% if none %}a{% else %}b{% endif %}{% if \"0\" %}a{% else %}b{% en"
     "dif %}{% if [0] %}a{% else %}b{% endif %}",
     "bbaa"},
    {"{{ u }} {{ big * 1000 }} {{ 9223372036854775807 }} {{ -9223372036854775807 }} {{ quote }} {{ [quote] }}",
     "\303\204\303\266\303\237 \303\251 12345678901000 9223372036854775807 -9223372036854775807 it's \"q\" ['it"
     "\\'s \"q\"']"},
    {"{{ *l }}", NULL},
    {"{% macro m(a, b, c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(*l) }} {{ m(**{\"a\": 1, \"b\": 2, \"c\": 3}"
     ") }} {{ m(1, *[2, 3]) }}",
     "312 123 123"},
    {"{% set x = [] %}{% for i in range(3) %}{% set x = x + [i] %}{% endfor %}{{ x }}", "[]"},
    {"{%- set ns = namespace(found=false) -%}\n{%- for m in msgs -%}\n    {%- if m.role == \"user\" -%}{%- set n"
     "s.found = true -%}{%- endif -%}\n{%- endfor -%}\n{{ ns.found }}",
     "True"},
    {"{% for m in msgs %}{% if loop.previtem and loop.previtem.role != m.role %}<{{ loop.previtem.role }}>{% end"
     "if %}{{ m.role }}{% if not loop.last and loop.nextitem.role == \"user\" %}!{% endif %}{% endfor %}",
     "system!<system>user<user>assistant"},
    {"{% if %}x{% endif %}", NULL},
    {"{% for x in %}x{% endfor %}", NULL},
    {"{% endif %}", NULL},
    {"{% if true %}", NULL},
    {"{{ \"abc }}", NULL},
    {"{{ 1 + }}", NULL},
    {"{{ (1 }}", NULL},
    {"{% bogus %}", NULL},
    {"{{ a b }}", NULL},
    {"{% set 1 = 2 %}", NULL},
    {"{% break %}", NULL},
    {"{{ x is }}", NULL},
    {"{{ 1 is number is string }}", NULL},
    {"{# open", NULL},
    {"{% raw %} open", NULL},
    {"{{ \"a\" if true else }}", NULL},
    {"{{ d | dictsort | map(\"first\") | join(\"\") }} {{ d.items() | map(\"last\") | list }} {{ nested.x.y | fi"
     "rst }}",
     "abitems [1, 2, 3] 10"},
    {"{{ \"\316\261,\316\262\".split(\",\")|map(\"upper\")|list }} {{ \"  multiple   spaces \".split(\" \") }} {"
     "{ \"x\".join([\"a\"]) }} {{ \"\303\234n\303\257\".isalpha() }}",
     "['\316\221', '\316\222'] ['', '', 'multiple', '', '', 'spaces', ''] a True"},
    {"{{ (\"a\" ~ \"b\") * 2 }} {{ \"a\" < \"B\" }} {{ [3, 1] == [3, 1] }} {{ (1, 2) == [1, 2] }} {{ {\"a\": 1} "
     "== {\"a\": 1.0} }} {{ {\"a\": 1, \"b\": 2} == {\"b\": 2, \"a\": 1} }}",
     "abab False True False True True"},
    {"{{ 10 | string | length }} {{ 3.0 | int }} {{ 1.5 | string }} {{ 1e100 }} {{ 123456789.123 }} {{ 1/3 }} {{"
     " 2/3*3 }} {{ 1e15 }} {{ 12345678912345678.0 }}",
     "2 3 1.5 1e+100 123456789.123 0.3333333333333333 2.0 1000000000000000.0 1.2345678912345678e+16"},
    {"{{ s | list | length }} {{ s | first | lower }} {{ \"\" | length }} {{ s | reverse | upper }} {{ \"a b c\""
     " | title }} {{ \"x-y_z\" | title }}\n",
     "11 h 0 DLROW OLLEH A B C X-Y_z"},
};

static void as_jinja2(void **state) {
    (void)state;
    hn_error err = {0};
    json_t *variables;
    size_t bad = 0;
    hn_test_ok(hn_json_parse(variables_text, strlen(variables_text), "variables", 0, &variables, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hn_jinja *t = NULL;
        hn_buf out;
        hn_jinja_options options = {.has_now = true, .now = 1720256703};
        hn_buf_init(&out, 0);
        err = (hn_error){0};
        hn_status st = hn_jinja_compile(cases[i].snippet, strlen(cases[i].snippet), "t", &t, &err);
        if (st == HN_OK) st = hn_jinja_render(t, variables, &options, &out, NULL, &err);
        const char *expected = cases[i].expected;
        bool good = expected ? st == HN_OK && strcmp(hn_buf_str(&out), expected) == 0 : st == HN_ERR_TEMPLATE;
        if (!good) {
            bad++;
            fprintf(stderr, "--- snippet %zu\n%s\n--- expected\n%s\n--- got %s %s %s\n%s\n", i, cases[i].snippet,
                    expected ? expected : "(an error)", hn_status_name(st), err.where, err.message, hn_buf_str(&out));
        }
        if (st != HN_OK) {
            assert_true(hn_starts_with(err.where, "t:"));
            assert_int_equal(out.len, 0);
        }
        hn_buf_free(&out);
        hn_jinja_free(t);
    }
    json_decref(variables);
    assert_int_equal(bad, 0);
}

static void expect_error(const char *text, const char *where, const char *message, const char *hint) {
    hn_jinja *t = NULL;
    hn_buf out;
    hn_error err = {0};
    json_t *variables = json_pack("{s:s, s:[i], s:{s:i}}", "s", "x", "l", 1, "d", "a", 1);
    hn_buf_init(&out, 0);
    hn_status st = hn_jinja_compile(text, strlen(text), "f.jinja", &t, &err);
    if (st == HN_OK) st = hn_jinja_render(t, variables, NULL, &out, NULL, &err);
    assert_int_equal(st, HN_ERR_TEMPLATE);
    assert_string_equal(err.where, where);
    assert_string_equal(err.message, message);
    if (!strstr(err.hint, hint)) fail_msg("the hint \"%s\" does not hold \"%s\"", err.hint, hint);
    hn_jinja_free(t);
    hn_buf_free(&out);
    json_decref(variables);
}

static void errors_name_the_construct_and_its_place(void **state) {
    (void)state;
    expect_error("a\n{{ s | uper }}", "f.jinja:2:8", "unknown filter `uper`", "did you mean `upper`?");
    expect_error("{{ s is strng }}", "f.jinja:1:9", "unknown test `strng`", "did you mean `string`?");
    expect_error("é{{ nope(1) }}", "f.jinja:1:5", "unknown function `nope`", "raise_exception");
    expect_error("{{ s.nope() }}", "f.jinja:1:4", "unknown method `nope` of a string", "");
    expect_error("\n\n  {% extends 'x' %}", "f.jinja:3:6", "the statement `extends` is not supported", "stand alone");
    expect_error("{% fro x in l %}", "f.jinja:1:4", "unknown tag `fro`", "");
    expect_error("{% for x in l %}\n{{ x }}\n", "f.jinja:1:4", "`for` without its `endfor`", "");
    expect_error("{% for x in l %}{% endif %}", "f.jinja:1:20", "`endif` does not close the tag that is open",
                 "opened");
    expect_error("{{ who.name }}", "f.jinja:1:4", "`who` is undefined", "is defined");
    expect_error("{{ d.b.c }}", "f.jinja:1:4", "a dict without `b` is used as if it had it", "is defined");
    expect_error("{{ 'a' ~ s + 1 }}", "f.jinja:1:12", "`+` does not work between str and int", "~");
    expect_error("{{ raise_exception('Roles must alternate!') }}", "f.jinja:1:4", "Roles must alternate!", "refuses");
    expect_error("{% set s.x = 1 %}", "f.jinja:1:8", "cannot set `x` on `s`, which is not a namespace", "namespace()");
    expect_error("{{ l.append(2) }}", "f.jinja:1:4", "a template may not change a list", "x + [item]");
    expect_error("x {{ 'a", "f.jinja:1:6", "a string without its end", "quote");
    expect_error("{{ (1, 2 }}", "f.jinja:1:10", "unexpected `}`", "brackets");
    expect_error("{{ 99999999999999999999 }}", "f.jinja:1:4", "a number that is too large", "64 bits");
}

static void origin_is_kept(void **state) {
    (void)state;
    static const char text[] =
        "<u>{{ m[0].c|trim|upper }}</u>{% for x in m %}[{{ x.c ~ '!' ~ x.n }}]{% endfor %}{{ m|tojson }}{{ b }}";
    hn_error err = {0};
    hn_jinja *t;
    hn_jinja_spans spans = {0};
    hn_buf out;
    json_t *variables = json_pack("{s:[{s:s, s:i}], s:s}", "m", "c", " a\"b ", "n", 5, "b", "END");
    hn_buf_init(&out, 0);
    hn_test_ok(hn_jinja_compile(text, sizeof text - 1, "t", &t, &err), &err);
    hn_test_ok(hn_jinja_render(t, variables, NULL, &out, &spans, &err), &err);
    assert_string_equal(hn_buf_str(&out), "<u>A\"B</u>[ a\"b !5][{\"c\": \" a\\\"b \", \"n\": 5}]END");
    hn_buf shown;
    hn_buf_init(&shown, 0);
    for (size_t i = 0; i < spans.n; i++) {
        const hn_jinja_span *s = &spans.items[i];
        hn_buf_appendf(&shown, "%s(%s,%s)%.*s|", s->is_data ? "data" : "template", s->variable ? s->variable : "",
                       s->field ? s->field : "", (int)(s->end - s->start), out.data + s->start);
    }
    assert_string_equal(hn_buf_str(&shown),
                        "template(,)<u>|data(m,c)A\"B|template(,)</u>|template(m,)[|data(m,c) a\"b |template(m,)!5]|"
                        "template(,)[{\"|data(m,c)c|template(,)\": \"|data(m,c) a\\\"b |template(,)\", \"|data(m,n)n|"
                        "template(,)\": 5}]|data(b,)END|");
    hn_buf_free(&shown);
    hn_buf_free(&out);
    hn_jinja_spans_free(&spans);
    hn_jinja_free(t);
    json_decref(variables);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_jinja2),
        cmocka_unit_test(errors_name_the_construct_and_its_place),
        cmocka_unit_test(origin_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
