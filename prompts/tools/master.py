"""Turns what the voice said into a prompt: 16 kHz 16-bit mono, trimmed, even loudness, no clipped peaks, silent edges."""
import subprocess, tempfile
import numpy as np
import soundfile as sf

RATE = 16000
HIGHPASS_HZ = 80
ACTIVE_RMS_DBFS = -20.0
PEAK_DBFS = -3.0
# Seconds of silence before and after: around a sentence, and where a phrase goes on.
LEAD, CLOSE_LEAD = 0.05, 0.02
TAIL, CLOSE_TAIL = 0.05, 0.03
INSIDE = ("number-", "digit-", "oh-", "day-", "press-", "and-saved-", "hour-", "past-")
INSIDE_NAMES = (
    "am pm noon midnight at and from from-private-caller from-unknown-number today-at yesterday-at minute minutes you-have "
    "reached reached-number new-messages new-messages-and saved-messages passcode-needs digits length second-long seconds-long "
    "minute-long minutes-long monday-at tuesday-at wednesday-at thursday-at friday-at saturday-at sunday-at january february "
    "march april may june july august september october november december in-the-morning in-the-afternoon in-the-evening "
    "hours hundred-hours thousand"
).split()


def silences(name, words):
    """The silence before and after a prompt. Parts of numbers, dates and times, and whatever the words leave open, without any mark
    at their end, follow closely what is before them; and so does what is after them, unless a full stop ends the phrase."""
    inside = name.startswith(INSIDE) or name in INSIDE_NAMES or words[-1].isalnum()
    return (CLOSE_LEAD if inside else LEAD), (CLOSE_TAIL if inside and words[-1] not in ".?!:" else TAIL)


def edged(samples, name, words):
    """The prompt with the silence around it that it should have."""
    sound = np.nonzero(samples)[0]
    lead, tail = (np.zeros(int(seconds * RATE), "i2") for seconds in silences(name, words))
    return np.concatenate([lead, samples[sound[0] : sound[-1] + 1], tail])


def frames_power(x, seconds):
    n = int(seconds * RATE)
    m = len(x) // n
    return (x[: m * n].reshape(m, n) ** 2).mean(1)


def active_rms_db(x):
    """Mean power of the 20 ms frames within 30 dB of the loudest one."""
    power = frames_power(x, 0.02)
    return 10 * np.log10(power[power > power.max() * 1e-3].mean() + 1e-12)


def trim(x):
    power = 10 * np.log10(frames_power(x, 0.01) + 1e-12)
    loud = np.where(power > power.max() - 45)[0]
    n = int(0.01 * RATE)
    y = x[max(0, loud[0] * n - int(0.03 * RATE)) : min(len(x), (loud[-1] + 1) * n + int(0.05 * RATE))].copy()
    fade = int(0.008 * RATE)
    y[:fade] *= np.linspace(0, 1, fade)
    y[-fade:] *= np.linspace(1, 0, fade)
    return y


def limit(y):
    """Soft limiter: lowers the gain smoothly around peaks instead of clipping them."""
    ceiling = 10 ** (PEAK_DBFS / 20)
    if np.abs(y).max() <= ceiling:
        return y
    width = int(0.005 * RATE)
    around = np.maximum.reduce([np.roll(np.abs(y), s) for s in range(-width, width + 1, max(1, width // 8))])
    gain = np.minimum(1, ceiling / np.maximum(around, 1e-9))
    return np.clip(y * np.convolve(gain, np.ones(width) / width, "same"), -ceiling, ceiling)


def mastered(path, name, words):
    """The prompt as int16, from a WAV of the voice. Loudness is set again after limiting, which takes a little of it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as t:
        convert = ["-b", "32", "-e", "float", "-c", "1", t.name, "highpass", str(HIGHPASS_HZ), "rate", "-v", str(RATE)]
        subprocess.run(["sox", "-V1", "-D", path, *convert], check=True)
        x, _ = sf.read(t.name)
    y = trim(x)
    for _ in range(4):
        y = limit(y * 10 ** ((ACTIVE_RMS_DBFS - active_rms_db(y)) / 20))
    noise = np.random.default_rng(1)
    dither = (noise.random(len(y)) - noise.random(len(y))) / 32768
    pcm = np.clip(np.round((y + dither * (np.abs(y) > 0)) * 32768), -32768, 32767).astype("i2")
    return edged(pcm, name, words)
