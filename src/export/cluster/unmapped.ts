/** What became of the settings: MAPPED.md says it of each, UNMAPPED.md what is not the same in the other trainer, and why. */
import { configFields, getPath } from '../../rft/config.ts';
import type { ScheduledChange } from '../../rft/live.ts';
import { meaningOf } from './arguments.ts';
import type { Facts } from './meaning.ts';
import { PINNED, TARGETS, type Target, missing, targetsOf } from './targets.ts';

interface Difference {
  readonly sentence: string;
  readonly settings: readonly { readonly path: string; readonly value: string }[];
}

/** Settings of one sentence stand together, in the order of the config. */
export function differencesOf(target: Target, facts: Facts): Difference[] {
  const found = new Map<string, { path: string; value: string }[]>();
  for (const { path } of configFields) {
    const sentence = meaningOf(path, target).differs?.(facts);
    if (sentence === undefined) continue;
    found.set(sentence, [...(found.get(sentence) ?? []), { path, value: JSON.stringify(getPath(facts.config, path)) }]);
  }
  return [...found].map(([sentence, settings]) => ({ sentence, settings }));
}

/** What no setting stands for. */
const ALWAYS: Readonly<Record<Target, readonly string[]>> = {
  trl: ['A response ends at any end token of the model’s generation settings, in the lab at the tokenizer’s alone.'],
  openrlhf: [
    'Weights and gradients of the trainer are bf16, those of the lab are 32-bit floats; merging adapter/ into the base rounds it to bf16.',
    'Training goes on with a new LoRA adapter over base and adapter merged, which is the same function at the start; the lab goes on with the adapter itself.',
    'vLLM samples, and its log-probs differ from the trainer’s by rounding; the trainer’s own are the old ones, as in the lab.',
    'Under group_norm the spread of a group has 1e-9 added to it, in the lab 1e-4.',
    'A reward that can’t be computed is logged and left out by OpenRLHF, and the run then stops for want of a reward.',
  ],
};

export function unmappedText(facts: Facts, changes: readonly ScheduledChange[]): string {
  const { algorithm } = facts.config.ppo;
  const there = targetsOf(algorithm);
  const sections = TARGETS.map((target) => {
    const { title, version } = PINNED[target];
    const head = `## ${title} ${version}\n\n`;
    if (!there.includes(target)) return `${head}${missing(target, algorithm)} There is no folder ${target}/.\n`;
    const differences = differencesOf(target, facts).map(
      ({ sentence, settings }) => `${sentence}\n\n${settings.map(({ path, value }) => `- \`${path}\`: \`${value}\`\n`).join('')}\n`,
    );
    return `${head}${differences.join('')}Whatever the settings:\n\n${ALWAYS[target].map((line) => `- ${line}\n`).join('')}`;
  });
  const changed = changes
    .map(({ update, path, value }) => `- from update ${update} on, \`${path}\`: \`${JSON.stringify(value)}\`\n`)
    .join('');
  return `# What is not the same outside the lab

Settings of the lab's config by path and value. A setting that is not named means the same there: it is an argument of the trainer, or one of the files of the bundle carries it.

${changed === '' ? '' : `Changed while the run went on, and not made again here:\n\n${changed}\n`}${sections.join('\n')}`;
}

/** A setting that differs may all the same have an argument that comes near it. */
function became(path: string, target: Target, facts: Facts): string {
  const { to, by, differs } = meaningOf(path, target);
  const given = Object.entries(to?.(facts) ?? {}).map(([name, value]) => `\`${name}\` ${JSON.stringify(value)}`);
  const what = given.length > 0 ? given.join(', ') : (by ?? '');
  return [what, ...(differs?.(facts) === undefined ? [] : ['see UNMAPPED.md'])].filter((text) => text !== '').join('; ');
}

export function mappedText(facts: Facts): string {
  const targets = targetsOf(facts.config.ppo.algorithm);
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  const lines = configFields.map(({ path }) =>
    row([`\`${path}\``, `\`${JSON.stringify(getPath(facts.config, path))}\``, ...targets.map((target) => became(path, target, facts))]),
  );
  return `# What each setting became

${row(['setting', 'value', ...targets.map((target) => `${PINNED[target].title} ${PINNED[target].version}`)])}${row(Array.from({ length: targets.length + 2 }, () => '---'))}${lines.join('')}`;
}
