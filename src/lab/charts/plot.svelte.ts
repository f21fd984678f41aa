/** uPlot as a Svelte attachment: made once, fed at most ten times a second. */
import { untrack } from 'svelte';
import type { Attachment } from 'svelte/attachments';
import uPlot from 'uplot';
import { tick } from '../format.ts';
import { type ChartSpec, DASHES, alongAxis, axisOf, envelope, smooth } from './series.ts';

/** Milliseconds between redraws. */
const REDRAW = 100;
/** uPlot declares its kinds of scale as constants that only its own build can read. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a const enum of a declaration file has no value to import
const LOGARITHMIC = 3 as uPlot.Scale.Distr.Logarithmic;
const FONTS = 'system-ui, "DejaVu Sans", sans-serif';

export interface PlotEvents {
  /** The x under the cursor, or undefined when it has left. */
  readonly hover: (x: number | undefined) => void;
  readonly pick: (x: number) => void;
}

export interface PlotView {
  /** Which axes are logarithmic. */
  readonly logX: boolean;
  readonly logY: boolean;
  /** Where the keyboard has put the cursor. */
  readonly cursor: () => number | undefined;
}

/** @param spec which series there are, and their kinds, stays as it is; their points may grow. */
export function plot(spec: () => ChartSpec, view: PlotView, events: PlotEvents): Attachment<HTMLElement> {
  return (element) => {
    const color = colorReader(element);
    const first = untrack(spec);
    let latest = first;
    const markers = (chart: uPlot) => drawMarkers(chart, latest, color);
    const size = { width: Math.max(200, element.clientWidth), height: element.clientHeight };
    const chart = new uPlot(options(first, view, color, size, events, markers), dataOf(first, view), element);
    chart.over.addEventListener('click', () => {
      const x = chart.cursor.idx == null ? undefined : chart.data[0][chart.cursor.idx];
      if (x !== undefined) events.pick(x);
    });

    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    $effect(() => {
      latest = spec();
      timer ??= setTimeout(
        () => {
          timer = undefined;
          last = performance.now();
          chart.setData(dataOf(latest, view));
        },
        Math.max(0, last + REDRAW - performance.now()),
      );
    });
    $effect(() => {
      const x = view.cursor();
      if (x !== undefined) chart.setCursor({ left: chart.valToPos(x, 'x'), top: 0 });
    });
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => chart.redraw(false);
    scheme.addEventListener('change', repaint);
    const chosen = new MutationObserver(repaint);
    chosen.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      clearTimeout(timer);
      resized.disconnect();
      scheme.removeEventListener('change', repaint);
      chosen.disconnect();
      chart.destroy();
    };
  };
}

function dataOf({ series }: ChartSpec, { logX, logY }: PlotView): uPlot.AlignedData {
  const axis = axisOf(series).filter((x) => !logX || x > 0);
  const lines = series.flatMap((line) => {
    const values = alongAxis(line, axis).map((value) => (logY && value !== null && value <= 0 ? null : value));
    if (line.kind !== 'smooth') return [values];
    const { lo, hi } = envelope(values);
    return [values, smooth(values), ...(line.envelope ? [hi, lo] : [])];
  });
  return [axis, ...lines];
}

