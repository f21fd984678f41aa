/** The lab without a page. Each command is one function; what it resolves with is the process's exit code. */
import { InputError, LabError } from '../base/errors.ts';
import { GraderError } from '../rft/graders/grader.ts';
import { ablate } from './ablate/ablate.ts';
import { adapter } from './adapter.ts';
import { bench } from './bench.ts';
import { distill } from './distill/distill.ts';
import { evaluateModel } from './eval.ts';
import { fuzzLinks } from './fuzz-links.ts';
import { grade } from './grade.ts';
import { inspect } from './inspect.ts';
import { run } from './run.ts';
import { similar } from './similar.ts';
import { verify } from './verify.ts';

interface Command {
  readonly summary: string;
  run(args: readonly string[]): Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  adapter: { summary: 'Print the WebGPU adapter that would compute, as JSON.', run: adapter },
  run: {
    summary:
      'Run a notebook: lab run NOTEBOOK [--seed N] [--preset paper|repo|modern] [--set path=value] [--train FILE --test FILE] [--out FILE] [--adapter DIR] [--backend webgpu|cpu].',
    run,
  },
  verify: { summary: 'Replay the run of a record and compare: lab verify run.jsonl [--train FILE --test FILE].', run: verify },
  eval: {
    summary: 'Accuracy of a model on the test questions: lab eval --model NAME|FOLDER --task T3,T5|all [--n N].',
    run: evaluateModel,
  },
  ablate: {
    summary:
      'The paper’s table from one config: lab ablate [--notebook FILE] [--model mini] [--tasks all|T1,..] [--rows NAME,..] [--sweep NAME] [--seeds 1,2,3] [--updates N] [--set path=value] [--max-minutes M] [--parallel N] [--cache DIR] [--out DIR] [--pack FILE.tar] [--unpack FILE.tar].',
    run: ablate,
  },
  inspect: {
    summary:
      'What a file of questions holds and what is wrong with it: lab inspect FILE [--against TRAIN] [--answers FILE] [--model NAME|FOLDER] [--json].',
    run: inspect,
  },
  grade: {
    summary: 'Try a grader: lab grade --grader NAME|all --question FILE.jsonl --response TEXT|--bench [--set path=value] [--json].',
    run: grade,
  },
  similar: {
    summary: 'Training questions nearest to a text: lab similar --question TEXT [--task T4] [--n 3] [--embedder minilm|NAME|FOLDER].',
    run: similar,
  },
  'fuzz-links': { summary: 'Hostile links through the decoder: lab fuzz-links [--n N] [--seed S].', run: fuzzLinks },
  distill: {
    summary: 'Train bundled models and adapters: lab distill pico|mini|nano|teacher|foreign-teacher|rewriter|prm|all [--max-minutes M].',
    run: distill,
  },
  bench: { summary: 'Time a LoRA step, rollouts or kernels: lab bench train|rollout|kernels [--kernels] [--plain].', run: bench },
};

const usage = () => `Usage: lab <command> [options]

Commands
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`)
  .join('\n')}

Environment
  DAWN_NODE    path of a dawn.node to use in place of the npm package webgpu
  DAWN_OPTIONS options for Dawn, separated by semicolons, e.g. "adapter=NVIDIA"
`;

async function main([name = '--help', ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') {
    process.stdout.write(usage());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) throw new InputError(`There is no command "${name}".`, 'lab --help lists the commands.');
  return command.run(args);
}

function report(error: unknown): number {
  if (error instanceof LabError) process.stderr.write(`${error.message}\n${error.remedy}\n`);
  else process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return error instanceof InputError || error instanceof GraderError ? 2 : 1;
}

const code = await main(process.argv.slice(2)).catch(report);
// Dawn keeps the process alive, so it ends here, once everything written has gone out.
process.stdout.write('', () => process.exit(code));
