/** Figures in words, as the command line writes them: shares with three decimals. */
import type { LoraConfig } from '../rft/policy.ts';
import type { Interval } from '../rft/statistics.ts';

export const share = (value: number): string => value.toFixed(3);

/** Mean and 95 % interval. */
export const intervalText = ({ mean, lo, hi }: Interval): string => `${share(mean)} (${share(lo)} to ${share(hi)})`;

export const loraText = ({ rank, alpha, rslora, targets }: Omit<LoraConfig, 'dropout'>): string =>
  `LoRA of rank ${rank}, alpha ${alpha}${rslora ? ', rank-stabilised' : ''}, on ${targets.join(', ')}`;

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text inside HTML or SVG, in an element or in a quoted attribute. */
export const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
