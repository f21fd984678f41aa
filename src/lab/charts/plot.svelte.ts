/** uPlot as a Svelte attachment: made once, fed at most ten times a second. */
import { untrack } from 'svelte';
import type { Attachment } from 'svelte/attachments';
import uPlot from 'uplot';
import { tick } from '../format.ts';
import { type ChartSpec, alongAxis, axisOf, smooth } from './series.ts';

const HEIGHT = 190;
/** Milliseconds between redraws. */
const REDRAW = 100;
const FONT = '12px system-ui, "DejaVu Sans", sans-serif';

export interface PlotEvents {
  /** The x under the cursor, or undefined when it has left. */
  readonly hover: (x: number | undefined) => void;
  readonly pick: (x: number) => void;
}

/** @param spec which series there are, and their kinds, stays as it is; their points may grow. */
export function plot(spec: () => ChartSpec, events: PlotEvents): Attachment<HTMLElement> {
  return (element) => {
    const color = colorReader(element);
    const first = untrack(spec);
    const chart = new uPlot(options(first, color, Math.max(200, element.clientWidth), events), dataOf(first), element);
    chart.over.addEventListener('click', () => {
      const x = chart.cursor.idx == null ? undefined : chart.data[0][chart.cursor.idx];
      if (x !== undefined) events.pick(x);
    });

    let latest = first;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    $effect(() => {
      latest = spec();
      timer ??= setTimeout(
        () => {
          timer = undefined;
          last = performance.now();
          chart.setData(dataOf(latest));
        },
        Math.max(0, last + REDRAW - performance.now()),
      );
    });
    const resized = new ResizeObserver(() => {
      if (element.clientWidth > 0) chart.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    const repaint = () => chart.redraw(false);
    scheme.addEventListener('change', repaint);
    return () => {
      clearTimeout(timer);
      resized.disconnect();
      scheme.removeEventListener('change', repaint);
      chart.destroy();
    };
  };
}

function dataOf({ series }: ChartSpec): uPlot.AlignedData {
  const axis = axisOf(series);
  const lines = series.flatMap((line) => {
    const values = alongAxis(line, axis);
    return line.kind === 'smooth' ? [values, smooth(values)] : [values];
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

function options(
  { x, series, formatTick = tick, range }: ChartSpec,
  color: (name: string) => string,
  width: number,
  events: PlotEvents,
): uPlot.Options {
  const lines = series.flatMap((line): uPlot.Series[] => {
    const stroke = () => color(line.color);
    const dash = line.dashed ? { dash: [6, 4] } : {};
    if (line.kind === 'points') return [{ stroke, paths: () => null, points: { show: true, size: 9, stroke, fill: stroke } }];
    if (line.kind === 'level') return [{ stroke, width: 1.5, dash: [2, 4], points: { show: false } }];
    return [
      { stroke, width: 1, alpha: 0.4, spanGaps: true, points: { show: false } },
      // A line of one point would not show.
      {
        stroke,
        width: 2.25,
        spanGaps: true,
        points: { show: isAlone, size: 7, stroke, fill: stroke },
        ...dash,
      },
    ];
  });
  const axis = { stroke: () => color('--soft'), font: FONT, grid: { stroke: () => color('--line'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: x }, points: { size: 7 } },
    scales: {
      x: { time: false, range: (_, min, max) => (min === max ? [min - 1, max + 1] : [min, max]) },
      y: range ? { range: [...range] } : { range: (_, min, max) => span(min, max) },
    },
    axes: [
      { ...axis, space: 60, size: 28, gap: 6, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] },
      { ...axis, space: 36, size: 52, gap: 6, values: (_, ticks) => ticks.map(formatTick) },
    ],
    series: [{}, ...lines],
    hooks: { setCursor: [({ cursor, data }) => events.hover(cursor.idx == null ? undefined : data[0][cursor.idx])] },
  };
}

const isAlone = ({ data }: uPlot, series: number): boolean => Array.from(data[series]!).filter((value) => value != null).length === 1;

/** A little more than the data; values that are all the same stand on the floor of a narrow band. */
const span = (min: number, max: number): uPlot.Range.MinMax =>
  min === max ? [min, min + 0.1 * Math.max(1, Math.abs(min))] : uPlot.rangeNum(min, max, 0.1, true);
