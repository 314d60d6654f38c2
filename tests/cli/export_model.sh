# hone export --model: a merged folder that hone reads again, a Modelfile for Ollama, what is refused.
source tests/cli/lib.bash

expect_status 2 export
expect_error "--model is needed"
expect_status 2 export --model x
expect_error "-o FOLDER"
expect_status 2 export r7 --model x -o "$tmp/o"
expect_json_error not_found 2 export --model "$tmp/none.gguf" -o "$tmp/o"

if [ -e "$SHARED/goldens/train/lora_final" ]; then
    tiny=$SHARED/goldens/tiny/llama/model.gguf adapter=$SHARED/goldens/train/lora_final
    expect_status 0 export --model "$tiny+$adapter" --type f32 -o "$tmp/tiny" --json
    expect_json "r['merged'] == 14 and r['tensors'] == 20 and r['adapter'] and r['type'] == 'f32' and r['tokenizer']"
    expect_json_error exists 2 export --model "$tiny" -o "$tmp/tiny"
    expect_json_error not_found 2 export --model "$tiny+$tmp/none" -o "$tmp/o"
fi

need_model
expect_status 0 export --model "$MODEL" --to ollama -o "$tmp/real"
expect_in_out "ollama create"
for f in config.json generation_config.json tokenizer.json tokenizer_config.json model.safetensors Modelfile; do
    [ -s "$tmp/real/$f" ] || fail "$f is missing"
done
grep -qx 'FROM \.' "$tmp/real/Modelfile" || fail "FROM"
grep -qF 'PARAMETER stop "<|im_end|>"' "$tmp/real/Modelfile" || fail "stop"
grep -qF '{{ else if eq .Role "user" }}<|im_start|>user' "$tmp/real/Modelfile" || fail "TEMPLATE"
grep -qF 'SYSTEM """You are a helpful AI assistant' "$tmp/real/Modelfile" || fail "SYSTEM"

# the folder has the GGUF file's tokens and template, and nearly its numbers (bf16 against Q4_1's exact values)
text="Naïve 3.14 tests: don't 日本 x=[0];  end"
expect_status 0 tokens -m "$MODEL" --raw "$text" --json && cp "$out" "$tmp/a"
expect_status 0 tokens -m "$tmp/real" --raw "$text" --json
A=$tmp/a expect_json "r['ids'] == json.load(open(os.environ['A']))['ids'] and len(r['ids']) > 10"
score=(--user "Is Paris in France? Answer yes or no." --label yes --label no --json)
expect_status 0 score -m "$MODEL" "${score[@]}" && cp "$out" "$tmp/a"
expect_status 0 score -m "$tmp/real" "${score[@]}"
A=$tmp/a expect_json "all(abs(x['logprob'] - y['logprob']) < 0.3 and x['ids'] == y['ids'] for x, y in zip(r['labels'], json.load(open(os.environ['A']))['labels']))"
