"""The same model and texts as `local.rs`, in PyTorch: python3 pytorch.py FOLDER_OF_THE_MODEL. Needs torch and transformers.

Batches of texts of like length, as sentence-transformers makes them; mean pooling, vectors of length 1.
"""

import json
import pathlib
import sys
import time

import torch
from transformers import AutoTokenizer, BertModel

SECONDS = 5
HERE = pathlib.Path(__file__).parent


def texts():
    sample = json.loads((HERE / "../../telesift/sample/export.json").read_text())
    messages = [m for chat in sample["chats"]["list"] for m in chat["messages"]]
    short = [m["text"] for m in messages if isinstance(m.get("text"), str) and m["text"]]
    yield "short: the sample's messages", short
    fixture = json.loads((HERE / "../tests/fixtures/all-minilm-l6-v2.json").read_text())
    yield "mixed: posts and messages", fixture["texts"]


def embed(model, tokenizer, texts, size):
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    vectors = [None] * len(texts)
    for at in range(0, len(order), size):
        part = order[at : at + size]
        tokens = tokenizer([texts[i] for i in part], padding=True, truncation=True, max_length=256, return_tensors="pt")
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        means = (hidden * mask).sum(1) / mask.sum(1)
        for i, vector in zip(part, torch.nn.functional.normalize(means)):
            vectors[i] = vector
    return vectors


def main():
    folder = sys.argv[1]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), BertModel.from_pretrained(folder).eval()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print("| texts | batch | messages/s | messages per second of CPU |\n|---|---|---|---|")
    for name, corpus in texts():
        for size in (8, 16, 32, 64):
            with torch.inference_mode():
                embed(model, tokenizer, corpus, size)
                started, cpu, n = time.time(), time.process_time(), 0
                while time.time() - started < SECONDS and time.process_time() - cpu < SECONDS:
                    embed(model, tokenizer, corpus, size)
                    n += len(corpus)
                seconds, cpu = time.time() - started, time.process_time() - cpu
            print(f"| {name} | {size} | {n / seconds:.0f} | {n / cpu:.0f} |", flush=True)


main()
