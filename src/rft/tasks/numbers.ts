/**
 * Numbers as text. Values are rounded half away from zero to a fixed number of places; trailing zeros are cut unless the
 * quantity is always given with all its places (a tolerance factor of 1.00).
 */
export interface NumberFormat {
  readonly places: number;
  readonly keepZeros: boolean;
}

/** Undefined for what doesn't fit a short answer: not finite, zero or less, or 10 000 and more. */
export function formatNumber(value: number, { places, keepZeros }: NumberFormat): string | undefined {
  if (!Number.isFinite(value) || value <= 0 || value >= 10_000) return undefined;
  const scale = 10 ** places;
  // The tiny lift undoes the error of decimal fractions in binary: 1.005 * 100 is 100.49999999999999.
  const rounded = Math.round(value * scale * (1 + 1e-12)) / scale;
  if (rounded === 0 || rounded >= 10_000) return undefined;
  const text = rounded.toFixed(places);
  return keepZeros || places === 0 ? text : text.replace(/\.?0+$/, '');
}

export const decimals = (text: string): number => text.split('.')[1]?.length ?? 0;

/** Whole numbers from `low` to `high`, both included. */
export const range = (low: number, high: number): number[] => Array.from({ length: high - low + 1 }, (_, i) => low + i);
