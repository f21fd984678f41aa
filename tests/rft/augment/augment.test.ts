import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Seed } from '../../../src/base/random.ts';
import { type AugmentationState, augment, augmentedQuestions } from '../../../src/rft/augment/augment.ts';
import { type Rewriter, TemplateRewriter } from '../../../src/rft/augment/rewriter.ts';
import { type PartialConfig, resolveConfig } from '../../../src/rft/config.ts';
import { type Dataset, type Question, datasetOf, parseDataset } from '../../../src/rft/dataset.ts';
import type { AugmentMetricEvent, RewriteEvent, RunEvent } from '../../../src/rft/events.ts';
import type { StageContext } from '../../../src/rft/stage.ts';
import { taskById, taskOfQuestion, TASKS } from '../../../src/rft/tasks/registry.ts';
import { TabularPolicy } from '../tabular-policy.ts';

const frozen = (task: string): Promise<Dataset> =>
  parseDataset(`${task}.train`, readFileSync(new URL(`../../../public/data/${task}.train.jsonl`, import.meta.url), 'utf8'));

async function run(train: Dataset, rewriter: Rewriter, { seed = 1, ...changes }: PartialConfig = {}, from?: { done: number; state: AugmentationState }) {
  const saved: { step: number; state: AugmentationState }[] = [];
  const context: StageContext = {
    policy: new TabularPolicy(),
    config: resolveConfig(changes),
    train,
    test: train,
    validation: undefined,
    seed: Seed.of(seed),
    grade: () => {
      throw new Error('nothing is graded here');
    },
    compose: () => {
      throw new Error('nothing is prompted here');
    },
    embedderName: undefined,
    best: undefined,
    solved: [],
    loop: undefined,
    saveNow: () => false,
    changed: [],
    schedule: undefined,
    signal: undefined,
    now: () => 0,
    onProgress: undefined,
    done: from?.done ?? 0,
    save: (step, extra) => {
      saved.push({ step, state: JSON.parse(JSON.stringify(extra!.augmentation)) as AugmentationState });
      return Promise.resolve({ type: 'checkpoint' } as never);
    },
  };
  const events: RunEvent[] = [];
  const stage = augment(context, rewriter, from?.state);
  for (;;) {
    const { value, done } = await stage.next();
    if (done) return { state: value, events, saved, questions: augmentedQuestions(train.questions, value) };
    events.push(value);
  }
} // prettier-ignore

const metrics = (events: readonly RunEvent[]) =>
  events.filter((e): e is AugmentMetricEvent => e.type === 'metric' && e.stage === 'augment');
const rewrites = (events: readonly RunEvent[]) => events.filter((e): e is RewriteEvent => e.type === 'rewrite');
const keyText = ({ choices, answerKey }: Question) => choices.text[choices.label.indexOf(answerKey)];

describe.each(TASKS.map(({ id }) => id))('%s with templates', async (id) => {
  const train = await frozen(id);
  const { questions, events } = await run(train, new TemplateRewriter(train.questions));

  test('100 questions become 600: the originals first, then five wordings of each with its family', () => {
    expect(questions).toHaveLength(600);
    questions.slice(0, 100).forEach((question, family) => {
      const original = train.questions[family]!;
      expect(question).toEqual({ ...original, details: { ...original.details, family } });
    });
    expect(questions.slice(100).map(({ details }) => details!.family)).toEqual(Array.from({ length: 500 }, (_, i) => Math.floor(i / 5)));
    expect(new Set(questions.map(({ question }) => question)).size).toBe(600);
    expect(metrics(events).at(-1)).toMatchObject({ wanted: 500, accepted: 500, verified: 500, questions: 100, of: 100, rewriter: 'templates of the task' }); // prettier-ignore
  });

  test('every wording has the solution of its original, and the key on the same option', () => {
    for (const question of questions.slice(100)) {
      const original = train.questions[question.details!.family as number]!;
      expect(keyText(question)).toBe(keyText(original));
      expect([...question.choices.text].sort()).toEqual([...original.choices.text].sort());
      expect(taskOfQuestion(question)).toBe(taskById(id));
      const solution = taskById(id).solve(question);
      expect(solution.answer).toBe(question.answerKey);
      expect(solution.steps).toEqual(taskById(id).solve(original).steps);
      expect(question.details).toMatchObject({ phrasing: 'rewritten' });
    }
  });

  test('options are shuffled independently: each letter is right about equally often in each variation', () => {
    for (const letter of ['A', 'B', 'C', 'D']) {
      const share = questions.slice(100).filter(({ answerKey }) => answerKey === letter).length / 500;
      expect(Math.abs(share - 0.25)).toBeLessThan(0.07);
    }
    const orders = new Set(questions.slice(100, 105).map(({ choices }) => choices.text.join()));
    expect(orders.size).toBeGreaterThan(2);
  });
});

