# hone pull: whole files only, resumed, verified; every failure with its remedy. A loopback server misbehaves on purpose.
source tests/cli/lib.bash
export HONE_MODELS=$tmp/models
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

# a GGUF file with 3 MB of bytes in one array, and its hash
mkdir "$tmp/www"
python3 - "$tmp/www/a.gguf" <<'PY'
import random, struct, sys
def text(s): return struct.pack("<Q", len(s)) + s.encode()
blob = random.Random(7).randbytes(3_000_000)
kv = text("general.architecture") + struct.pack("<I", 8) + text("llama") + text("test.blob") + struct.pack("<IIQ", 9, 0, len(blob)) + blob
open(sys.argv[1], "wb").write(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + kv)
PY
hash=$(sha256sum "$tmp/www/a.gguf" | cut -d' ' -f1)
wrong=${hash//[0-9]/0}
for n in cut cutonce norange changed weak slow redirect; do cp "$tmp/www/a.gguf" "$tmp/www/$n.gguf"; done
head -c 2000000 "$tmp/www/a.gguf" >"$tmp/www/short.gguf"

python3 tests/cli/range_server.py "$tmp/www" "$tmp/port" "$tmp/log" 2>/dev/null &
server=$!
trap 'kill $server 2>/dev/null; rm -rf "$tmp"' EXIT
for _ in $(seq 100); do [ -s "$tmp/port" ] && break; sleep 0.05; done
base=http://127.0.0.1:$(cat "$tmp/port")

same() { cmp -s "$HONE_MODELS/$1" "$tmp/www/a.gguf" || fail "$1 is not the file that was fetched" 1; }
clean() { [ -z "$(find "$HONE_MODELS" -name '*.part*' -o -name '*.lock' -o -name '*.pip')" ] || fail "left behind: $(ls -A "$HONE_MODELS")" 1; }

# bad usage
expect_status 2 pull
expect_error "something is missing"
expect_status 2 pull "$base/plain/a.gguf"
expect_error "needs --sha256"
expect_status 2 pull "$base/plain/a.gguf" --sha256 xyz
expect_error "is not a SHA-256"
expect_status 2 pull http://example.org/a.gguf --sha256 "$hash"
expect_error "only https addresses"
expect_status 2 pull http://127.0.0.1.example.org/a.gguf --sha256 "$hash"
expect_error "only https addresses"
expect_status 2 pull http://127.0.0.1@example.org/a.gguf --sha256 "$hash"
expect_error "only https addresses"
expect_json_error not_found 2 pull smolm2
expect_json "'smollm2' in r['error']['hint']"

# a whole download, then nothing to do
expect_status 0 pull "$base/plain/a.gguf" --sha256 "$hash"
same a.gguf
clean
expect_status 0 pull "$base/plain/a.gguf" --sha256 "$hash" --json
expect_json "r['bytes'] == $(stat -c %s "$tmp/www/a.gguf")"
[ "$(grep -c plain "$tmp/log")" = 1 ] || fail "a file that is there was fetched again"
expect_json_error exists 2 pull "$base/plain/a.gguf" --sha256 "$wrong"
expect_status 0 pull "$base/redirect/redirect.gguf?token=secret" --sha256 "$hash"
same redirect.gguf

# cut connections are taken up where they broke
expect_status 0 pull "$base/cut/cut.gguf" --sha256 "$hash"
same cut.gguf
grep -q '^cut bytes=1000' "$tmp/log" || fail "it did not resume: $(cat "$tmp/log")"
for kind in norange changed weak; do
    expect_status 0 pull "$base/$kind/$kind.gguf" --sha256 "$hash"
    same $kind.gguf
done
clean

# Ctrl-C in mid-download: status 130, the part is kept, the next call goes on from it
"$HONE" pull "$base/slow/slow.gguf" --sha256 "$hash" 2>"$tmp/stderr" &
child=$!
for _ in $(seq 100); do [ "$(stat -c %s "$HONE_MODELS/slow.gguf.part" 2>/dev/null || echo 0)" -ge 65536 ] && break; sleep 0.05; done
kill -INT $child
wait $child
[ $? = 130 ] || fail "Ctrl-C did not end it with 130"
[ "$(stat -c %s "$HONE_MODELS/slow.gguf.part")" = 65536 ] || fail "the part is not kept"
[ ! -e "$HONE_MODELS/slow.gguf" ] || fail "a part has the final name"
expect_status 0 pull "$base/slow/slow.gguf" --sha256 "$hash"
same slow.gguf
grep -q '^slow bytes=65536-' "$tmp/log" || fail "it did not go on after Ctrl-C"
clean

# what the server or the network does wrong
expect_json_error hash_mismatch 8 pull "$base/plain/short.gguf" --sha256 "$hash"
[ ! -e "$HONE_MODELS/short.gguf" ] && [ ! -e "$HONE_MODELS/short.gguf.part" ] || fail "a wrong file was kept"
expect_status 7 pull "$base/missing/b.gguf?token=secret" --sha256 "$hash"
expect_error "no such file (HTTP 404)"
grep -q secret "$errors" && fail "the query is shown"
expect_status 7 pull "$base/deny/b.gguf" --sha256 "$hash"
expect_error "HTTP 403"
expect_status 7 pull "$base/loop/b.gguf" --sha256 "$hash"
expect_status 7 pull "$base/away/b.gguf" --sha256 "$hash"
expect_status 7 pull http://127.0.0.1:1/b.gguf --sha256 "$hash"
expect_error "cannot be reached"

# a local path: copied, checked, no model file is refused
cp "$tmp/www/a.gguf" "$tmp/local.gguf"
expect_status 0 pull "$tmp/local.gguf"
same local.gguf
expect_json_error hash_mismatch 8 pull "$tmp/local.gguf" --sha256 "$wrong"
echo "not a model" >"$tmp/text.gguf"
expect_status 2 pull "$tmp/text.gguf"
[ ! -e "$HONE_MODELS/text.gguf" ] || fail "a file that is no model was kept"
expect_json_error not_found 2 pull "$tmp/nowhere/x.gguf"

# two at once: the second waits for nobody and says so
(flock 9; sleep 3) 9>"$HONE_MODELS/.busy.gguf.lock" &
cp "$tmp/www/a.gguf" "$tmp/www/busy.gguf"
sleep 0.3
expect_json_error busy 9 pull "$base/plain/busy.gguf" --sha256 "$hash"

# a full disk, on a small file system of its own where we may mount one
mkdir "$tmp/small"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=1m tmpfs "$tmp/small" 2>/dev/null; then
    HONE_MODELS=$tmp/small expect_json_error disk_full 5 pull "$base/plain/a.gguf" --sha256 "$hash"
    HONE_MODELS=$tmp/small expect_json_error disk_full 5 pull "$tmp/local.gguf"
    HONE_MODELS=$tmp/small expect_json_error disk_full 5 pull smollm2
    umount "$tmp/small"
fi

# no python3 and no network: each source's reason, and what to do
PATH=/nonexistent https_proxy=http://127.0.0.1:1 HONE_MODELS=$tmp/none "$HONE" pull smollm2 >"$tmp/stdout" 2>"$tmp/stderr"
[ $? = 7 ] || fail "without python3 and network: $(cat "$tmp/stderr")"
errors=$tmp/stderr
expect_error "python3 is not on this machine"
expect_error "cannot be reached"
expect_error "  do: install python3"
exit 0
