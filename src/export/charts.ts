/** The curves of a run, and a curve as SVG that stands by itself: no script, no font, no colour that one theme would lose. */
import type { RlMetricEvent, RunEvent, SftMetricEvent } from '../rft/events.ts';
import { escaped } from './text.ts';

export interface Chart {
  readonly stage: 'sft' | 'ppo';
  readonly title: string;
  /** What the x axis counts. */
  readonly x: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Those with at least one point. */
export function chartsOf(events: readonly RunEvent[]): Chart[] {
  const metrics = events.filter((event) => event.type === 'metric');
  const sft = metrics.filter((event): event is SftMetricEvent => event.stage === 'sft');
  const ppo = metrics.filter((event): event is RlMetricEvent => event.stage === 'ppo');
  const updates = (title: string, value: (event: RlMetricEvent) => number): Chart => ({
    stage: 'ppo',
    title,
    x: 'update',
    points: ppo.map((event) => [event.update, value(event)] as const),
  });
  const charts: Chart[] = [
    { stage: 'sft', title: 'SFT loss', x: 'step', points: sft.map(({ step, loss }) => [step, loss] as const) },
    updates('Mean reward', ({ reward_mean }) => reward_mean),
    updates('Share of right rollouts', ({ accuracy }) => accuracy),
    updates('KL to the reference, per token', ({ kl }) => kl),
    updates('Response length, tokens', ({ response_length_mean }) => response_length_mean),
  ];
  return charts.filter(({ points }) => points.length > 0);
}

const WIDTH = 480;
const HEIGHT = 220;
const LEFT = 56;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 34;

const short = (value: number) => Number(value.toPrecision(3)).toString();

/** The chart in a sentence. */
export function chartText({ title, x, points }: Chart): string {
  const [first, last] = [points[0]!, points.at(-1)!];
  if (points.length === 1) return `${title}: ${short(first[1])} at ${x} ${first[0]}.`;
  return `${title}: from ${short(first[1])} at ${x} ${first[0]} to ${short(last[1])} at ${x} ${last[0]}.`;
}

export function chartSvg(chart: Chart): string {
  const { points, x } = chart;
  const [xs, ys] = [points.map(([at]) => at), points.map(([, value]) => value)];
  const scale = (values: readonly number[], from: number, to: number) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    // A level curve runs through the middle.
    return { low, high, at: (value: number) => (high === low ? (from + to) / 2 : from + ((value - low) / (high - low)) * (to - from)) };
  };
  const across = scale(xs, LEFT, WIDTH - RIGHT);
  const up = scale(ys, HEIGHT - BOTTOM, TOP);
  const place = ([at, value]: readonly [number, number]) => `${across.at(at).toFixed(1)},${up.at(value).toFixed(1)}`;
  const label = (text: string, at: number, y: number, anchor: string) =>
    `<text x="${at}" y="${y}" text-anchor="${anchor}" fill="currentColor" font-size="12" font-family="sans-serif">${escaped(text)}</text>`;
  const [bottom, right] = [HEIGHT - BOTTOM, WIDTH - RIGHT];
  const valueLabels =
    up.low === up.high
      ? [label(short(up.low), LEFT - 6, (TOP + bottom) / 2 + 4, 'end')]
      : [label(short(up.high), LEFT - 6, TOP + 8, 'end'), label(short(up.low), LEFT - 6, bottom, 'end')];
  const placeLabels =
    xs.length === 1
      ? [label(`${x} ${across.low}`, (LEFT + right) / 2, HEIGHT - 12, 'middle')]
      : [label(`${x} ${across.low}`, LEFT, HEIGHT - 12, 'start'), label(`${x} ${across.high}`, right, HEIGHT - 12, 'end')];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(chartText(chart))}">`,
    `<path d="M${LEFT} ${TOP}V${bottom}H${right}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>`,
    `<polyline points="${points.map(place).join(' ')}" fill="none" stroke="#3b82c4" stroke-width="2" stroke-linejoin="round"/>`,
    ...points.map((point) => `<circle cx="${place(point).replace(',', '" cy="')}" r="2.5" fill="#3b82c4"/>`),
    ...valueLabels,
    ...placeLabels,
    '</svg>',
  ].join('');
}