/** A canvas knows no custom properties and no light-dark(): an element that is painted with one tells what it comes to. */
function colorReader(element: HTMLElement): (name: string) => string {
  const probe = document.createElement('span');
  probe.hidden = true;
  element.append(probe);
  return (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
}

/** Upright lines with the number by which the list beside the charts names them. */
function drawMarkers(chart: uPlot, { markers = [] }: ChartSpec, color: (name: string) => string): void {
  const { ctx, bbox } = chart;
  const { min, max } = chart.scales.x!;
  if (min == null || max == null) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = color('--ink');
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.font = `${12 * devicePixelRatio}px ${FONTS}`;
  ctx.textBaseline = 'top';
  markers.forEach(({ x }, i) => {
    if (x < min || x > max) return;
    const at = chart.valToPos(x, 'x', true);
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    // Changes at one update share a line: their numbers stand one below the other.
    const above = markers.slice(0, i).filter((other) => other.x === x).length;
    ctx.textAlign = at > bbox.left + bbox.width - 20 * devicePixelRatio ? 'right' : 'left';
    ctx.fillText(`${i + 1}`, at + (ctx.textAlign === 'left' ? 4 : -4) * devicePixelRatio, bbox.top + above * 13 * devicePixelRatio);
  });
  ctx.restore();
}

function options(
  { x, series, formatTick = tick, range, group = x }: ChartSpec,
  { logX, logY }: PlotView,
  color: (name: string) => string,
  size: { readonly width: number; readonly height: number },
  events: PlotEvents,
  draw: (chart: uPlot) => void,
): uPlot.Options {
  const bands: uPlot.Band[] = [];
  const lines: uPlot.Series[] = [];
  for (const line of series) {
    const stroke = () => color(line.color);
    if (line.kind === 'points') lines.push({ stroke, paths: () => null, points: { show: true, size: 9, stroke, fill: stroke } });
    else if (line.kind === 'level') lines.push({ stroke, width: 1.5, dash: [2, 4], points: { show: false } });
    else {
      lines.push(
        { stroke, width: 1, alpha: 0.4, spanGaps: true, points: { show: false } },
        // A line of one point would not show.
        {
          stroke,
          width: 2.25,
          spanGaps: true,
          points: { show: isAlone, size: 7, stroke, fill: stroke },
          dash: [...DASHES[line.dash ?? 'solid']],
        },
      );
      if (line.envelope) {
        const fill = () =>
          color(line.color)
            .replace(')', ' / 14%)')
            .replace(/^rgb\((\d+), (\d+), (\d+)/, 'rgb($1 $2 $3');
        bands.push({ series: [lines.length + 1, lines.length + 2], fill });
        for (const _ of ['hi', 'lo']) lines.push({ width: 0, spanGaps: true, points: { show: false } });
      }
    }
  }
  // On very wide screens the page's letters are larger, and so are those of its charts.
  const em = Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const axis = {
    stroke: () => color('--soft'),
    font: `${12 * em}px ${FONTS}`,
    grid: { stroke: () => color('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    ...size,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: group }, points: { size: 7 } },
    scales: {
      x: logX
        ? { time: false, distr: LOGARITHMIC, range: (_, min, max) => (min === max ? [min / 2, max * 2] : [min, max]) }
        : { time: false, range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
      y: logY
        ? { distr: LOGARITHMIC, range: (_, min, max) => (min > 0 ? uPlot.rangeLog(min, max, 10, false) : [0.1, 1]) }
        : range
          ? { range: [...range] }
          : { range: (_, min, max) => span(min, max) },
    },
    axes: [
      {
        ...axis,
        space: 60 * em,
        size: 28 * em,
        gap: 6,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000],
        values: figures(tick),
      },
      { ...axis, space: 36 * em, size: 52 * em, gap: 6, values: figures(formatTick) },
    ],
    bands,
    series: [{}, ...lines],
    hooks: {
      setCursor: [({ cursor, data }) => events.hover(cursor.idx == null ? undefined : data[0][cursor.idx])],
      draw: [draw],
    },
  };
}

/** On a logarithmic axis most ticks carry no figure. */
const figures = (format: (value: number) => string) => (_: uPlot, ticks: (number | null)[]) =>
  ticks.map((at) => (at === null ? '' : format(at)));

const isAlone = ({ data }: uPlot, series: number): boolean => Array.from(data[series]!).filter((value) => value != null).length === 1;

/** A little more than the data; values that are all the same stand on the floor of a narrow band. */
const span = (min: number, max: number): uPlot.Range.MinMax =>
  min === max ? [min, min + 0.1 * Math.max(1, Math.abs(min))] : uPlot.rangeNum(min, max, 0.1, true);
