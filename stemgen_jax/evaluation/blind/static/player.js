/** Plays sounds in step, over and over; one of them is audible. */
class Player {
  playing = false;
  #audio = null;
  #buffers = [];
  #sources = [];
  #gains = [];
  #seconds = 1;
  #audible = 0;
  #from = 0; // position where it starts, in seconds
  #began = 0; // time of the audio clock at that position

  /** Open the sound device, which browsers allow after a click or key. */
  open() {
    this.#audio ??= new AudioContext();
    return this.#audio.resume();
  }

  /** Return the samples of an mp3 in base64. */
  decode(text) {
    const bytes = Uint8Array.from(atob(text), (x) => x.charCodeAt(0));
    return this.#audio.decodeAudioData(bytes.buffer);
  }

  /** Replace all sounds; the new ones start at 0. */
  load(buffers, seconds) {
    this.pause();
    this.#buffers = buffers;
    this.#seconds = Math.min(seconds, ...buffers.map((x) => x.duration));
    this.#from = 0;
  }

  get seconds() {
    return this.#seconds;
  }

  get position() {
    if (!this.playing) return this.#from;
    const passed = Math.max(0, this.#audio.currentTime - this.#began);
    return (this.#from + passed) % this.#seconds;
  }

  play() {
    if (this.playing || !this.#buffers.length) return;
    // One start time for all: they stay at the same sample.
    this.#began = this.#audio.currentTime + 0.05;
    this.#gains = this.#buffers.map(() => this.#audio.createGain());
    this.#sources = this.#buffers.map((buffer, index) => {
      const source = this.#audio.createBufferSource();
      Object.assign(source, { buffer, loop: true, loopEnd: this.#seconds });
      source.connect(this.#gains[index]).connect(this.#audio.destination);
      this.#gains[index].gain.value = 0;
      source.start(this.#began, this.#from);
      return source;
    });
    this.playing = true;
    this.#fade();
  }

  pause() {
    if (!this.playing) return;
    this.#from = this.position;
    this.playing = false;
    this.#fade();
    for (const source of this.#sources) {
      source.stop(this.#audio.currentTime + 0.03);
    }
  }

  seek(seconds) {
    const { playing } = this;
    this.pause();
    this.#from = Math.min(Math.max(0, seconds), this.#seconds - 0.01);
    if (playing) this.play();
  }

  /** Make one sound audible. */
  select(index) {
    this.#audible = index;
    this.#fade();
  }

  /** Fade linearly: sounds share the context, whose level stays the same. */
  #fade() {
    const now = this.#audio?.currentTime ?? 0;
    this.#gains.forEach(({ gain }, index) => {
      const value = gain.value;
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(value, now);
      const end = Number(this.playing && index === this.#audible);
      gain.linearRampToValueAtTime(end, now + 0.02);
    });
  }
}

