# hone bench --kernels: every kernel is there with a rate and a share of the limit; errors name what is wrong. Times are not looked at.
source tests/cli/lib.bash

expect_status 2 bench --kernels --formats Q4_1,Q9_9
expect_error 'not "Q9_9"'
expect_status 2 bench --kernels --formats ,
expect_status 2 bench --kernels --prompts 8
expect_error "--prompts does not go with it"
expect_status 2 bench --kernels --formats Q4_K
expect_error "not whole Q4_K blocks"

expect_status 0 bench --kernels --formats Q4_1,F32 --seconds 0 --json
python3 - "$out" <<'PY' || fail "the JSON has another form"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["threads"] >= 1 and r["machine"]["bytes_per_s"] > 0 and r["machine_f32"]["flops_per_s"] > 0
seen = {}
for k in r["kernels"]:
    assert set(k) == {"kernel", "part", "format", "rows", "first", "n_out", "n_in", "seconds", "flops_per_s", "bytes_per_s", "limit_share"}, k
    assert k["seconds"] > 0 and k["bytes_per_s"] > 0 and k["limit_share"] > 0, k
    seen.setdefault(k["kernel"], []).append(k)
assert set(seen) == {"matmul", "attention", "rmsnorm", "rope", "swiglu", "add", "kv_store", "logsumexp", "dequantize"}, set(seen)
products = {(k["format"], k["part"], k["rows"]) for k in seen["matmul"]}
for format in "Q4_1", "F32":
    for part in "q", "k", "gate", "down":
        assert {(format, part, M) for M in (1, 8, 32, 128, 512)} <= products
    assert {(format, "logits", M) for M in (1, 8, 32)} <= products
assert {k["format"] for k in seen["attention"]} == {"f16", "q8_0"}
assert len(seen["dequantize"]) == 13
PY
expect_status 0 bench --kernels --formats Q8_0 --seconds 0 -t 1
grep -q "KERNEL.*OF THE LIMIT" "$out" || fail "no table"
grep -q "^matmul gate .*Q8_0.*512.*1536 x 576" "$out" || fail "no row for the gate product"
