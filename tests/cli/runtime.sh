# hone-runtime needs nothing of the machine: no dynamic libraries, and it answers in a folder that holds only it and a model.
source tests/cli/lib.bash
runtime=$(dirname "$HONE")/hone-runtime
[ -x "$runtime" ] || skip "hone-runtime is not built here (sanitizers, or a static library is missing)"
echo "hone-runtime: $(stat -c %s "$runtime") bytes"
if command -v readelf >/dev/null; then
    readelf -d "$runtime" | grep -q NEEDED && fail "it needs dynamic libraries"
    readelf -l "$runtime" | grep -q INTERP && fail "it needs a dynamic loader"
fi
! ldd "$runtime" >/dev/null 2>&1 || fail "ldd finds libraries in it"

HONE=$runtime expect_status 2 pull smollm2
HONE=$runtime expect_status 0 version --json
expect_json "r['name'] == 'hone'"

small=$SHARED/models/llama-2-tiny-random.gguf
[ -f "$small" ] && MODEL=$small
need_model
mkdir "$tmp/empty"
cp "$runtime" "$tmp/empty/hone"
cp "$MODEL" "$tmp/empty/model.gguf"
inside=()
[ "$(id -u)" = 0 ] || inside=(unshare --user --map-root-user)
"${inside[@]}" chroot "$tmp/empty" /hone version >/dev/null 2>&1 || skip "no rights to chroot here; that it is static was checked"
"${inside[@]}" chroot "$tmp/empty" /hone complete -m /model.gguf --raw "The capital of France is" --max-tokens 8 --json >"$tmp/inside" || fail "no answer in an empty root"
"$HONE" complete -m "$MODEL" --raw "The capital of France is" --max-tokens 8 --json >"$tmp/outside" || fail "hone complete"
python3 - "$tmp/inside" "$tmp/outside" <<'PY' || fail "the two programs' tokens differ"
import json, sys
inside, outside = (json.load(open(path, encoding="utf-8"))["tokens"] for path in sys.argv[1:])
sys.exit(inside != outside or len(inside) == 0)
PY
