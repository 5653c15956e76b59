"""A telephone made of PJSIP, which does the steps it is given and fails when one of them fails.

pjsip_phone.py [--user 1001 --password-file FILE] [--registrar URI] [--transport udp|tcp|tls] [--srtp] [--codec PCMU] STEP...

    register        registers, and waits for the 200
    dial=URI        calls, and waits for the answer
    press=KEYS      presses keys by RFC 4733
    say=FILE        speaks a WAV (16 bit, mono, 8 or 16 kHz) to its end
    record=FILE     records what is heard from here on into a WAV
    wait=SECONDS    waits
    hangup          hangs up, and waits for the end
    answer=STATUS   waits for a call, and answers it with this status
    transferred     waits until the other side has asked to call somebody else, which PJSIP does by itself, and goes on with the
                    first call
    over            waits until every call is over
    mwi=TEXT        waits until the latest message-summary has this text in it
    unregister      unregisters
"""

import argparse
import os
import sys
import time

import pjsua2 as pj

PATIENCE = 60

parser = argparse.ArgumentParser()
parser.add_argument("--user", default="2025550143")
parser.add_argument("--password-file")
parser.add_argument("--registrar")
parser.add_argument("--transport", default="udp")
parser.add_argument("--srtp", action="store_true")
parser.add_argument("--codec", default="PCMU")
parser.add_argument("steps", nargs="+")
wish = parser.parse_args()


class Account(pj.Account):
    status = 0
    expires = 0
    summary = ""

    def onRegState(self, state):
        self.status = state.code
        self.expires = state.expiration

    def onMwiInfo(self, info):
        self.summary = info.rdata.wholeMsg

    def onIncomingCall(self, info):
        incoming.append(Call(self, info.callId))


class Call(pj.Call):
    state = "NULL"
    status = 0
    audio = None

    def onCallTransferRequest(self, request):
        transferred.append(request.dstUri)

    def onCallState(self, _):
        info = self.getInfo()
        self.state, self.status = info.stateText, info.lastStatusCode

    def onCallMediaState(self, _):
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.audio = self.getAudioMedia(index)


# Calls that came in; whom we were asked to call; and calls that PJSIP thinks are the ones that it has made since.
incoming, transferred, mistaken = [], [], []


def until(what, done, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"waited {patience} s until {what}")
        endpoint.libHandleEvents(10)


def pause(seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        endpoint.libHandleEvents(10)


def length(file):
    import wave

    with wave.open(file) as wav:
        return wav.getnframes() / wav.getframerate()


endpoint = pj.Endpoint()
endpoint.libCreate()
settings = pj.EpConfig()
settings.uaConfig.threadCnt = 0
settings.uaConfig.mainThreadOnly = True
settings.logConfig.level = 4
settings.logConfig.consoleLevel = 4
settings.medConfig.noVad = True
settings.medConfig.ecTailLen = 0
endpoint.libInit(settings)
socket = pj.TransportConfig()
socket.boundAddress = "127.0.0.1"
kinds = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
listening = endpoint.transportCreate(kinds[wish.transport], socket)
endpoint.libStart()
print("listening", endpoint.transportGetInfo(listening).localName, flush=True)
endpoint.audDevManager().setNullDev()
for codec in endpoint.codecEnum2():
    endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith(wish.codec + "/") else 0)

account_settings = pj.AccountConfig()
account_settings.idUri = f"sip:{wish.user}@127.0.0.1"
if wish.password_file:
    password = open(wish.password_file).read().strip()
    account_settings.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", wish.user, 0, password))
if wish.registrar:
    account_settings.regConfig.registrarUri = wish.registrar
    account_settings.regConfig.registerOnAdd = False
    # A subscription goes to the account's own address, which says neither port nor transport.
    account_settings.sipConfig.proxies.append(wish.registrar + ";lr")
    account_settings.mwiConfig.enabled = any(step.startswith("mwi=") for step in wish.steps)
if wish.srtp:
    account_settings.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
    account_settings.mediaConfig.srtpSecureSignaling = 0
account_settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
account = Account()
account.create(account_settings)

call = player = recorder = None
for step in wish.steps:
    verb, _, value = step.partition("=")
    print("step", verb, flush=True)
    if verb == "register":
        account.setRegistration(True)
        until("it is registered", lambda: account.status >= 200)
        if account.status != 200:
            sys.exit(f"the registration was refused: {account.status}")
    elif verb == "unregister":
        account.status = 0
        account.setRegistration(False)
        until("it is unregistered", lambda: account.status >= 200)
    elif verb == "mwi":
        until(f"the lamp's counts are {value}; the last were:\n{account.summary}", lambda: value in account.summary)
    elif verb == "dial":
        call = Call(account)
        call.makeCall(value, pj.CallOpParam(True))
        until("the call is answered", lambda: call.state in ("CONFIRMED", "DISCONNCTD"))
        if call.state != "CONFIRMED":
            sys.exit(f"the call was refused: {call.status}")
        until("there is audio", lambda: call.audio is not None)
    elif verb == "press":
        for key in value:
            call.dialDtmf(key)
            pause(0.4)
    elif verb == "say":
        player = pj.AudioMediaPlayer()
        player.createPlayer(value, pj.PJMEDIA_FILE_NO_LOOP)
        player.startTransmit(call.audio)
        pause(length(value) + 0.3)
    elif verb == "record":
        recorder = pj.AudioMediaRecorder()
        recorder.createRecorder(value)
        call.audio.startTransmit(recorder)
    elif verb == "wait":
        pause(float(value))
    elif verb == "hangup":
        call.hangup(pj.CallOpParam(True))
        until("the call is over", lambda: not call.isActive())
    elif verb == "answer":
        until("somebody calls", lambda: incoming)
        call = incoming.pop(0)
        answer = pj.CallOpParam()
        answer.statusCode = int(value)
        call.answer(answer)
        until("the call is answered", lambda: call.state in ("CONFIRMED", "DISCONNCTD"))
    elif verb == "transferred":
        first = call.getId()
        until("we are asked to call somebody else", lambda: transferred)
        mistaken.append(call)
        call = Call(account, first)
        call.audio = mistaken[-1].audio
    elif verb == "over":
        until("every call is over", lambda: not any(one.isActive() for one in [call, *mistaken]))
    else:
        sys.exit(f"no such step: {step}")

# The recorder writes its file's end when it goes. The rest goes with the process: PJSIP aborts in the order in which Python would
# take it apart.
player = recorder = None
pause(0.5)
print("done", flush=True)
os._exit(0)
