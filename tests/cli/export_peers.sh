# What leaves for transformers and PEFT gives the same log-probabilities there, and what PEFT made gives them here: exported folders, exported and trained
# adapters, PEFT's own with rank-stabilised scaling, DoRA and few targets. HONE_PEER_PYTHON names a Python with torch, transformers and peft; skipped without.
# HONE_PEER_MODEL: a GGUF file to do it with instead of the tiny model.
source tests/cli/lib.bash
python=${HONE_PEER_PYTHON:-}
[ -n "$python" ] && [ -x "$python" ] || skip "HONE_PEER_PYTHON names no Python with torch, transformers and peft: nothing is compared with them here"
need_shared goldens/train/lora_final
base=${HONE_PEER_MODEL:-$SHARED/goldens/tiny/llama/model.gguf}
expect_status 0 export --model "$base" --type f32 -o "$tmp/base"
source tests/cli/tune_project.bash
make_project "$tmp/project"
tiny=$(realpath "$SHARED/goldens/tiny/llama/model.gguf")
(cd "$tmp/project" && for more in "" "--alpha 3 --rank-stabilised"; do "$HONE" tune --prompt a --base "$tiny" --epochs 2 $more --json >"$tmp/stdout" 2>&1 || exit 1; done) ||
    fail "hone tune: $(cat "$tmp/stdout")"
OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HONE=$HONE GGUF=$base "$python" - "$tmp" "$SHARED/goldens/train/lora_final" "$tmp"/project/.hone/models/*/adapter <<'PY' || fail "transformers or PEFT say otherwise"
import json, os, subprocess, sys
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.manual_seed(3)
torch.set_num_threads(1)
tmp, golden = sys.argv[1:3]
ids, n_new, top = [5, 9, 33, 70], 8, 10

def hone(*args):
    r = subprocess.run([os.environ["HONE"], *args, "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == 0, (args, r.stdout, r.stderr)
    return json.loads(r.stdout)

def ours(model):
    return hone("complete", "-m", model, "--ids", ",".join(map(str, ids)), "--max-tokens", str(n_new), "--temperature", "0", "--logprobs", str(top))["tokens"]

def same(what, theirs, *models):
    """Their log-probabilities along our greedy text, against ours; the KV cache here is f16."""
    for name in models:
        tokens = ours(name)
        with torch.no_grad():
            logits = theirs(torch.tensor([ids + [t["id"] for t in tokens]])).logits[0].float()
        worst = 0
        for i, token in enumerate(tokens):
            want = torch.log_softmax(logits[len(ids) - 1 + i], -1)
            for t in [token, *token["top"]]:
                worst = max(worst, abs(t["logprob"] - want[t["id"]].item()))
            assert want[token["id"]] > want.max() - 0.02, (what, name, i)
        print(f"{what}: {os.path.basename(name)}: at most {worst:.4f} nats apart")
        assert len(tokens) >= 1 and worst < 0.03, (what, name, worst)

def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

base = tmp + "/base"
plain = load(base)
same("the exported folder", plain, base)
text = "It's 12 na\u00efve tests:  x=[0]; <|im_start|>user\nhi<|im_end|>"
tokenizer = AutoTokenizer.from_pretrained(base)
assert tokenizer(text, add_special_tokens=False)["input_ids"] == hone("tokens", "-m", base, "--raw", text, "--special")["ids"], "tokens"

if plain.config.hidden_size == 64:  # the adapter that the tiny model has
    hone("export", "--model", f"{base}+{golden}", "--to", "gguf-adapter", "-o", tmp + "/golden.gguf")
    hone("export", "--model", f"{base}+{tmp}/golden.gguf", "--to", "peft", "--base-name", base, "-o", tmp + "/golden")
    assert json.load(open(tmp + "/golden/adapter_config.json"))["base_model_name_or_path"] == base
    same("an adapter that went to GGUF and back", PeftModel.from_pretrained(load(base), tmp + "/golden").eval(), f"{base}+{golden}", f"{base}+{tmp}/golden.gguf")

if plain.config.hidden_size == 64:  # one that was trained here
    for tuned in sys.argv[3:]:
        same("trained here", PeftModel.from_pretrained(load(base), tuned).eval(), f"{base}+{tuned}")

kinds = {"all": dict(target_modules="all-linear"), "stable": dict(target_modules=["q_proj", "k_proj"], use_rslora=True),
         "dora": dict(target_modules=["q_proj", "v_proj", "down_proj"], use_dora=True)}
for name, settings in kinds.items():
    model = get_peft_model(load(base), LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **settings))
    for key, p in model.named_parameters():
        if "lora_B" in key: torch.nn.init.normal_(p, std=0.02)
        if "magnitude" in key: p.data *= 1 + 0.1 * torch.rand_like(p)
    model.eval()
    folder = f"{tmp}/{name}"
    model.save_pretrained(folder)
    gguf = os.environ["GGUF"]
    hone("export", "--model", f"{base}+{folder}", "--type", "f32", "-o", folder + "-merged")
    hone("export", "--model", f"{base}+{folder}", "--to", "gguf", "--type", "f32", "-o", folder + "-merged.gguf")
    models = [f"{base}+{folder}", folder + "-merged", folder + "-merged.gguf"]
    if name != "dora":
        hone("export", "--model", f"{base}+{folder}", "--to", "gguf-adapter", "-o", folder + ".gguf")
        models.append(f"{base}+{folder}.gguf")
    if plain.config.hidden_size == 64: models.append(f"{gguf}+{folder}")
    same(f"PEFT's {name}", model, *models)
    same(f"PEFT's {name}, merged here", load(folder + "-merged"), folder + "-merged")
PY
