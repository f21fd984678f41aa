/** How far one gets on some questions without a model: what every accuracy on them has to be read beside. */
import { LABELS, type Question } from './dataset.ts';
import { type Interval, wilson } from './statistics.ts';
import { SHORTCUTS, type Shortcut, shortcutBaselines } from './tasks/shortcuts.ts';

export interface Baselines {
  /** Of a letter drawn at random. */
  readonly chance: number;
  /** Accuracy of each rule that does not read the question; see tasks/shortcuts.ts. */
  readonly shortcuts: Readonly<Record<Shortcut, number>>;
  /** The best of them, chosen on these very questions, so that it is rather too good than too bad; the first of equals. */
  readonly best: { readonly name: Shortcut; readonly accuracy: Interval };
}

/** @param train where the most frequent letter is counted. */
export function baselines(test: readonly Question[], train: readonly Question[]): Baselines {
  const shortcuts = shortcutBaselines(test, train);
  const name = SHORTCUTS.reduce((best, next) => (shortcuts[next] > shortcuts[best] ? next : best));
  return { chance: 1 / LABELS.length, shortcuts, best: { name, accuracy: wilson(shortcuts[name], test.length) } };
}
