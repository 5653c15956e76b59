"""Checks FOLDER/*.wav: form, loudness within 2 dB, no clipped peaks, no clicks at the edges. Exits 1 if something is wrong."""
import glob, os, sys
import numpy as np
import soundfile as sf


def problems(folder):
    wrong, levels, seconds = [], {}, 0.0
    for path in sorted(glob.glob(f"{folder}/*.wav")):
        name = os.path.basename(path)
        info = sf.info(path)
        if (info.samplerate, info.channels, info.subtype) != (16000, 1, "PCM_16"):
            wrong.append(f"{name}: {info.samplerate} Hz, {info.channels} channels, {info.subtype}")
        x, _ = sf.read(path)
        seconds += len(x) / 16000
        power = (x[: len(x) // 320 * 320].reshape(-1, 320) ** 2).mean(1)
        levels[name] = 10 * np.log10(power[power > power.max() * 1e-3].mean())
        if np.abs(x).max() > 10 ** (-2.9 / 20):
            wrong.append(f"{name}: peak {20 * np.log10(np.abs(x).max()):.1f} dBFS")
        if max(np.abs(x[:160]).max(), np.abs(x[-160:]).max()) > 10 ** (-50 / 20):
            wrong.append(f"{name}: starts or ends with a sound")
    values = np.array(list(levels.values()))
    middle = np.median(values)
    wrong += [f"{name}: {level:.1f} dBFS, others {middle:.1f}" for name, level in levels.items() if abs(level - middle) > 1]
    print(f"{len(levels)} prompts, {seconds:.0f} s, {values.min():.1f} to {values.max():.1f} dBFS")
    return wrong


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(found))
    sys.exit(bool(found))
