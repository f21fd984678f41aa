import { expect, test } from 'vitest';
import { Seed } from '../../src/base/random.ts';
import {
  CLEAN_SHARES,
  corpusDocument,
  DEFAULT_SHARES,
  type CorpusDocument,
  type Quality,
  READING_KINDS,
  readingDocument,
  rewritingDocument,
} from '../../src/rft/corpus.ts';
import { END_OF_EXAMPLES, extractAnswer, formatPrompt, splitSteps } from '../../src/rft/tasks/format.ts';
import { PICO_TASKS, taskOfQuestion, TASKS } from '../../src/rft/tasks/registry.ts';
import { frozenQuestions } from '../../scripts/freeze-questions.ts';
import { problemKey, splitOf } from '../../src/rft/tasks/kinds.ts';

const seed = Seed.of(5);
const COUNT = 2500;
const documents = Array.from({ length: COUNT }, (_, i) => corpusDocument(seed, i, { tasks: TASKS }));
const share = (of: (document: CorpusDocument) => boolean) => documents.filter(of).length / COUNT;

test('a document depends on seed and index alone', () => {
  expect(corpusDocument(seed, 1234, { tasks: TASKS })).toEqual(documents[1234]);
  expect(corpusDocument(Seed.of(6), 1234, { tasks: TASKS })).not.toEqual(documents[1234]);
});

test('qualities occur with their shares, and tasks evenly', () => {
  for (const [quality, expected] of Object.entries(DEFAULT_SHARES)) {
    expect(Math.abs(share((document) => document.quality === quality) - expected)).toBeLessThan(0.03);
  }
  for (const { id } of TASKS) expect(Math.abs(share(({ question }) => question.details.task === id) - 1 / TASKS.length)).toBeLessThan(0.03);
});

test('labels are what a reader of the text finds', () => {
  for (const { question, response, steps, answerRight, quality } of documents) {
    const lines = splitSteps(response);
    expect(lines.map((line, i) => taskOfQuestion(question)!.checkStep(question, lines.slice(0, i), line))).toEqual(steps);
    expect(extractAnswer(response) === question.answerKey).toBe(answerRight);
    const allRight: Partial<Record<Quality, boolean>> = { clean: true, wrong_letter: true };
    expect(steps.every((label) => label === 'right')).toBe(allRight[quality] ?? false);
    expect(answerRight).toBe(quality === 'clean' || quality === 'lucky');
  }
});

test('at least 15 % of documents are few-shot, with one to three answered questions of the same task', () => {
  expect(share(({ shots }) => shots > 0)).toBeGreaterThan(0.15);
  expect(new Set(documents.map(({ shots }) => shots))).toEqual(new Set([0, 1, 2, 3]));
  for (const { prompt, question, shots } of documents) {
    expect(prompt.split('Question: ')).toHaveLength(shots + 2);
    expect(prompt.includes(END_OF_EXAMPLES)).toBe(shots > 0);
    expect(prompt.endsWith(formatPrompt(question))).toBe(true);
  }
});

test('phrasing A only, and no problem of a frozen file', () => {
  const frozen = new Set<string>();
  for (const task of TASKS) {
    const { train, test: tested } = frozenQuestions(task);
    for (const question of [...train, ...tested]) frozen.add(problemKey(task.id, task.parseStem(question.question)!));
  }
  for (const { prompt, question } of documents) {
    expect(question.details.phrasing).toBe('A');
    for (const [, stem] of prompt.matchAll(/^Question: (.+)$/gm)) {
      const task = taskOfQuestion(question)!;
      expect(frozen.has(problemKey(task.id, task.parseStem(stem!)!))).toBe(false);
    }
  }
});

test('options choose tasks, shares and few-shot documents', () => {
  const options = { tasks: PICO_TASKS, shares: CLEAN_SHARES, fewShot: 0 };
  for (let i = 0; i < 200; i++) {
    const document = corpusDocument(seed, i, options);
    expect(PICO_TASKS.map(({ id }) => id)).toContain(document.question.details.task);
    expect([document.quality, document.shots, document.answerRight]).toEqual(['clean', 0, true]);
  }
});

test('foreign steps: the same documents but for the form of their steps, which the checker of no task reads', () => {
  for (let i = 0; i < 400; i++) {
    const own = documents[i]!;
    const foreign = corpusDocument(seed, i, { tasks: TASKS, steps: 'foreign' });
    expect({ ...foreign, response: '' }).toEqual({ ...own, response: '' });
    expect(extractAnswer(foreign.response)).toBe(extractAnswer(own.response));
    const lines = splitSteps(foreign.response);
    splitSteps(own.response).forEach((step, at) => {
      const [, symbol, formula, numbers, value] = /^Step \d+: (\w+)=(.+)=(.+)=([^=]+)$/.exec(step)!;
      expect(lines[at]).toBe(`So ${symbol} from ${numbers} as ${value} by ${formula}`);
      expect(taskOfQuestion(own.question)!.checkStep(own.question, lines.slice(0, at), lines[at]!)).toBe('unparseable');
    });
    expect(lines).toHaveLength(own.steps.length);
  }
});

test.each(READING_KINDS)('%s reading practice ends in the letter of the option that its last step names', (kind) => {
  for (let i = 0; i < 400; i++) {
    const { prompt, response } = readingDocument(seed, i, { tasks: TASKS, kind });
    expect(readingDocument(seed, i, { tasks: TASKS, kind })).toEqual({ prompt, response });
    expect(/^Question: (Which option is x|Find x|What is x)/.test(prompt)).toBe(kind !== 'worked');
    const told = /=([^=\s]+)(?: \S+)?$/.exec(splitSteps(response).at(-1)!)![1]!;
    const options = new Map([...prompt.matchAll(/^([A-D])\. (.*)$/gm)].map(([, letter, text]) => [text, letter]));
    expect(options.size).toBe(4);
    // An option that is a word is what the number means, and stands in no step.
    if (options.has(told)) expect(extractAnswer(response)).toBe(options.get(told));
    else expect([...options.keys()].every((text) => /^[a-z]/.test(text!))).toBe(true);
  }
});

test('rewriting practice: a stem in phrasing A, then five other wordings of the same problem, none of C, none of a frozen file', () => {
  const wordings = new Map<string, Set<string>>();
  for (let i = 0; i < 2000; i++) {
    const { prompt, response } = rewritingDocument(seed, i, { tasks: TASKS });
    if (i < 100) expect(rewritingDocument(seed, i, { tasks: TASKS })).toEqual({ prompt, response });
    const stem = /\nQuestion: (.+)\nVariations:\n$/.exec(prompt)![1]!;
    const variations = response.split(' <sep> ');
    expect(new Set([stem, ...variations]).size, response).toBe(6);
    const task = TASKS.find((candidate) => candidate.parseStem(stem))!;
    const problem = task.parseStem(stem)!;
    expect(splitOf(problemKey(task.id, problem))).toBe('corpus');
    const allowed = task.wordings(problem);
    // A comes first in the list, and has two or three wordings.
    expect(allowed.slice(0, 3)).toContain(stem);
    for (const variation of variations) expect(allowed).toContain(variation);
    const seen = wordings.get(`${task.id} ${problem.subtask}`) ?? new Set();
    for (const variation of variations) seen.add(String(allowed.indexOf(variation)));
    wordings.set(`${task.id} ${problem.subtask}`, seen);
  }
  // Every wording of every subtask is a target.
  expect(wordings.size).toBe(TASKS.flatMap(({ subtasks }) => subtasks).length);
  for (const [subtask, seen] of wordings) expect(seen.size, subtask).toBeGreaterThanOrEqual(7);
});
