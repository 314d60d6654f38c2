#!/usr/bin/env python3
"""PyTorch (with PEFT where there is a rank) on one batch: what bench/train runs beside build/bench_train. Prints one JSON object.

    train_peer.py FOLDER --shape 8x128 --ids FILE --type bf16|f32 [--rank 16] [--steps 3] [--seconds 25] [--threads 2] [--cases 4]

FOLDER is a Hugging Face model. The batch is the one bench_train has: the same ids, each token's target the next one of its sequence; with a
shape such as 460+32x35 every sequence is written out in full (460 + 35 tokens), only its last 5 tokens are supervised, and a step takes --cases of
them. A step is forward, backward and a fused AdamW step; --seconds stops early, but not before one step after the first, which does not count.
All numbers are of the type asked for, adapters and optimizer too: in bf16 that is the fastest way PEFT has, if not the most careful."""
import argparse, json, os, pathlib, statistics, time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import torch
from transformers import AutoModelForCausalLM

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ANSWER_TOKENS = 5


def read_batch(options):
    prefix, rest = options.shape.split("+") if "+" in options.shape else ("0", options.shape)
    prefix, (sequences, length) = int(prefix), map(int, rest.split("x"))
    ids = [int(word) for word in pathlib.Path(options.ids).read_text().split()]
    if len(ids) != prefix + sequences * length:
        raise SystemExit(f"{options.ids} does not hold the {prefix + sequences * length} ids of {options.shape}")
    own = torch.tensor(ids[prefix:]).view(sequences, length)
    if not prefix:
        return own, own.clone()
    own = own[: options.cases]
    batch = torch.cat([torch.tensor(ids[:prefix]).expand(len(own), prefix), own], 1)
    labels = torch.full_like(batch, -100)
    labels[:, -ANSWER_TOKENS:] = batch[:, -ANSWER_TOKENS:]
    return batch, labels


def make_model(options):
    model = AutoModelForCausalLM.from_pretrained(options.folder, dtype={"bf16": torch.bfloat16, "f32": torch.float32}[options.type])
    if options.rank:
        from peft import LoraConfig, get_peft_model
        config = LoraConfig(r=options.rank, lora_alpha=32, target_modules=TARGETS, task_type="CAUSAL_LM")
        model = get_peft_model(model, config, autocast_adapter_dtype=False)
    model.config.use_cache = False
    return model.train()


def peak_bytes():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--shape", required=True)
    parser.add_argument("--ids", required=True)
    parser.add_argument("--type", choices=["bf16", "f32"], required=True)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cases", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    ids, labels = read_batch(options)
    model = make_model(options)
    adam = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, weight_decay=0.0, fused=True)
    times, losses, began = [], [], time.monotonic()
    while len(times) <= options.steps and (len(times) < 2 or time.monotonic() - began < options.seconds):
        started = time.monotonic()
        adam.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        adam.step()
        losses.append(loss.item())
        times.append(time.monotonic() - started)
    print(json.dumps({"rows": ids.numel(), "cases": len(ids), "steps": len(times) - 1, "median_s": statistics.median(times[1:]),
                      "lowest_s": min(times[1:]), "highest_s": max(times[1:]), "memory_bytes": peak_bytes(), "first_loss": losses[0],
                      "last_loss": losses[-1], "torch": torch.__version__}))


main()
