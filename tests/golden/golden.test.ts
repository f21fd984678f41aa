/** The golden files say what README.md says of them: a reader of the tests need not trust the script that wrote them. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GOLDEN_MODELS, goldenAdapter, goldenBatch, goldenBytes, goldenConfig, goldenTensors, goldenText } from './load.ts';

interface Manifest {
  readonly optimizer_step: { lr: number; betas: [number, number]; eps: number; weight_decay: number; max_grad_norm: number };
  readonly files: Record<string, { bytes: number; sha256: string }>;
}
const manifest = JSON.parse(goldenText('manifest.json')) as Manifest;

test('the manifest lists every golden file with its hash', () => {
  const folder = new URL('.', import.meta.url);
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.safetensors$|[/\\].*\.json$/.test(name));
  expect(found.map((name) => name.replaceAll('\\', '/')).sort()).toEqual(Object.keys(manifest.files).sort());
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const data = goldenBytes(name);
    expect([name, data.length, createHash('sha256').update(data).digest('hex')]).toEqual([name, bytes, sha256]);
  }
});

describe.each(GOLDEN_MODELS)('%s', (model) => {
  const { tokens, lengths, spans } = goldenBatch(model);
  const width = tokens[0]!.length;

  test.each(['expected_base', 'expected_adapter'])('%s: log-probs, entropy and loss follow from the logits', (file) => {
    const expected = goldenTensors(`${model}/${file}.safetensors`);
    const data = (name: string) => expected.get(name)!.data;
    const [logits, logprobs, entropy] = [data('logits'), data('logprobs'), data('entropy')];
    const vocab = goldenConfig(model).vocab_size;
    let loss = 0;
    let counted = 0;
    for (const [row, [start, end]] of spans.entries()) {
      for (let t = 0; t < width - 1; t++) {
        const at = row * (width - 1) + t;
        if (t + 1 >= lengths[row]!) {
          expect([logprobs[at], entropy[at]]).toEqual([0, 0]);
          continue;
        }
        const begin = (row * width + t) * vocab;
        const scores = [...logits.subarray(begin, begin + vocab)];
        const logSumExp = Math.log(scores.reduce((sum, score) => sum + Math.exp(score), 0));
        const logProbs = scores.map((score) => score - logSumExp);
        expect(logprobs[at]).toBeCloseTo(logProbs[tokens[row]![t + 1]!]!, 4);
        expect(entropy[at]).toBeCloseTo(-logProbs.reduce((sum, lp) => sum + Math.exp(lp) * lp, 0), 4);
        if (t + 1 >= start && t + 1 < end) {
          loss -= logprobs[at]!;
          counted++;
        }
      }
    }
    expect(data('loss')[0]).toBeCloseTo(loss / counted, 4);
  });

  test('the stepped adapter follows from the gradients: clipping by the global norm, then AdamW from zero moments', () => {
    const { lr, betas, eps, weight_decay, max_grad_norm } = manifest.optimizer_step;
    const gradients = goldenAdapter(model, 'adapter_gradients').layers;
    const stepped = goldenAdapter(model, 'adapter_stepped').layers;
    const squares = [...gradients.values()].flatMap(({ a, b }) => [...a, ...b]).reduce((sum, g) => sum + g * g, 0);
    const norm = goldenTensors(`${model}/expected_adapter.safetensors`).get('grad_norm')!.data[0]!;
    expect(norm).toBeCloseTo(Math.sqrt(squares), 4);
    expect(norm).toBeGreaterThan(max_grad_norm);
    let worst = 0;
    for (const [key, weights] of goldenAdapter(model).layers) {
      for (const side of ['a', 'b'] as const) {
        for (const [i, weight] of weights[side].entries()) {
          const g = (gradients.get(key)![side][i]! * max_grad_norm) / norm;
          const m = ((1 - betas[0]) * g) / (1 - betas[0]);
          const v = ((1 - betas[1]) * g * g) / (1 - betas[1]);
          const next = weight * (1 - lr * weight_decay) - (lr * m) / (Math.sqrt(v) + eps);
          worst = Math.max(worst, Math.abs(next - stepped.get(key)![side][i]!));
        }
      }
    }
    expect(worst).toBeLessThan(1e-6);
  });
});

test('the base gradients are of every weight of the model', () => {
  const shapes = (file: string) => [...goldenTensors(file)].map(([name, { shape }]) => [name, shape]);
  expect(shapes('llama/gradients.safetensors')).toEqual(shapes('llama/model.safetensors'));
  for (const { data } of goldenTensors('llama/gradients.safetensors').values()) expect(data.some((g) => g !== 0)).toBe(true);
});
