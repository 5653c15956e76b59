"""Hears FOLDER/*.wav with a speech recogniser (MODEL folder) and prints the prompts whose words are not those of the table.

MODEL FOLDER [ID...]: only these prompts, if any are named. The language is the folder's name.
"""
import os, re, sys, unicodedata
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio

NUMBERS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve".split(),
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize".split(),
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince".split(),
}
HINTS = {
    "en": "Voicemail prompts: passcode, mailbox, pound, star.",
    "fr": "Messagerie vocale : code secret, annonce, dièse, étoile.",
    "es": "Buzón de voz: clave, saludo, almohadilla, asterisco.",
}


def plain(text, language):
    text = text.lower().replace("voice mail", "voicemail").replace("pass code", "passcode").replace("mail box", "mailbox").replace("p.m", "pm").replace("a.m", "am")
    words = NUMBERS[language]
    text = re.sub(r"\b(\d{1,2})\b", lambda m: words[int(m[1])] if int(m[1]) < len(words) else m[1], text)
    text = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9 ]", "", text.replace("-", " ").replace("'", " ").replace("’", " ")).split()


model_folder, folder, *wanted = sys.argv[1:]
language = os.path.basename(os.path.normpath(folder))
model = WhisperModel(model_folder, device="cpu", compute_type="int8", cpu_threads=2)
different = 0
for line in open(f"{folder}/prompts.tsv", encoding="utf8"):
    name, text = line.rstrip("\n").split("\t")
    if wanted and name not in wanted:
        continue
    audio = decode_audio(f"{folder}/{name}.wav", sampling_rate=16000)
    audio = np.concatenate([np.zeros(4800, "f4"), audio, np.zeros(8000, "f4")])
    segments, _ = model.transcribe(audio, language=language, beam_size=3, condition_on_previous_text=False, initial_prompt=HINTS[language])
    heard = " ".join(s.text for s in segments).strip()
    if plain(heard, language) != plain(text, language):
        different += 1
        print(f"{name}: {text!r} heard as {heard!r}", flush=True)
print(f"{different} differ")
