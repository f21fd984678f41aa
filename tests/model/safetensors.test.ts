import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { floatToHalf, floatsToHalves, halvesToFloats } from '../../src/model/float16.ts';
import { type WeightTensor, parseSafetensors, writeSafetensors } from '../../src/model/safetensors.ts';
import { GOLDEN_MODELS, goldenBytes, goldenTensors } from '../golden/load.ts';

fc.configureGlobal({ seed: 1 });

const bits = (data: Float32Array) => [...new Uint32Array(data.buffer, data.byteOffset, data.length)];

/** A file with this header text and so many data bytes. */
function file(header: string, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const tensorsArbitrary = fc.dictionary(
  fc.string({ unit: 'grapheme', maxLength: 20 }).filter((name) => name !== '__metadata__'),
  fc
    .array(fc.nat(4), { maxLength: 3 })
    .chain((shape) =>
      fc
        .float32Array({ minLength: shape.reduce((x, y) => x * y, 1), maxLength: shape.reduce((x, y) => x * y, 1) })
        .map((data): WeightTensor => ({ shape, data })),
    ),
  { maxKeys: 6, noNullPrototype: true },
);

describe('writing and reading', () => {
  test('any tensors come back bit for bit, whatever their order', () => {
    fc.assert(
      fc.property(tensorsArbitrary, (tensors) => {
        const entries = Object.entries(tensors);
        const bytes = writeSafetensors(entries, { dtype: 'F32', metadata: { format: 'pt' } });
        expect(writeSafetensors(entries.toReversed(), { dtype: 'F32', metadata: { format: 'pt' } })).toEqual(bytes);
        const read = parseSafetensors(bytes, 'file');
        expect(new Set(read.keys())).toEqual(new Set(Object.keys(tensors)));
        for (const [name, { shape, data }] of entries) {
          expect(read.get(name)!.shape).toEqual(shape);
          expect(bits(read.get(name)!.data)).toEqual(bits(data));
        }
      }),
      { numRuns: 100 },
    );
  });

  test('data begins at a multiple of 8 bytes', () => {
    for (const name of ['a', 'ab', 'abc', 'abcd', 'ü', 'abcdefg']) {
      const bytes = writeSafetensors([[name, { shape: [1], data: new Float32Array(1) }]], { dtype: 'F32' });
      expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
    }
  });

  test.each(GOLDEN_MODELS)('writes the very bytes that the Python library wrote, %s', (model) => {
    const path = `${model}/model.safetensors`;
    const bytes = writeSafetensors(goldenTensors(path), { dtype: 'F32', metadata: { format: 'pt' } });
    expect(Buffer.from(bytes).equals(goldenBytes(path))).toBe(true);
  });

  test('tensors of a pooled buffer at an odd address are read from their own bytes', () => {
    const bytes = writeSafetensors([['w', { shape: [2], data: Float32Array.of(1.5, -2) }]], { dtype: 'F32' });
    const pool = Buffer.alloc(bytes.length + 9, 0xff);
    pool.set(bytes, 3);
    expect(parseSafetensors(pool.subarray(3, 3 + bytes.length), 'file').get('w')!.data).toEqual(Float32Array.of(1.5, -2));
  });

  test('refuses shapes that do not match, equal names, and values that F16 can not hold', () => {
    const write = (data: number[], dtype: 'F32' | 'F16', names = ['w']) =>
      writeSafetensors(
        names.map((name) => [name, { shape: [2], data: Float32Array.from(data) }]),
        { dtype },
      );
    expect(() => write([1], 'F32')).toThrow('Tensor w of shape [2] was given 1 values');
    expect(() => write([1, 2], 'F32', ['w', 'v', 'w'])).toThrow('Two tensors would be called w');
    expect(() => write([1, 65520], 'F16')).toThrow('Tensor w holds 65520 at index 1, and F16 ends at 65504');
    expect(() => write([Infinity, NaN], 'F16')).not.toThrow();
  });
});

describe('half precision', () => {
  test('every half survives the way to a float and back', () => {
    const all = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
    const back = floatsToHalves(halvesToFloats(all));
    const isNaNCode = (code: number) => (code & 0x7fff) > 0x7c00;
    expect(all.filter((code, i) => (isNaNCode(code) ? !isNaNCode(back[i]!) : back[i] !== code))).toHaveLength(0);
  });

  test('rounds to the nearest half, ties to the even one', () => {
    const halves = halvesToFloats(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
    fc.assert(
      fc.property(fc.float({ min: 0, max: 65504, noNaN: true }), (value) => {
        const code = floatToHalf(value);
        const error = (i: number) => Math.abs((halves[i] ?? Infinity) - value);
        for (const other of [code - 1, code + 1]) {
          expect(error(code) < error(other) || (error(code) === error(other) && code % 2 === 0)).toBe(true);
        }
        expect(floatToHalf(-value)).toBe(code | 0x8000);
      }),
      { numRuns: 1000 },
    );
  });

  test('F16 and BF16 agree with PyTorch in both directions', () => {
    const tensors = goldenTensors('dtypes.safetensors');
    const data = (name: string) => tensors.get(name)!.data;
    expect(tensors.get('f16')!.dtype).toBe('F16');
    expect(tensors.get('bf16')!.dtype).toBe('BF16');
    expect(data('f16')).toEqual(data('f16_as_f32'));
    expect(data('bf16')).toEqual(data('bf16_as_f32'));
    expect(halvesToFloats(floatsToHalves(data('source')))).toEqual(data('f16_as_f32'));
  });
});

describe('damaged files', () => {
  const good = writeSafetensors(
    [
      ['first', { shape: [2, 3], data: Float32Array.from({ length: 6 }, (_, i) => i) }],
      ['second', { shape: [5], data: Float32Array.from({ length: 5 }, (_, i) => -i) }],
    ],
    { dtype: 'F32', metadata: { format: 'pt' } },
  );

  /** InputError is right for any bytes; an error of another class, or data of the wrong size, is not. */
  function readsOrRefuses(bytes: Uint8Array): 'read' | 'refused' {
    try {
      for (const tensor of parseSafetensors(bytes, 'file').values()) {
        expect(tensor.data).toHaveLength(tensor.shape.reduce((x, y) => x * y, 1));
      }
      return 'read';
    } catch (error) {
      if (error instanceof InputError) return 'refused';
      throw error;
    }
  }

  test('every truncation is refused as cut off or as no safetensors file', () => {
    for (let length = 0; length < good.length; length++) {
      expect(() => parseSafetensors(good.subarray(0, length), 'model.safetensors')).toThrow(InputError);
      if (length >= 8) {
        expect(() => parseSafetensors(good.subarray(0, length), 'model.safetensors')).toThrow(
          `model.safetensors is cut off at ${length} of `,
        );
      }
    }
    const cut = good.length - 4;
    expect(() => parseSafetensors(good.subarray(0, cut), 'a')).toThrow(`a is cut off at ${cut} of ${good.length} bytes.`);
  });

  test('changed bytes are refused with an InputError or read as another valid file', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 4 }),
        (flips) => {
          const bytes = good.slice();
          for (const [at, mask] of flips) bytes[at]! ^= mask;
          if (readsOrRefuses(bytes) === 'refused') refused++;
        },
      ),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(500);
  });

  test('any header is refused with an InputError or read', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), fc.nat(16), (header, dataBytes) => {
        readsOrRefuses(file(header, dataBytes));
      }),
      { numRuns: 500 },
    );
    expect(readsOrRefuses(file('['.repeat(200_000), 0))).toBe('refused');
  });

  const entry = (begin: number, end: number, shape = [1], dtype = 'F32') => JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
  test.each([
    ['a web page', new TextEncoder().encode('<!doctype html><html>'), 'is not a safetensors file: its first 8 bytes ask for a header of'],
    ['three bytes', Uint8Array.of(1, 2, 3), 'it has 3 bytes, and the length of the header alone takes 8'],
    ['a list', file('[]', 0), 'its header is not a JSON object'],
    ['broken JSON', file('{"a":', 0), 'its header is not JSON'],
    ['a name twice', file(`{"a":${entry(0, 4)},"\\u0061":${entry(0, 4)}}`, 4), 'it names tensor a twice'],
    ['an overlap', file(`{"a":${entry(0, 4)},"b":${entry(2, 6)}}`, 6), 'tensor b overlaps the tensor before it by 2 bytes'],
    ['a gap', file(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12), 'tensor b leaves a gap of 4 bytes'],
    ['bytes at the end', file(`{"a":${entry(0, 4)}}`, 7), '3 bytes follow the last tensor'],
    ['another size', file(`{"a":${entry(0, 4, [2, 3])}}`, 4), 'tensor a of shape [2, 3] and dtype F32 needs 24 bytes and has 4'],
    ['a negative size', file(`{"a":${entry(0, 4, [-1])}}`, 4), 'tensor a has shape [-1]'],
    ['offsets backwards', file(`{"a":${entry(4, 0)}}`, 4), 'needs 4 bytes and has -4'],
    ['no offsets', file('{"a":{"dtype":"F32","shape":[1]}}', 4), 'tensor a has data_offsets undefined'],
    ['no dtype', file('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), 'tensor a has no dtype'],
    ['null', file('{"a":null}', 0), 'tensor a has no dtype'],
    ['F64', file(`{"a":${entry(0, 8, [1], 'F64')}}`, 8), 'tensor a has dtype F64'],
    ['I64', file(`{"a":${entry(0, 8, [1], 'I64')}}`, 8), 'tensor a has dtype I64'],
    ['a name of Object', file(`{"a":${entry(0, 8, [1], 'toString')}}`, 8), 'tensor a has dtype toString'],
  ])('%s: the error names the file and the fault', (_, bytes, message) => {
    const parse = () => parseSafetensors(bytes, 'model.safetensors');
    expect(parse).toThrow(InputError);
    expect(parse).toThrow(message);
    expect(parse).toThrow('model.safetensors');
  });
});
