/** The lab without a page. Each command is one function; what it resolves with is the process's exit code. */
import { InputError, LabError } from '../base/errors.ts';
import { GraderError } from '../rft/graders/grader.ts';
import { ABLATE_OPTIONS, ablate } from './ablate/ablate.ts';
import { adapter } from './adapter.ts';
import { BENCH_OPTIONS, bench } from './bench.ts';
import { DISTILL_OPTIONS, distill } from './distill/distill.ts';
import { DISTILLED } from './distill/recipes.ts';
import { EVAL_OPTIONS, evaluateModel } from './eval.ts';
import { EXPORT_CLUSTER_OPTIONS, exportCluster } from './export-cluster.ts';
import { EXPORT_OPTIONS, exportRun } from './export.ts';
import { FUZZ_OPTIONS, fuzzLinks } from './fuzz-links.ts';
import { GRADE_OPTIONS, grade } from './grade.ts';
import { INSPECT_OPTIONS, inspect } from './inspect.ts';
import { type Options, describeOptions } from './options.ts';
import { RECORDING_OPTIONS, recording } from './recording.ts';
import { RUN_OPTIONS, run } from './run.ts';
import { SIMILAR_OPTIONS, similar } from './similar.ts';
import { VERIFY_OPTIONS, verify } from './verify.ts';

interface Command {
  readonly summary: string;
  /** What stands after the name, before the flags. */
  readonly takes?: string;
  readonly options: Options;
  run(args: readonly string[]): Promise<number>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  run: { summary: 'Run a notebook; its events come out as JSON lines.', takes: 'NOTEBOOK', options: RUN_OPTIONS, run },
  verify: { summary: 'Replay the run of a record and compare.', takes: 'run.jsonl', options: VERIFY_OPTIONS, run: verify },
  recording: {
    summary: 'A finished run of a bundled notebook, packed for the page to play.',
    takes: 'NAME run.jsonl',
    options: RECORDING_OPTIONS,
    run: recording,
  },
  eval: { summary: 'Accuracy of a model on the test questions, as JSON.', options: EVAL_OPTIONS, run: evaluateModel },
  export: { summary: 'A run in the formats of other tools.', takes: 'run.jsonl', options: EXPORT_OPTIONS, run: exportRun },
  'export-cluster': {
    summary: 'A notebook for TRL, or for OpenRLHF on Ray.',
    takes: 'NOTEBOOK',
    options: EXPORT_CLUSTER_OPTIONS,
    run: exportCluster,
  },
  ablate: { summary: 'The paper’s table, or a sweep, from one config.', options: ABLATE_OPTIONS, run: ablate },
  inspect: { summary: 'What a file of questions holds and what is wrong with it.', takes: 'FILE', options: INSPECT_OPTIONS, run: inspect },
  grade: { summary: 'Try a grader on a response, or on bad ones.', options: GRADE_OPTIONS, run: grade },
  similar: { summary: 'Training questions nearest to a text.', options: SIMILAR_OPTIONS, run: similar },
  adapter: { summary: 'Print the WebGPU adapter that would compute, as JSON.', options: {}, run: adapter },
  distill: { summary: 'Train bundled models and adapters.', takes: `${DISTILLED.join('|')}|all …`, options: DISTILL_OPTIONS, run: distill },
  bench: { summary: 'Time a LoRA step, rollouts or kernels.', takes: 'train|rollout|kernels', options: BENCH_OPTIONS, run: bench },
  'fuzz-links': { summary: 'Hostile links through the decoder.', options: FUZZ_OPTIONS, run: fuzzLinks },
};

const usage = () => `Usage: lab <command> [options]

Commands
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(14)} ${summary}`)
  .join('\n')}

lab <command> --help lists its flags. Exit codes: 0 done; 1 a fault, or figures that were not reproduced; 2 something given can't be used;
3 stopped before the end, with a checkpoint to go on from.

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
  if (args.includes('--help') || args.includes('-h')) {
    const takes = command.takes === undefined ? '' : ` ${command.takes}`;
    process.stdout.write(`Usage: lab ${name}${takes} [flags]\n\n${command.summary}\n\n${describeOptions(command.options)}\n`);
    return 0;
  }
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
