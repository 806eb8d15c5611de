// The images of a session: fetched ahead, so that nobody waits and an hour without network does not matter; decoded before a trial.

import { image } from "./server.js";
import { persist } from "./patience.js";

const AT_ONCE = 2;
const AHEAD = 60;

export class Images {
  /** trials: of the session; token; stopped: () -> whether nobody needs them any more. */
  constructor(trials, token, stopped) {
    this.trials = trials.filter((trial) => trial.asset);
    this.token = token;
    this.stopped = stopped;
    this.blobs = new Map(); // asset -> Promise of Blob
    this.refused = new Map(); // asset -> error that does not pass
  }

  /** Fetches what comes after a trial, in order, a few at once; called again it goes on from there. */
  fetchAhead(from) {
    this.from = from;
    for (const asset of this.blobs.keys()) {
      if (!this.trials.some((trial) => trial.asset === asset && trial.number >= from)) this.blobs.delete(asset);
    }
    this.running ||= 0;
    while (this.running < AT_ONCE) {
      this.running += 1;
      this.work().finally(() => {
        this.running -= 1;
      });
    }
  }

  async work() {
    for (;;) {
      const next = this.trials
        .filter((trial) => trial.number >= this.from)
        .slice(0, AHEAD)
        .find((trial) => !this.blobs.has(trial.asset) && !this.refused.has(trial.asset));
      if (!next || this.stopped()) return;
      await this.fetch(next.asset).catch(() => {});
    }
  }

  fetch(asset) {
    if (!this.blobs.has(asset)) {
      const blob = persist(async () => {
        if (this.stopped()) throw new Error("nobody needs it");
        return image(asset, this.token);
      });
      this.blobs.set(asset, blob);
      blob.catch((error) => {
        this.blobs.delete(asset);
        this.refused.set(asset, error);
      });
    }
    return this.blobs.get(asset);
  }

  /**
   * The image of a trial on a canvas, decoded and drawn at the screen's own resolution: showing it is no more work.
   * sidePx: its side in CSS pixels.
   */
  async drawn(asset, sidePx) {
    const picture = await decoded(await this.fetch(asset));
    const canvas = document.createElement("canvas");
    const side = Math.max(1, Math.round(sidePx * (window.devicePixelRatio || 1)));
    canvas.width = side;
    canvas.height = side;
    const pen = canvas.getContext("2d", { alpha: true });
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    const scale = Math.min(side / picture.width, side / picture.height);
    const [width, height] = [picture.width * scale, picture.height * scale];
    pen.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
    if (picture.close) picture.close();
    return canvas;
  }
}

async function decoded(blob) {
  if (window.createImageBitmap) return createImageBitmap(blob);
  const address = URL.createObjectURL(blob);
  try {
    const element = new Image();
    element.src = address;
    await element.decode();
    return element;
  } finally {
    URL.revokeObjectURL(address);
  }
}
