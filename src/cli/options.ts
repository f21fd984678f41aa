/** The flags of a command: what they are called, what they mean, and what is wrong with one that can't be read. */
import { parseArgs } from 'node:util';
import { InputError } from '../base/errors.ts';

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly default?: string | boolean | string[];
  readonly multiple?: boolean;
  readonly about: string;
  /** What stands for the value in the help, e.g. FILE. */
  readonly value?: string;
}

export type Options = Readonly<Record<string, Option>>;

/**
 * What a command line gives, by Node's own parser. `positionals` are refused where the command takes none.
 * @throws InputError for a flag that the command has not, or one without its value.
 */
export function readOptions<const O extends Options>(args: readonly string[], options: O, allowPositionals = false) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals, tokens: true });
  } catch (cause) {
    if (!String((cause as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')) throw cause;
    throw new InputError((cause as Error).message.split('. ')[0]!.replace(/\.?$/, '.'), 'With --help the command lists its flags.', {
      cause,
    });
  }
}

/** One line for each flag. */
export function describeOptions(options: Options): string {
  const all: Options = { ...options, help: { type: 'boolean', about: 'This text.' } };
  const lines = Object.entries(all).map(([name, option]) => {
    const flag = `--${name}${option.type === 'string' ? ` ${option.value ?? 'TEXT'}` : ''}`;
    const standing =
      option.default === undefined || option.default === false || String(option.default) === '' ? '' : ` (${String(option.default)})`;
    return `  ${flag.padEnd(28)} ${option.about}${option.multiple ? ' May be given more than once.' : standing}`;
  });
  return lines.join('\n');
}
