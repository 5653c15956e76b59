// A telephone in a page: JsSIP, with the page's own audio for a microphone, and everything that is heard kept as samples. What it
// says and hears is mono at 8000 Hz, as 16-bit numbers in base64.
'use strict';

const RATE = 8000;

class Phone {
    constructor({ socket, host, number, password }) {
        this.host = host;
        this.heard = [];
        this.ua = new JsSIP.UA({
            sockets: [new JsSIP.WebSocketInterface(socket)],
            uri: `sip:${number}@${host}`,
            password,
            // Without a password it calls as a stranger, or through a proxy.
            register: password !== undefined,
        });
    }

    register() {
        return new Promise((done, fail) => {
            this.ua.once('registered', () => done('registered'));
            this.ua.once('registrationFailed', ({ cause, response }) => fail(new Error(`${cause}\n${response?.data}`)));
            this.ua.start();
        });
    }

    connect() {
        return new Promise((done) => {
            this.ua.once('connected', () => done('connected'));
            this.ua.start();
        });
    }

    /// Calls, and waits until the call is acknowledged and its media can flow.
    async dial(number) {
        this.context = new AudioContext({ sampleRate: RATE });
        this.mouth = this.context.createMediaStreamDestination();
        // A microphone never stops, and keys are sent between what it says.
        const silence = new ConstantSourceNode(this.context, { offset: 0 });
        silence.connect(this.mouth);
        silence.start();
        await this.context.audioWorklet.addModule(URL.createObjectURL(new Blob([EAR], { type: 'text/javascript' })));
        this.session = this.ua.call(`sip:${number}@${this.host}`, { mediaStream: this.mouth.stream });
        const connection = this.session.connection;
        connection.addEventListener('track', ({ track }) => this.listen(new MediaStream([track])));
        this.ended = new Promise((done) => {
            this.session.once('ended', ({ cause, originator }) => done(`${cause} by ${originator}`));
            this.session.once('failed', ({ cause, originator }) => done(`failed: ${cause} by ${originator}`));
        });
        const confirmed = new Promise((done) => this.session.once('confirmed', () => done('confirmed')));
        const result = await Promise.race([confirmed, this.ended]);
        if (result !== 'confirmed') {
            throw new Error(result);
        }
        await this.connected(connection);
        return connection.remoteDescription.sdp;
    }

    connected(connection) {
        return new Promise((done, fail) => {
            const look = () => {
                if (connection.connectionState === 'connected') done();
                if (connection.connectionState === 'failed') fail(new Error('no path, or no keys'));
            };
            connection.addEventListener('connectionstatechange', look);
            look();
        });
    }

    listen(stream) {
        // Without an element that plays it, a stream of a peer stays silent.
        this.element = new Audio();
        this.element.srcObject = stream;
        this.element.muted = true;
        this.element.play();
        const ear = new AudioWorkletNode(this.context, 'ear');
        ear.port.onmessage = ({ data }) => this.heard.push(data);
        this.context.createMediaStreamSource(stream).connect(ear).connect(this.context.destination);
    }

    /// Speaks to the end.
    say(base64) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const samples = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
        const buffer = this.context.createBuffer(1, samples.length, RATE);
        buffer.copyToChannel(samples, 0);
        const source = new AudioBufferSourceNode(this.context, { buffer });
        source.connect(this.mouth);
        return new Promise((done) => {
            source.onended = () => done('said');
            source.start();
        });
    }

    /// Presses keys one after the other, as telephone-events.
    async press(keys) {
        const sender = this.session.connection.getSenders()[0].dtmf;
        const done = new Promise((done) => {
            sender.ontonechange = ({ tone }) => tone === '' && done('pressed');
        });
        sender.insertDTMF(keys, 100, 70);
        return done;
    }

    /// What was heard since it was asked last.
    newlyHeard() {
        const samples = this.heard.splice(0).flatMap((part) => [...part]);
        const bytes = new Uint8Array(Int16Array.from(samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767).buffer);
        let text = '';
        for (let at = 0; at < bytes.length; at += 0x2000) {
            text += String.fromCharCode(...bytes.subarray(at, at + 0x2000));
        }
        return btoa(text);
    }

    /// Offers again: `change` is a method of the session that does so, such as `hold`.
    reoffer(change, options) {
        return new Promise((done, fail) => {
            const began = this.session[change](options, () => done('answered'));
            if (!began) fail(new Error(`${change} is not possible now`));
        });
    }

    /// How the media is protected and coded, as the browser sees it.
    async security() {
        const stats = [...(await this.session.connection.getStats()).values()];
        const transport = stats.find(({ type }) => type === 'transport');
        const inbound = stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio');
        const codec = stats.find(({ id }) => id === inbound?.codecId);
        return { dtls: transport.dtlsState, cipher: transport.srtpCipher, tls: transport.tlsVersion, codec: codec?.mimeType };
    }

    hangUp() {
        this.session.terminate();
        return this.ended;
    }
}

const EAR = `
    registerProcessor('ear', class extends AudioWorkletProcessor {
        process([[samples]]) {
            if (samples) this.port.postMessage(samples.slice());
            return true;
        }
    });
`;
