/** A short run of pico on the CPU, for tests of what is made of a run: its record and its adapter. */
import type { ExportedRun } from '../../src/export/provenance.ts';
import { openPolicy } from '../../src/model/open.ts';
import type { PeftFiles } from '../../src/model/peft.ts';
import { RunRecord } from '../../src/notebook/run-record.ts';
import { readRunEvents } from '../../src/notebook/record.ts';
import { setPaths } from '../../src/rft/config.ts';
import type { RunEvent } from '../../src/rft/events.ts';
import { runPipeline } from '../../src/rft/pipeline.ts';
import { picoData, picoFiles, tinyRun } from '../model/pico.ts';

export async function shortRun(): Promise<{ run: ExportedRun; adapter: PeftFiles }> {
  const policy = await openPolicy('pico', picoFiles(), { backend: 'cpu' });
  // Enough responses to a question for some to be right and others not.
  const config = setPaths(tinyRun(), [
    ['lora.rank', 2],
    ['data.train_questions', 4],
    ['synthesis.max_new_tokens', 24],
    ['ppo.questions_per_update', 2],
    ['ppo.samples_per_question', 4],
    ['ppo.max_new_tokens', 28],
    ['evaluation.limit', 3],
    ['evaluation.max_new_tokens', 24],
  ]);
  const events: RunEvent[] = [];
  for await (const event of runPipeline(policy, config, await picoData(), { appVersion: '9.9.9' })) events.push(event);
  const adapter = await policy.exportAdapter();
  const record = new RunRecord();
  record.add(events);
  const text = record.toJsonLines();
  return { run: { ...readRunEvents(text, 'run.jsonl'), record: text }, adapter };
}
