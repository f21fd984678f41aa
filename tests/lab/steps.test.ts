import { describe, expect, test } from 'vitest';
import { LAB_STEPS, READ_AT, standsIn } from '../../src/lab/reading/steps.ts';
import { STAGES } from '../../src/rft/events.ts';
import { STEP_SIZES } from '../../src/workers/protocol.ts';

test('the run bar offers every size of the run, after those of reading', () => {
  expect(Object.keys(LAB_STEPS)).toEqual(['token', 'reasoning_step', ...STEP_SIZES]);
});

describe('a stage without pieces of a size says what a step is there', () => {
  test('tokens are read of every stage that draws responses, and of no other', () => {
    const read = Object.values(READ_AT).flat();
    for (const stage of STAGES)
      expect([stage, standsIn('token', stage, 'webgpu') === '']).toEqual([stage, (read as string[]).includes(stage)]);
  });

  test('micro-batches are of training, on a GPU', () => {
    const apply = STAGES.filter((stage) => standsIn('micro_batch', stage, 'webgpu') === '');
    expect(apply).toEqual(['sft', 'ppo']);
    expect(standsIn('micro_batch', 'ppo', 'cpu')).toContain('CPU');
    for (const stage of STAGES) expect(standsIn('batch', stage, 'cpu') + standsIn('update', stage, 'cpu')).toBe('');
  });
});
