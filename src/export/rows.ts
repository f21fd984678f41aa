/** What a run's record holds, as tables: a row for each rollout, preference pair, SFT example or metric event. */
import { InputError } from '../base/errors.ts';
import type { MetricEvent, RoundEvent, RunEvent, RunStartedEvent, SampleEvent } from '../rft/events.ts';
import { type ScheduledChange, changesOf, withChanges } from '../rft/live.ts';
import { reweigh } from '../rft/reward/counterfactual.ts';

/** JSON values by column. */
export type Row = Readonly<Record<string, unknown>>;

/** The events of a run, finished or not. */
export interface RecordedRun {
  readonly started: RunStartedEvent;
  readonly events: readonly RunEvent[];
}

/** A sample with the prompt that the record gives once for each question. */
export interface PromptedSample extends SampleEvent {
  readonly prompt: string;
}

/** Every response of the record, in its order. */
export function promptedSamples({ events }: RecordedRun): PromptedSample[] {
  const prompts = new Map<string, string>();
  return events
    .filter((event) => event.type === 'sample')
    .map((sample) => {
      const key = `${sample.stage} ${sample.update ?? ''} ${sample.question}`;
      const prompt = sample.prompt ?? prompts.get(key);
      if (prompt === undefined) {
        throw new InputError(
          `The record has no prompt for question ${sample.question} of ${sample.stage}.`,
          'Choose the record as the lab wrote it, with all of its lines.',
        );
      }
      prompts.set(key, prompt);
      return { ...sample, prompt };
    });
}

/** Responses of all stages, without the numbers of each token. */
export function rolloutRows(run: RecordedRun): Row[] {
  return promptedSamples(run).map((sample) => ({
    stage: sample.stage,
    update: sample.update ?? null,
    question: sample.question,
    sample: sample.sample,
    prompt: sample.prompt,
    response: sample.text,
    outcome: sample.outcome,
    answer: sample.answer ?? null,
    reward: sample.reward,
    process_reward: sample.process_reward ?? null,
    step_scores: sample.step_scores?.map(({ score }) => score) ?? null,
    sub_rewards: sample.sub_rewards ?? null,
    response_length: sample.response_length,
    source: sample.source ?? null,
    nll: sample.nll ?? null,
  }));
}

/**
 * What an RL rollout earned, under the settings in force at its update: alpha of its outcome and the rest of its steps (paper, section
 * 2.3.2), without terms of form.
 */
function earned(sample: SampleEvent, { config }: RunStartedEvent, changes: readonly ScheduledChange[]): number {
  if (!sample.step_scores) return sample.reward;
  const { ppo, prm } = withChanges(config, changes.filter(({ update }) => update <= sample.update!)); // prettier-ignore
  return reweigh(sample, { alpha: ppo.alpha, aggregation: prm.aggregation, temperature: prm.temperature }).reward;
}

/**
 * Preference pairs in TRL's format with explicit prompts: of each question of each update the best and the worst recorded response,
 * where their rewards differ; the first of equals.
 */
export function preferenceRows(run: RecordedRun): Row[] {
  const changes = changesOf(run.events);
  const groups = new Map<string, PromptedSample[]>();
  for (const sample of promptedSamples(run)) {
    if (sample.stage !== 'ppo') continue;
    const key = `${sample.update!} ${sample.question}`;
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  return [...groups.values()].flatMap((group): Row[] => {
    const scored = group.map((sample) => ({ sample, score: earned(sample, run.started, changes) }));
    const chosen = scored.reduce((a, b) => (b.score > a.score ? b : a));
    const rejected = scored.reduce((a, b) => (b.score < a.score ? b : a));
    if (chosen.score === rejected.score) return [];
    const { prompt, update, question } = chosen.sample;
    return [
      {
        prompt,
        chosen: chosen.sample.text,
        rejected: rejected.sample.text,
        score_chosen: chosen.score,
        score_rejected: rejected.score,
        update,
        question,
      },
    ];
  });
}

/** How an example of SFT is laid out: as a chat, or as TRL's prompt and completion. */
export const SFT_SHAPES = ['messages', 'completion'] as const;
export type SftShape = (typeof SFT_SHAPES)[number];

/** What SFT learned from: the responses that synthesis kept, with the question as synthesis asked it, without examples in context. */
export function sftRows(run: RecordedRun, shape: SftShape): Row[] {
  return promptedSamples(run)
    .filter(({ stage }) => stage === 'synthesize')
    .map(({ prompt, text, question, source, outcome }) => ({
      ...(shape === 'messages'
        ? {
            messages: [
              { role: 'user', content: prompt },
              { role: 'assistant', content: text },
            ],
          }
        : { prompt, completion: text }),
      question,
      source: source ?? null,
      outcome,
    }));
}

/** Every metric event and every round of the loop, nested fields under dotted names; fields that an event lacks are null, so that all rows have the same columns. */
export function metricRows({ events }: RecordedRun): Row[] {
  const rows = events.filter((event) => event.type === 'metric' || event.type === 'round').map(flattened);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return rows.map((row) => Object.fromEntries(columns.map((column) => [column, row[column] ?? null])));
}

function flattened({ type: _, ...event }: MetricEvent | RoundEvent): Row {
  const flat = (name: string, value: unknown): [string, unknown][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([part, inner]) => flat(`${name}.${part}`, inner))
      : [[name, value]];
  return Object.fromEntries(Object.entries(event).flatMap(([name, value]) => flat(name, value)));
}
