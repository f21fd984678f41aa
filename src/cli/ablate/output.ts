/** The files of an ablation's table, from what the cache holds. The same results give the same bytes, however they were come by. */
import { createHash } from 'node:crypto';
import type { Plan } from '../../rft/ablation/plan.ts';
import { csvTable, latexTable, markdownTable } from '../../rft/ablation/render.ts';
import { type CellResult, ablationTable } from '../../rft/ablation/table.ts';
import { type Config, configDifferences } from '../../rft/config.ts';
import type { EvaluationMetricEvent } from '../../rft/events.ts';
import type { JobCache } from './cache.ts';

export interface TableSource {
  readonly title: string;
  /** What all rows are laid over. */
  readonly base: Config;
  /** What makes the table anew. */
  readonly command: string;
}

/** @param plan all of whose jobs are done. */
export async function tableFiles(plan: Plan, cache: JobCache, { title, base, command }: TableSource) {
  const table = ablationTable(await cellResults(plan, cache));
  const { adapter, commits, events_sha256 } = await provenance(plan, cache);
  const record = { version: 1, title, command, commits, adapter, events_sha256, config: configDifferences(base), ...table };
  const caption = [
    `${title}. ${base.model} on ${adapter}, seeds ${table.seeds.join(', ')}. The lab’s own tasks: not to be compared with the paper’s figures.`,
    '',
    `\`${command}\``,
    '',
    `Events: sha256 ${events_sha256}; code: ${commits.join(', ') || 'no checkout'}.`,
  ];
  return {
    commits,
    files: {
      json: `${JSON.stringify(record, null, 1)}\n`,
      md: markdownTable(table, caption),
      csv: csvTable(table),
      tex: latexTable(table, caption),
    },
  };
}

/** What each cell of a plan came to. */
async function cellResults({ cells }: Plan, cache: JobCache): Promise<CellResult[]> {
  const results: CellResult[] = [];
  for (const { result, ...cell } of cells) {
    const events = await cache.events(result);
    const { right, samples_per_question, baselines } = events.find(
      (event): event is EvaluationMetricEvent => event.type === 'metric' && event.stage === result.stage,
    )!;
    results.push({ ...cell, right, samples_per_question, baselines: baselines! });
  }
  return results;
}

/** Where the results of a plan come from: the hash of all its events, the devices and the versions of the code. */
async function provenance({ jobs }: Plan, cache: JobCache) {
  const hash = createHash('sha256');
  const adapters = new Set<string>();
  const commits = new Set<string>();
  for (const job of jobs) {
    const { key, events_sha256, adapter, commit } = (await cache.record(job))!;
    hash.update(`${key} ${events_sha256}\n`);
    adapters.add(adapter);
    if (commit) commits.add(commit);
  }
  return { adapter: [...adapters].sort().join('; '), commits: [...commits].sort(), events_sha256: hash.digest('hex') };
}
