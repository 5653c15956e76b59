"""Speaks every line of a table (id<TAB>text) into OUT/<id>.wav, 24 kHz mono float. What is already there is kept."""
import os, sys
import soundfile as sf
from kokoro_onnx import Kokoro

VOICES = {"en": ("af_heart", "en-us", 1.0)}
# A little slower. Most single words are not: they grow a vowel in front of them ("a six").
SLOW = ("press-", "day-5")

work, lang, table, out = sys.argv[1:5]
kokoro = Kokoro(f"{work}/kokoro.onnx", f"{work}/voices.bin")
voice, locale, speed = VOICES[lang]
os.makedirs(out, exist_ok=True)
for line in open(table, encoding="utf8"):
    name, text = line.rstrip("\n").split("\t")
    target = f"{out}/{name}.wav"
    if os.path.exists(target):
        continue
    samples, rate = kokoro.create(text, voice=voice, speed=speed * (0.9 if name.startswith(SLOW) else 1.0), lang=locale)
    sf.write(target, samples.astype("f4"), rate, subtype="FLOAT")
