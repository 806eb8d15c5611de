// A noise mask, made here from a seed: whoever has the seed can make it again.

const CELLS = 64;

/** A seed of 32 bits from a text (FNV-1a). */
export function seedOf(text) {
  let hash = 0x811c9dc5;
  for (const letter of text) {
    hash ^= letter.codePointAt(0);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash;
}

/** Numbers in [0, 2^32) from a seed (mulberry32). */
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** A square of uniform colour noise, 64 cells a side, on a canvas; the style sheet scales it without smoothing. */
export function noise(seed) {
  const canvas = document.createElement("canvas");
  canvas.width = CELLS;
  canvas.height = CELLS;
  const pen = canvas.getContext("2d", { alpha: false });
  const cells = pen.createImageData(CELLS, CELLS);
  const next = numbers(seed);
  for (let place = 0; place < cells.data.length; place += 4) {
    const value = next();
    cells.data[place] = value & 255;
    cells.data[place + 1] = (value >>> 8) & 255;
    cells.data[place + 2] = (value >>> 16) & 255;
    cells.data[place + 3] = 255;
  }
  pen.putImageData(cells, 0, 0);
  return canvas;
}
