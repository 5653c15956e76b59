"""Makes the WAVs of one language's table, where they are missing or their words have changed: WORK LANG FOLDER.

A WAV carries its own words (see wav.py), so that what is up to date is left alone to the last byte. What the voice says is
kept in WORK/raw/LANG under a hash of the words, and never spoken twice. A lock lets one of several runs speak at a time.
"""
import fcntl, hashlib, os, sys, tempfile
import soundfile as sf
from loudness import problems
from master import edged, mastered
from wav import words_of, write

# Voice, locale, speed.
VOICES = {"en": ("af_heart", "en-us", 1.0), "fr": ("ff_siwis", "fr-fr", 1.0), "es": ("ef_dora", "es", 1.0)}
# A little slower. Most single words are not: they grow a vowel in front of them ("a six").
SLOW = {"en": ("press-", "day-5"), "fr": (), "es": ()}
# What the voice has to be given so that it says what stands in the table.
SPOKEN = {"fr": {}, "es": {}, "en": {}}


def table(folder):
    """The prompts and their words, in the order of the table; a line that is no prompt stops everything."""
    lines = open(f"{folder}/prompts.tsv", encoding="utf8").read().splitlines()
    rows = [tuple(line.split("\t")) for line in lines]
    wrong = [line for line, row in zip(lines, rows) if len(row) != 2 or not all(row)]
    names = [row[0] for row in rows]
    wrong += sorted({name for name in names if names.count(name) > 1})
    if wrong:
        sys.exit(f"{folder}/prompts.tsv: not an id, a tab and words, or twice there: {wrong}")
    return rows


class Voice:
    def __init__(self, work, lang):
        self.work, self.lang, self.model = work, lang, None
        self.raw = f"{work}/raw/{lang}"
        os.makedirs(self.raw, exist_ok=True)

    def say(self, name, words):
        """The words at 24 kHz, from what was spoken before if it was."""
        voice, locale, speed = VOICES[self.lang]
        if name.startswith(SLOW[self.lang]):
            speed *= 0.9
        words = SPOKEN[self.lang].get(name, words)
        path = f"{self.raw}/{hashlib.sha256(f'{voice} {speed} {words}'.encode()).hexdigest()[:20]}.wav"
        if not os.path.exists(path):
            with open(f"{self.work}/voice.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not os.path.exists(path):
                    self.speak(words, voice, locale, speed, path)
        return path

    def speak(self, words, voice, locale, speed, path):
        if self.model is None:
            from kokoro_onnx import Kokoro

            self.model = Kokoro(f"{self.work}/kokoro.onnx", f"{self.work}/voices.bin")
        samples, rate = self.model.create(words, voice=voice, speed=speed, lang=locale)
        handle, partial = tempfile.mkstemp(dir=self.raw, suffix=".part")
        os.close(handle)
        sf.write(partial, samples.astype("f4"), rate, format="WAV", subtype="FLOAT")
        os.rename(partial, path)


work, lang, folder = sys.argv[1:4]
rows = table(folder)
voice = Voice(work, lang)
made = 0
for name, words in rows:
    target = f"{folder}/{name}.wav"
    if os.path.exists(target) and words_of(target) == words:
        # Only the silence around it may be another than it was.
        samples, _ = sf.read(target, dtype="int16")
        right = edged(samples, name, words)
        if len(right) != len(samples):
            write(target, right, words)
        continue
    write(target, mastered(voice.say(name, words), name, words), words)
    made += 1
    print(f"{name}: {words}", flush=True)
strays = {entry[:-4] for entry in os.listdir(folder) if entry.endswith(".wav")} - {name for name, _ in rows}
wrong = problems(folder) + [f"{name}.wav: not in the table" for name in sorted(strays)]
print(f"{lang}: {len(rows)} prompts, {made} made")
print("\n".join(wrong))
sys.exit(bool(wrong))
