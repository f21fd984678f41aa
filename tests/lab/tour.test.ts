import { expect, test } from 'vitest';
import { STEP_IDS, type Seen, type StepId, advanced, nextStep } from '../../src/lab/tour/steps.ts';

const NOTHING: Seen = { place: 'start', finished: false, inspecting: false, finding: false, worked: undefined };
/** What each step asks for, as the tour sees it. */
const DOING: Readonly<Record<StepId, Partial<Seen>>> = {
  run: { finished: true },
  question: { place: 'data', worked: 'question' },
  tokens: { place: 'ppo', inspecting: true },
  beat: { place: 'ppo', worked: 'beat' },
  alpha: { place: 'reward', worked: 'alpha' },
  compare: { place: 'compare' },
  find: { finding: true },
  share: { place: 'notebook', worked: 'share' },
};

test('a step is done by what it asks for, and by nothing else that the tour asks for', () => {
  expect(advanced([], NOTHING)).toEqual([]);
  for (const id of STEP_IDS) expect(advanced([], { ...NOTHING, ...DOING[id] }), id).toEqual([id]);
});

test('steps are done in any order, each once, and stay done', () => {
  const orders = [STEP_IDS, [...STEP_IDS].reverse()];
  for (const order of orders) {
    let done: readonly StepId[] = [];
    for (const id of order) {
      expect(done).not.toContain(id);
      done = advanced(done, { ...NOTHING, ...DOING[id] });
      expect(advanced(done, { ...NOTHING, ...DOING[id] })).toBe(done);
      expect(advanced(done, NOTHING)).toBe(done);
    }
    expect(done).toEqual(order);
    expect(nextStep(done)).toBeUndefined();
  }
});

test('the next step is the first that is not done, whatever was done before it', () => {
  expect(nextStep([])).toBe(STEP_IDS[0]);
  expect(nextStep([STEP_IDS[0]!, STEP_IDS[2]!])).toBe(STEP_IDS[1]);
});
