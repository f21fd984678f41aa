/**
 * A run as a Jupyter notebook (nbformat 4.5): its Markdown, each stage as a code cell that holds the stage's settings as data and the command
 * that computes it, and the figures as outputs. Python reads it; the computing is the lab's.
 */
import type { Config } from '../rft/config.ts';
import { changesOf } from '../rft/live.ts';
import { canonicalJson } from '../notebook/json.ts';
import { serializeNotebook } from '../notebook/schema.ts';
import type { Stage } from '../rft/events.ts';
import { chartSvg, chartText, chartsOf } from './charts.ts';
import { type ExportedRun, cellsOf, doneOf, notebookOf, titleOf } from './provenance.ts';
import { intervalText } from './text.ts';

/** The sections of the config that a stage is set by. */
const SECTIONS: Readonly<Record<Stage, readonly (keyof Config)[]>> = {
  evaluate_before: ['evaluation', 'grader'],
  augment: ['augment'],
  synthesize: ['synthesis', 'grader'],
  sft: ['lora', 'sft', 'icl'],
  ppo: ['lora', 'ppo', 'prm', 'reward', 'icl'],
  evaluate_after: ['evaluation', 'grader'],
};

type Output = { readonly output_type: string } & Readonly<Record<string, unknown>>;

export function jupyterNotebook(run: ExportedRun): string {
  const title = titleOf(run);
  const cells = cellsOf(run);
  const notebook = {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: 'python3', display_name: 'Python 3', language: 'python' },
      language_info: { name: 'python' },
      title,
      // The notebook itself, by which the lab opens this file again.
      openrft_lab: serializeNotebook(notebookOf(run)),
    },
    cells: [
      markdown('head', `# ${title}\n\n${headText(run)}`),
      ...cells.map((cell, i) =>
        cell.kind === 'markdown' ? markdown(`cell-${i + 1}`, cell.text) : stageCell(`cell-${i + 1}`, cell.stage, run),
      ),
    ],
  };
  return `${JSON.stringify(notebook, null, 1)}\n`;
}

function headText({ started, from, events }: ExportedRun): string {
  const changes = changesOf(events).map(({ update, path, value }) => ` --change ${update}:${path}=${String(value)}`);
  const whence = from === undefined ? '' : ` The run was not done where this was exported: its record came from ${from}.`;
  return (
    `A run of OpenRFT Lab ${started.app_version} with seed ${started.seed}.${whence} The lab opens this file as a notebook, and the run is done again, ` +
    'headless, from the file that it then saves:\n\n' +
    `    npm run lab -- run notebook.openrft.json --seed ${started.seed}${changes.join('')} --out run.jsonl\n`
  );
}

const markdown = (id: string, source: string) => ({ cell_type: 'markdown', id, metadata: {}, source });

function stageCell(id: string, stage: Stage, run: ExportedRun) {
  const { config } = run.started;
  const settings = Object.fromEntries(SECTIONS[stage].map((section) => [section, config[section]]));
  // JSON never holds three quotes in a row, and a raw string leaves its escapes alone.
  const source = `# Stage ${stage}, as data; the command above computes it.\nimport json\n\n${stage} = json.loads(r"""${canonicalJson(settings, 1)}""")`;
  return { cell_type: 'code', id, metadata: {}, execution_count: null, outputs: outputsOf(stage, run), source };
}

function outputsOf(stage: Stage, { events }: ExportedRun): Output[] {
  const charts = chartsOf(events).filter((chart) => chart.stage === stage);
  const figures = charts.map((chart): Output => ({
    output_type: 'display_data',
    metadata: {},
    data: { 'image/svg+xml': chartSvg(chart), 'text/plain': chartText(chart) },
  }));
  const said = events.flatMap((event) => {
    if (event.type !== 'metric' || event.stage !== stage) return [];
    if (event.stage === 'evaluate_before' || event.stage === 'evaluate_after')
      return [`Accuracy on ${event.n} questions: ${intervalText(event.accuracy)}\n`];
    return 'tries_histogram' in event ? [`Solved ${event.solved} of ${event.questions} questions in ${event.tries} tries\n`] : [];
  });
  const done = stage === 'evaluate_after' ? doneOf(events) : undefined;
  if (done) said.push(`Difference: ${intervalText(done.accuracy.difference)}\n`);
  return [...(said.length > 0 ? [{ output_type: 'stream', name: 'stdout', text: said.join('') }] : []), ...figures];
}
