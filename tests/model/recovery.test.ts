/** The whole pipeline on the real engine and the bundled pico: reproducible, steppable, and unharmed by a device that goes away. */
import { expect, test } from 'vitest';
import { nodeGpu } from '../../src/cli/dawn.ts';
import { GpuPolicy } from '../../src/model/gpu-policy.ts';
import { memoryNeeded, runSizes } from '../../src/model/memory.ts';
import { inspectModel, openPolicy } from '../../src/model/open.ts';
import { type RunEvent, withoutTime } from '../../src/rft/events.ts';
import type { Policy } from '../../src/rft/policy.ts';
import { longestPrompt } from '../../src/rft/prompts.ts';
import { runWithRecovery } from '../../src/rft/recovery.ts';
import { SMALL_BUFFERS } from './memory-suite.ts';
import { picoData, picoFiles, tinyRun } from './pico.ts';

async function runPico(
  onEvent: (event: RunEvent, policy: Policy) => void | Promise<void>,
): Promise<{ events: RunEvent[]; adapter: string; bytes: number }> {
  const gpu = await nodeGpu();
  const files = picoFiles();
  let policy!: Policy;
  const open = async () => (policy = await openPolicy('pico', files, { backend: 'webgpu', gpu }));
  const events: RunEvent[] = [];
  for await (const event of runWithRecovery(open, tinyRun(), await picoData())) {
    events.push(event);
    await onEvent(event, policy);
  }
  if (!(policy instanceof GpuPolicy)) throw new Error('the run was not on the GPU');
  const bytes = policy.bytesAllocated;
  const { 'adapter_model.safetensors': weights } = await policy.exportAdapter();
  await policy.dispose();
  return { events, adapter: Buffer.from(weights).toString('base64'), bytes };
}

const isUpdate = (event: RunEvent, update: number) => event.type === 'metric' && event.stage === 'ppo' && event.update === update;

test(
  'a run that was paused between events, and one that lost its device twice, end with the bytes of an undisturbed one',
  { timeout: 240_000 },
  async () => {
    const plain = await runPico(() => undefined);
    expect(plain.events.at(-1)!.type).toBe('done');
    const { tokenizer, config } = await inspectModel('pico', picoFiles());
    const { train, test } = await picoData();
    const longest = longestPrompt(tokenizer, [...train.questions, ...test.questions]);
    const sizes = runSizes(tinyRun(), longest, { train: train.questions.length, test: test.questions.length });
    expect(plain.bytes).toBeLessThan(memoryNeeded(config, sizes, { software: true }).total + SMALL_BUFFERS);

    const paused = await runPico((event) =>
      event.type === 'metric' ? new Promise<void>((resolve) => setTimeout(resolve, 20)) : undefined,
    );
    expect(paused.adapter).toBe(plain.adapter);
    expect(paused.events.map(withoutTime)).toEqual(plain.events.map(withoutTime));

    let losses = 0;
    const lost = await runPico((event, policy) => {
      if ((losses === 0 && event.type === 'metric' && event.stage === 'sft') || (losses === 1 && isUpdate(event, 1))) {
        losses += 1;
        if (policy instanceof GpuPolicy) policy.device.destroy();
      }
    });
    expect(losses).toBe(2);
    const warnings = lost.events.filter((event) => event.type === 'warning');
    expect(warnings.map(({ code }) => code)).toEqual(['gpu-device-lost', 'gpu-device-lost']);
    expect(lost.adapter).toBe(plain.adapter);
    expect(withoutTime(lost.events.at(-1)!)).toBe(withoutTime(plain.events.at(-1)!));
  },
);
