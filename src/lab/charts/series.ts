/** What a chart draws: points over one axis, and how to say them in words. */

export interface Series {
  readonly label: string;
  /** `smooth`: the raw line faint, its running mean strong; `points`: sparse, unjoined; `level`: one value all along. */
  readonly kind: 'smooth' | 'points' | 'level';
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly color: '--series-1' | '--series-2' | '--series-3' | '--series-4';
  readonly dashed?: boolean;
}

export interface ChartSpec {
  readonly title: string;
  /** What the x axis counts, e.g. "update". */
  readonly x: string;
  readonly series: readonly Series[];
  /** What a reader would otherwise ask. */
  readonly help: string;
  readonly format: (value: number) => string;
  /** Of the y axis; left out, plain numbers. */
  readonly formatTick?: (value: number) => string;
  /** Of the y axis; left out, it follows the data. */
  readonly range?: readonly [number, number];
}

/** Every x at which some series has a point, in order. */
export const axisOf = (series: readonly Series[]): number[] =>
  [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);

/** The values of a series along the axis, null where it has none. */
export function alongAxis({ kind, points }: Series, axis: readonly number[]): (number | null)[] {
  if (kind === 'level') return axis.map(() => points[0]?.[1] ?? null);
  const known = new Map(points);
  return axis.map((x) => known.get(x) ?? null);
}

/** Exponential running mean, started without bias (as Adam's moments are): the first value is the first raw one. */
export function smooth(values: readonly (number | null)[], weight = 0.2): (number | null)[] {
  let mean = 0;
  let trust = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean += weight * (value - mean);
    trust += weight * (1 - trust);
    return mean / trust;
  });
}

/** The chart in a sentence for each series. */
export function summarize({ x, series, format }: ChartSpec): string {
  const sentences = series.flatMap(({ label, kind, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (!first || !last) return [];
    if (kind === 'level' || points.length === 1) return [`${label}: ${format(last[1])}.`];
    return [`${label}: from ${format(first[1])} at ${x} ${first[0]} to ${format(last[1])} at ${x} ${last[0]}.`];
  });
  return sentences.join(' ');
}
