/** Numbers as a reader wants them. */
import type { Progress } from './progress.ts';

const number = (digits: number) => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const two = number(2);
const three = number(3);
const one = number(1);
const whole = number(0);
const MINUS = '−';

const typographic = (text: string) => text.replaceAll('-', MINUS);

/** 0.4567 as 45.7 %. */
export const percent = (share: number): string => `${one.format(share * 100)} %`;

/** A difference of shares in percentage points, always with its sign. */
export const points = (difference: number): string => {
  const text = one.format(Math.abs(difference) * 100);
  if (text === '0.0') return '±0.0';
  return `${difference < 0 ? MINUS : '+'}${text}`;
};

/** To four decimals where they are there: what the record of a token holds. */
const four = new Intl.NumberFormat('en', { maximumFractionDigits: 4, signDisplay: 'negative' });
export const fine = (value: number): string => typographic(four.format(value));

const decimal = (value: number): string => typographic((Math.abs(value) < 10 ? three : two).format(value));

export const small = (value: number): string =>
  value !== 0 && Math.abs(value) < 0.001 ? typographic(value.toExponential(1)) : decimal(value);

/** As short as an axis needs. */
export const tick = (value: number): string => typographic(Number(value.toPrecision(3)).toString());

export const count = (value: number): string => whole.format(value);

/** A count with its unit, which stands in the plural. */
export const counted = (value: number, unit: string): string => `${count(value)} ${value === 1 ? unit.replace(/s$/, '') : unit}`;

/** Milliseconds as 0.4 s, 12 s, 3 min 05 s or 1 h 02 min. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return `${one.format(seconds)} s`;
  const rounded = Math.round(seconds);
  if (rounded < 60) return `${rounded} s`;
  const minutes = Math.floor(rounded / 60);
  if (minutes < 60) return `${minutes} min ${pad(rounded % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** A time that is not known to the second, or the second that it takes at most. */
export function roughly(seconds: number): string {
  if (seconds < 1) return 'less than 1 s';
  if (seconds < 90) return `about ${Math.round(seconds)} s`;
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${one.format(seconds / 3600)} h`;
}

const pad = (value: number) => String(value).padStart(2, '0');

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length, Math.floor(Math.log10(value) / 3));
  return `${number(value / 1000 ** power < 10 ? 1 : 0).format(value / 1000 ** power)} ${units[power - 1]}`;
}

/** Per second, or per minute when that is below one in two seconds. */
export const rate = (perSecond: number): string => (perSecond < 0.5 ? `${one.format(perSecond * 60)}/min` : `${one.format(perSecond)}/s`);

/** The value of a setting: numbers as they were written, lists with commas. */
export const setting = (value: number | boolean | string | readonly string[]): string =>
  typeof value === 'object'
    ? value.join(', ')
    : typeof value === 'boolean'
      ? value
        ? 'on'
        : 'off'
      : value === ''
        ? 'none'
        : String(value);

const dateTime = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

/** An ISO time as the reader's clock shows it. */
export const moment = (iso: string): string => dateTime.format(new Date(iso));

const date = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeZone: 'UTC' });

/** A day, YYYY-MM-DD. */
export const day = (iso: string): string => date.format(new Date(iso));

/** Bytes that come, with their rate and the time left: "3 MB of 8 MB · 2 MB/s · about 25 s left". */
export function bytesProgress({ done, total, rate, secondsLeft }: Progress): string {
  const parts = [`${bytes(done)} of ${bytes(total)}`];
  if (rate !== undefined && rate >= 1) parts.push(`${bytes(Math.round(rate))}/s`);
  if (secondsLeft !== undefined && secondsLeft >= 1) parts.push(`${roughly(secondsLeft)} left`);
  return parts.join(' · ');
}
