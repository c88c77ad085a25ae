/**
 * The waveform of a lane and the part that is selected in it, drawn by
 * wavesurfer.js from peaks that the server computes. It plays nothing.
 */

import { get } from "./api.js";
import { snapped } from "./beats.js";
import { attempt, state, update } from "./store.js";

const COUNT = 2000; // peaks across the page; times the zoom
const MOST_COUNT = 16000;
const STILL = 4; // px; a pointer that moves less clicks
const SHADE = "rgba(185, 163, 227, 0.2)";
const BORDER = "1px solid #b9a3e3";

const peaks = new Map(); // path -> promise of {peaks, seconds}

function fetchPeaks(clip, zoom) {
  const count = Math.min(MOST_COUNT, COUNT * 2 ** Math.ceil(Math.log2(zoom)));
  const path = `${clip.peaks}&count=${count}`;
  const found = peaks.get(path) ?? get(path);
  peaks.set(path, found);
  found.catch(() => peaks.delete(path));
  return found;
}

// Factor that makes a quiet clip fill its lane, up to three times.
function heightOf(heights) {
  const loudest = heights.reduce((most, one) => Math.max(most, one), 0);
  return Math.min(3, Math.max(1, 0.95 / (loudest || 1)));
}

export class Wave {
  #drawn = ""; // what is drawn
  #region = null;
  #surfer;
  #regions;

  /**
   * @param {HTMLElement} host element to draw in
   * @param {string} layer name of the layer
   * @param {(seconds: number) => void} onSeek called for a click
   */
  constructor(host, layer, onSeek) {
    this.host = host;
    this.layer = layer;
    this.#regions = WaveSurfer.Regions.create();
    this.#surfer = WaveSurfer.create({
      container: host,
      height: "auto",
      barWidth: 2,
      barGap: 1,
      barRadius: 1,
      cursorWidth: 0,
      interact: false,
      hideScrollbar: true,
      plugins: [this.#regions],
    });
    this.#regions.on("region-created", (region) => this.#take(region));
    this.#regions.on("region-updated", (region) => this.#take(region));
    this.#surfer.once("ready", () => {
      this.#regions.enableDragSelection({ color: SHADE }, STILL);
    });
    this.#seekOnClick(onSeek);
  }

  /** Draw a clip, and the selection if it is in this lane. */
  update(clip, color) {
    const { song, zoom } = state;
    const wanted = `${song.id} ${clip.number} ${color} ${zoom}`;
    if (wanted !== this.#drawn) {
      this.#drawn = wanted;
      attempt(() => this.#draw(clip, color, wanted));
    }
    this.#select();
  }

  destroy() {
    this.#surfer.destroy();
  }

  async #draw(clip, color, wanted) {
    try {
      const found = await fetchPeaks(clip, state.zoom);
      if (wanted !== this.#drawn) return;
      const barHeight = heightOf(found.peaks);
      this.#surfer.setOptions({
        waveColor: color,
        progressColor: color,
        barHeight,
      });
      const { length } = found.peaks;
      const share = length ? found.seconds / state.song.seconds : 1;
      this.host.style.width = `${100 * share}%`;
      await this.#surfer.load("", [found.peaks], found.seconds);
      this.#region = null;
      this.#regions.clearRegions();
      this.#select();
      this.host.dataset.clip = clip.number;
    } catch (error) {
      this.#drawn = ""; // the next update tries again
      throw error;
    }
  }

  #seekOnClick(onSeek) {
    let down = null;
    this.host.addEventListener("pointerdown", (event) => {
      down = event;
    });
    this.host.addEventListener("click", (event) => {
      if (!down || Math.abs(event.clientX - down.clientX) >= STILL) return;
      const box = this.host.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      onSeek(share * this.#surfer.getDuration());
    });
  }

  /** Make a drawn or moved region the selection. */
  #take(region) {
    if (this.#region && region !== this.#region) this.#region.remove();
    this.#region = region;
    region.element.style.border = BORDER;
    region.element.style.borderRadius = "6px";
    const place = (time) => (state.snap ? snapped(state.song, time) : time);
    const [start, end] = [place(region.start), place(region.end)];
    const selected = end > start;
    update({
      current: this.layer,
      selection: selected ? { layer: this.layer, start, end } : null,
    });
  }

  #select() {
    const { selection } = state;
    if (selection?.layer !== this.layer) {
      this.#region?.remove();
      this.#region = null;
    } else if (!this.#surfer.getDecodedData()) {
      return; // drawn again when the peaks are there
    } else if (this.#region) {
      this.#region.setOptions({ start: selection.start, end: selection.end });
    } else {
      const { start, end } = selection;
      const drawn = this.#regions.addRegion({ start, end, color: SHADE });
      this.#region = drawn;
    }
  }
}
