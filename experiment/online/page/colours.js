// Colours around a grey ground, so that every text can be read on it (WCAG 2, contrast of 4.5 and more).

const linear = (level) => (level / 255 <= 0.04045 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4);

export const READABLE = 4.5;

/** Contrast of two greys (levels 0 to 255), from 1 to 21. */
export function contrast(one, other) {
  const [dark, light] = [linear(one), linear(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** Grey levels for a ground: of text on it, of buttons, of their edges and of text on them. */
export function greys(ground) {
  const ink = [17, 255, 0].find((level) => contrast(ground, level) >= READABLE); // one of black and white always is
  const away = ink === 255 ? 0 : 255;
  let face = Math.round(ground + (away - ground) * 0.38);
  if (Math.abs(face - ground) < 12) face = ink === 255 ? ground + 14 : ground - 14;
  const edge = Math.round(ground + (ink - ground) * 0.62);
  return { ground, ink, face, edge };
}

/** Sets the style sheet's colours. */
export function paint(ground) {
  for (const [name, level] of Object.entries(greys(ground))) {
    document.documentElement.style.setProperty(`--${name}`, `rgb(${level} ${level} ${level})`);
  }
}
