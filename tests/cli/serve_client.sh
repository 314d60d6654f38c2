# The official `openai` Python client against the server; skipped where the client is not installed. HONE_OPENAI_PYTHON names a Python that has it.
source tests/cli/lib.bash
source tests/cli/serve.bash
python=${HONE_OPENAI_PYTHON:-python3}
"$python" -c 'import openai, pydantic' 2>/dev/null || skip "the openai client is not installed for $python (HONE_OPENAI_PYTHON names another)"
need_model
serve -m "$MODEL"
"$python" "$ROOT/tests/support/openai_client.py" "$url" || fail "openai_client.py"
stop_server 0