describe('the stage', async () => {
  const train = await frozen('T5');
  const templates = new TemplateRewriter(train.questions);
  const whole = await run(train, templates);

  test('is set by the seed', async () => {
    expect(await run(train, templates)).toEqual(whole);
    expect((await run(train, templates, { seed: 2 })).state).not.toEqual(whole.state);
  });

  test('goes on from each checkpoint to the same questions and counts', async () => {
    expect(whole.saved.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    for (const { step, state } of whole.saved) {
      const resumed = await run(train, templates, {}, { done: step, state });
      expect(resumed.state).toEqual(whole.state);
      expect(resumed.events).toEqual(whole.events.slice(-resumed.events.length));
    }
    expect((await run(train, templates, { checkpoint: { every: 0 } })).saved).toEqual([]);
  });

  test('shows at most record.samples of a batch, before and after', async () => {
    const shown = rewrites(whole.events);
    expect(shown).toHaveLength(5 * 16);
    expect(shown[16]).toMatchObject({ question: 20, text: train.questions[20]!.question, answer: train.questions[20]!.answerKey });
    for (const { variations } of shown) expect(variations).toHaveLength(5);
    expect(rewrites((await run(train, templates, { record: { samples: 0, inspected: 0 } })).events)).toEqual([]);
  });

  test('fewer variations, options in their order', async () => {
    const { questions } = await run(train, templates, { augment: { variants: 2, shuffle_options: false } });
    expect(questions).toHaveLength(300);
    for (const question of questions.slice(100)) {
      const original = train.questions[question.details!.family as number]!;
      expect([question.choices, question.answerKey]).toEqual([original.choices, original.answerKey]);
    }
  });

  test('each rejection is counted by its reason, and wanted is accepted and rejected together', async () => {
    const stem = train.questions[0]!.question;
    const [first, second] = taskById('T5').wordings(taskById('T5').parseStem(stem)!).filter((wording) => wording !== stem); // prettier-ignore
    const wrong = second!.replace(/\d/, (digit) => String((Number(digit) + 1) % 10));
    const other: Question = { ...train.questions[0]!, question: 'Name the metal of 3 g at 5 K in NaCl.', details: {} };
    const texts = [
      `${first} <sep> ${first} <sep> ${wrong} <sep> ${second}`,
      `Which metal of 3 g at 5 K is in NaCl? <sep> Name the metal of 3 g at 5 K in KCl. <sep> Name the metal of 3 kg at 5 K in NaCl. <sep> The metal of 3 g at 5 K in NaCl. <sep> ${'What '.repeat(400)} is the metal of 3 g at 5 K in NaCl?`,
      `${first} <sep> What forc`,
      '',
    ];
    const rewriter: Rewriter = {
      name: 'bad',
      rewrite: (stems) => Promise.resolve(stems.map((_, i) => ({ text: texts[i]!, finished: i !== 2 }))),
    };
    const few = await datasetOf('few', [train.questions[0]!, other, train.questions[0]!, other]);
    const { state, events } = await run(few, rewriter);
    expect(state.counts).toEqual({
      wanted: 20,
      accepted: 4,
      verified: 3,
      rejected: {
        missing: 9, cut_off: 1, repeated: 1, another_problem: 1, numbers_changed: 0, formulas_changed: 1, units_changed: 1, question_dropped: 1, too_long: 1,
      },
    }); // prettier-ignore
    expect(state.questions.map(({ details }) => details!.family)).toEqual([0, 0, 1, 2]);
    expect(state.questions[2]!.details).toEqual({ family: 1 });
    const [{ variations }] = rewrites(events) as [RewriteEvent];
    expect(variations[1]).toEqual({ text: first, accepted: false, reason: 'repeated', detail: first });
    expect(variations[2]).toMatchObject({ text: wrong, accepted: false, reason: 'another_problem' });
  });

  test('a rewriter of which nothing can be used ends the run, with the reasons', async () => {
    const mute: Rewriter = { name: 'mute', rewrite: (stems) => Promise.resolve(stems.map(() => ({ text: 'Hm.', finished: true }))) };
    await expect(run(train, mute)).rejects.toThrow('Of 500 variations that mute was to write none can be used: missing 400, ');
  });
});
