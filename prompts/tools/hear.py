"""Hears FOLDER/*.wav with a speech recogniser (MODEL folder) and prints the prompts whose words are not those of the table."""
import re, sys
import numpy as np
import soundfile as sf
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio

WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()


def plain(text):
    text = text.lower().replace("voice mail", "voicemail").replace("pass code", "passcode").replace("mail box", "mailbox").replace("p.m", "pm").replace("a.m", "am")
    text = re.sub(r"\b(\d{1,2})\b", lambda m: WORDS[int(m[1])] if int(m[1]) < len(WORDS) else m[1], text)
    return re.sub(r"[^a-z0-9 ]", "", text.replace("-", " ")).split()


model_folder, folder = sys.argv[1:3]
model = WhisperModel(model_folder, device="cpu", compute_type="int8", cpu_threads=2)
different = 0
for line in open(f"{folder}/prompts.tsv", encoding="utf8"):
    name, text = line.rstrip("\n").split("\t")
    audio = decode_audio(f"{folder}/{name}.wav", sampling_rate=16000)
    audio = np.concatenate([np.zeros(4800, "f4"), audio, np.zeros(8000, "f4")])
    segments, _ = model.transcribe(audio, language="en", beam_size=3, condition_on_previous_text=False, initial_prompt="Voicemail prompts: passcode, mailbox, pound, star.")
    heard = " ".join(s.text for s in segments).strip()
    if plain(heard) != plain(text):
        different += 1
        print(f"{name}: {text!r} heard as {heard!r}", flush=True)
print(f"{different} differ")
