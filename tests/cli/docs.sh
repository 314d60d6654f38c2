# The transcripts in the documentation are what the program prints. Needs the real model; release build only, because it evaluates.
source tests/cli/lib.bash
[ -f "$MODEL" ] || skip "$MODEL is not here; \`hone pull smollm2\` fetches it"
case $HONE in *asan*|*tsan*) skip "evaluating takes long under a sanitizer" ;; esac
HONE_MODELS=$(dirname "$MODEL") HONE=$HONE python3 tools/transcript --check README.md docs/*.md || fail "a document shows another output than the program prints; tools/transcript --update FILE..."
