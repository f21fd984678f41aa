/** The unpacking of links against zlib, which is another's, on what deflate can hold. */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { deflateSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { inflate } from '../../src/notebook/inflate.ts';

const { Z_FIXED, Z_HUFFMAN_ONLY, Z_DEFAULT_STRATEGY } = constants;
const MOST = 1 << 20;

/** Runs, repeats near and far, and noise. */
const contents = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.tuple(fc.nat(255), fc.nat(40_000)).map(([byte, length]) => new Uint8Array(length).fill(byte)),
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 50 }), fc.nat(300)).map(([part, times]) =>
        Uint8Array.from(
          Array<number[]>(times)
            .fill([...part])
            .flat(),
        ),
      ),
    ),
    { maxLength: 8 },
  ) // prettier-ignore
  .map((parts) => new Uint8Array(Buffer.concat(parts)));

const ways: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
  (bytes) => deflateSync(bytes, { level: 9 }),
  (bytes) => deflateSync(bytes, { level: 0 }),
  ...[Z_FIXED, Z_HUFFMAN_ONLY, Z_DEFAULT_STRATEGY].map(
    (strategy) => (bytes: Uint8Array) => deflateRawSync(bytes, { strategy, memLevel: 1 }),
  ),
];

test('whatever was packed comes back, by fflate and by zlib, in stored, fixed and dynamic blocks', () => {
  fc.assert(
    fc.property(contents, fc.constantFrom(...ways), (bytes, way) => {
      expect(Buffer.compare(inflate(way(bytes), MOST)!, bytes)).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test('the bound is exact', () => {
  fc.assert(
    fc.property(contents, fc.constantFrom(...ways), (bytes, way) => {
      fc.pre(bytes.length > 0);
      expect(inflate(way(bytes), bytes.length)).toHaveLength(bytes.length);
      expect(inflate(way(bytes), bytes.length - 1)).toBeUndefined();
    }),
    { numRuns: 100 },
  );
});

describe('what was changed', () => {
  test('is refused, or gives what zlib makes of it', () => {
    let read = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(...ways), fc.nat(), fc.nat(7), (bytes, way, at, bit) => {
        const packed = Uint8Array.from(way(bytes));
        packed[at % packed.length]! ^= 1 << bit;
        let expected: Uint8Array;
        try {
          expected = inflateRawSync(packed, { maxOutputLength: MOST });
        } catch {
          // zlib also refuses codes that are incomplete, which are harmless: what is read of them is bounded all the same.
          try {
            expect(inflate(packed, MOST)?.length ?? MOST).toBeLessThanOrEqual(MOST);
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
          }
          return;
        }
        read++;
        expect(Buffer.compare(inflate(packed, MOST)!, expected)).toBe(0);
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(50);
  });

  test.each([
    ['nothing', [], 'unexpected end'],
    ['a block of type 3', [7], 'invalid block type'],
    ['a distance before the beginning', [0x03, 0x02, 0], 'invalid distance'],
    ['a stored block whose lengths differ', [1, 4, 0, 4, 0], 'invalid length of a stored block'],
    ['a stored block that ends early', [1, 4, 0, 251, 255, 1], 'unexpected end'],
  ])('%s', (_, bytes, message) => expect(() => inflate(Uint8Array.from(bytes), MOST)).toThrow(message));
});
