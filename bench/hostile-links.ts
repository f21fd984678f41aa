/**
 * Links as accidents and attackers make them, for the tests and `npm run fuzz:links`: noise, cut and flipped links, frames that are
 * right around contents that are not, bombs, and names that reach for Object's prototype. The same seed makes the same links.
 */
import { deflateSync } from 'fflate';
import { Random, type Seed } from '../src/base/random.ts';
import { base64url, checkOf, encodeLink } from '../src/notebook/link.ts';
import { parseNotebook, serializeNotebook } from '../src/notebook/schema.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.%/#<>{}"\\ \u0000\u00e9\u{1f9ea}';
const chars = Array.from(ALPHABET);

const text = (random: Random, length: number) => Array.from({ length }, () => random.pick(chars)).join('');
const bytesOf = (random: Random, length: number) => Uint8Array.from({ length }, () => random.int(256));

/** A frame that is right around bytes that need not be. */
async function frame(bytes: Uint8Array, codec: 'd' | 'j' = 'd'): Promise<string> {
  const payload = base64url(bytes);
  return `#/notebook/2${codec}.${payload.length}.${payload}.${await checkOf(bytes)}z`;
}

const encoder = new TextEncoder();
const packed = (json: string) => frame(deflateSync(encoder.encode(json)));

const NOTEBOOK = serializeNotebook(
  parseNotebook({
    v: 2,
    kind: 'notebook',
    title: 'A notebook',
    seed: 7,
    config: { model: 'pico', ppo: { updates: 3 } },
    data: { kind: 'reference', train: 'a'.repeat(64), test: 'b'.repeat(64) },
    cells: [
      { kind: 'markdown', text: '# A title\n\nand *words*, $x^2$.' },
      { kind: 'stage', stage: 'ppo' },
    ],
    view: { rollouts: 'ppo:1' },
  }),
);

/** Contents that want to be large, deep or many. */
const BOMBS: readonly (() => Uint8Array)[] = [
  () => deflateSync(new Uint8Array(50_000_000), { level: 9 }),
  () => deflateSync(encoder.encode('['.repeat(2_000_000))),
  () => deflateSync(encoder.encode('{"a":'.repeat(400_000))),
  () => deflateSync(encoder.encode(`[${'0,'.repeat(1_000_000)}0]`)),
  () => deflateSync(encoder.encode(JSON.stringify({ ...NOTEBOOK, title: 'x'.repeat(2_000_000) }))),
  () => deflateSync(encoder.encode(JSON.stringify({ ...NOTEBOOK, cells: Array(20_000).fill({ kind: 'markdown', text: '' }) }))),
  () => deflateSync(encoder.encode(`${' '.repeat(2_090_000)}{}`)),
  () => deflateSync(encoder.encode(`{${Array.from({ length: 49_000 }, (_, i) => `"k${i}":0`).join()}}`)),
];

const POLLUTION: readonly string[] = [
  '{"v":2,"kind":"notebook","title":"t","seed":1,"config":{"__proto__":{"polluted":1}},"cells":[]}',
  '{"v":2,"kind":"notebook","title":"t","seed":1,"config":{"constructor":{"prototype":{"polluted":1}}},"cells":[]}',
  '{"v":2,"kind":"notebook","title":"t","seed":1,"config":{},"cells":[],"\\u005f_proto__":{"polluted":1}}',
  '{"v":2,"kind":"notebook","title":"t","seed":1,"config":{"ppo":{"__proto__":{"polluted":1}}},"cells":[]}',
  '{"v":2,"kind":"notebook","title":"t","seed":1,"config":{},"cells":[{"kind":"markdown","text":"","__proto__":{"polluted":1}}]}',
  '{"v":2,"kind":"notebook","title":"t","seed":1,"config":{"constructor.prototype.polluted":1},"cells":[]}',
];

const ODD_VALUES: readonly unknown[] = [null, true, -1, 1e308, '', 'x'.repeat(30_000), [], {}, [[]], { v: 9 }, 2.5, '\ud800', '<script>'];

/** The notebook with one place in it replaced, or one name added. */
function mutated(random: Random): unknown {
  const copy = structuredClone(NOTEBOOK) as unknown as Record<string, unknown>;
  let node = copy;
  for (;;) {
    const keys = Object.keys(node);
    const key = random.pick(keys);
    const next = node[key];
    if (typeof next === 'object' && next !== null && Object.keys(next).length > 0 && random.int(3) > 0) {
      node = next as Record<string, unknown>;
      continue;
    }
    if (random.int(4) === 0) node[text(random, 5)] = random.pick(ODD_VALUES);
    else node[key] = random.pick(ODD_VALUES);
    return copy;
  }
}

export class HostileLinks {
  private readonly bombs: (string | undefined)[] = [];
  private constructor(
    private readonly seed: Seed,
    /** A link that is in order. */
    readonly good: string,
  ) {}

  static async of(seed: Seed): Promise<HostileLinks> {
    return new HostileLinks(seed, await encodeLink(parseNotebook(NOTEBOOK)));
  }

  /** The bombs, one of each kind; each is made once. */
  async bomb(i: number): Promise<string> {
    const at = i % BOMBS.length;
    return (this.bombs[at] ??= await frame(BOMBS[at]!()));
  }

  /** Link `i` of this seed. Some, percent-encoded or untouched in what matters, are in order. */
  async link(i: number): Promise<string> {
    const random = new Random(this.seed.derive(i));
    const { good } = this;
    switch (random.int(10)) {
      case 0:
        return text(random, random.int(400));
      case 1:
        return `#/notebook/${text(random, random.int(400))}`;
      case 2:
        return frame(bytesOf(random, random.int(6000)), random.pick(['d', 'j']));
      case 3:
        return good.slice(0, random.int(good.length));
      case 4: {
        const at = random.int(good.length);
        return good.slice(0, at) + random.pick(chars) + good.slice(at + random.int(2));
      }
      case 5: {
        const bytes = deflateSync(encoder.encode(JSON.stringify(NOTEBOOK)));
        bytes[random.int(bytes.length)]! ^= 1 << random.int(8);
        return frame(bytes);
      }
      case 6:
        return packed(random.pick(POLLUTION));
      case 7:
      case 8:
        return packed(JSON.stringify(mutated(random)));
      default:
        // Bombs take milliseconds each, so they are a tenth of a tenth.
        return random.int(10) === 0 ? this.bomb(random.int(BOMBS.length)) : encodeURIComponent(encodeURIComponent(good));
    }
  }
}
