/** What a chart draws: points over one axis, and how to say them in words. */
import type { TermId } from '../stages/help/glossary.ts';

/** Lines that no eye for colour is needed to tell apart: lengths of dash and gap, in pixels. */
export const DASHES = { solid: [], dashed: [6, 4], dotted: [2, 3], dash_dot: [8, 3, 2, 3] } as const;
export type Dash = keyof typeof DASHES;

export interface Series {
  readonly label: string;
  /** `smooth`: the raw line faint, its running mean strong; `points`: sparse, unjoined; `level`: one value all along. */
  readonly kind: 'smooth' | 'points' | 'level';
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly color: '--series-1' | '--series-2' | '--series-3' | '--series-4';
  readonly dash?: Dash;
  /** Of `smooth`: a band from the least to the greatest of the last `ENVELOPE` values. */
  readonly envelope?: boolean;
}

export interface Marker {
  readonly x: number;
  /** What happened there. */
  readonly text: string;
}

export interface ChartSpec {
  readonly title: string;
  /** What the title is called in the glossary. */
  readonly term?: TermId;
  /** What the x axis counts, e.g. "update". */
  readonly x: string;
  readonly series: readonly Series[];
  /** What a reader would otherwise ask. */
  readonly help: string;
  /** What has to be known of these very figures. */
  readonly note?: string | undefined;
  readonly format: (value: number) => string;
  /** Of the y axis; left out, plain numbers. */
  readonly formatTick?: (value: number) => string;
  /** Of the y axis; left out, it follows the data and may be logarithmic. */
  readonly range?: readonly [number, number];
  /** Drawn as upright lines with their number. */
  readonly markers?: readonly Marker[];
  /** Charts of one group have one cursor; left out, those with the same x. */
  readonly group?: string;
}

export const ENVELOPE = 5;

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

/** The least and the greatest of the last `window` values at each place, null where there is no value. */
export function envelope(values: readonly (number | null)[], window = ENVELOPE): { lo: (number | null)[]; hi: (number | null)[] } {
  const recent: number[] = [];
  const ends = values.map((value) => {
    if (value === null) return null;
    recent.push(value);
    if (recent.length > window) recent.shift();
    return { lo: Math.min(...recent), hi: Math.max(...recent) };
  });
  return { lo: ends.map((end) => end?.lo ?? null), hi: ends.map((end) => end?.hi ?? null) };
}

/** The chart in a sentence for each series, and one for what happened on the way. */
export function summarize({ x, series, format, markers = [] }: ChartSpec): string {
  const sentences = series.flatMap(({ label, kind, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (!first || !last) return [];
    if (kind === 'level' || points.length === 1) return [`${label}: ${format(last[1])}.`];
    const values = points.map(([, y]) => y);
    return [
      `${label}: from ${format(first[1])} at ${x} ${first[0]} to ${format(last[1])} at ${x} ${last[0]}, between ${format(Math.min(...values))} and ${format(Math.max(...values))}.`,
    ];
  });
  return [...sentences, ...markers.map((marker) => `At ${x} ${marker.x}: ${marker.text}.`)].join(' ');
}
