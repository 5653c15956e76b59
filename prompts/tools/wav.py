"""WAV files of 16-bit mono PCM that carry their words: a LIST chunk of type INFO with ICMT behind the audio."""
import os, struct, tempfile

RATE = 16000


def chunks(path):
    """Name and content of every chunk."""
    data = open(path, "rb").read()
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def words_of(path):
    """The words a WAV carries, or None."""
    for name, content in chunks(path):
        if name == b"LIST" and content[:8] == b"INFOICMT":
            size = struct.unpack_from("<I", content, 8)[0]
            return content[12 : 12 + size].rstrip(b"\0").decode("utf8")
    return None


def write(path, samples, words):
    """Writes int16 samples and their words, all or nothing."""
    pcm = samples.astype("<i2").tobytes()
    text = words.encode("utf8") + b"\0"
    text += b"\0" * (len(text) % 2)
    info = b"INFOICMT" + struct.pack("<I", len(text)) + text
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    body += b"data" + struct.pack("<I", len(pcm)) + pcm + b"LIST" + struct.pack("<I", len(info)) + info
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(path) or ".", suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(body)) + body)
    os.chmod(partial, 0o644)
    os.rename(partial, path)
