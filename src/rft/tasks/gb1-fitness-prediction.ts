import type { Random } from '../../base/random.ts';
import { taskOf, type Kind } from './kinds.ts';
import { range } from './numbers.ts';

/**
 * Mutations of the four sites of protein G's domain B1 that Wu et al., eLife 5 (2016) e16965, mutated in all combinations. Fitness
 * is relative to the wild type (1), from reads before and after selection; effects of single mutations multiply unless there is
 * epistasis (Olson et al., Curr. Biol. 24 (2014) 2643). Stability is the free energy of unfolding, where effects add.
 */
const SITES = [
  { from: 'V', position: '39' },
  { from: 'D', position: '40' },
  { from: 'G', position: '41' },
  { from: 'V', position: '54' },
] as const;

const AMINO_ACIDS = 'A C D E F G H I K L M N P Q R S T V W Y'.split(' ');

/** Mutations of this many different sites, such as V39A. */
function mutations(rng: Random, count: number): string[] {
  const sites = rng.shuffle([...SITES]).slice(0, count);
  return sites.map(({ from, position }) => `${from}${position}${rng.pick(AMINO_ACIDS.filter((to) => to !== from))}`);
}

/** Tenths as text: 12 is 1.2. */
const tenths = (rng: Random, low: number, high: number) => String(rng.pick(range(low, high)) / 10);

const TWO_PLACES = { places: 2, keepZeros: false } as const;

const kinds: readonly Kind[] = [
  {
    name: 'double-mutant',
    stems: {
      A: ['{X} has fitness {a}, {Y} {b}. What fitness is expected of {X} with {Y}?', 'Find the fitness expected of {X} with {Y} if {X} has {a} and {Y} {b}.'],
      B: ['If {Y} has fitness {b} and {X} {a}, what fitness is expected of both?', 'With {Y} at {b} and {X} at {a}, how many times wild type is the fitness expected of both?'],
      C: ['Alone, {X} gives a fitness of {a} and {Y} of {b}. Give that of the pair.', 'Relative to wild type, {Y} scores {b} and {X} {a}. State the fitness of both together.'],
    }, // prettier-ignore
    rewordings: [
      'The fitness of {X} is {a} and of {Y} {b}. What fitness is expected of both?',
      'What fitness has {X} with {Y} if {X} has {a} and {Y} {b}?',
      'Calculate the fitness expected of {Y} with {X}, where {Y} has {b} and {X} {a}.',
    ],
    words: ['X', 'Y'],
    draw(rng) {
      const [X, Y] = mutations(rng, 2) as [string, string];
      return { X, Y, a: tenths(rng, 2, 25), b: tenths(rng, 2, 25) };
    },
    solution: () => ['F=a*b'],
    mistakes: () => [['F=a+b'], ['F=a+b-1'], ['F=(a+b)/2'], ['F=a/b'], ['F=b/a'], ['F=a-b'], ['F=b-a']],
    units: {},
    formats: { F: TWO_PLACES },
  },
  {
    name: 'triple-mutant',
    stems: {
      A: ['{X} has fitness {a}, {Y} {b}, {Z} {c}. What fitness is expected of all?', 'Find the fitness expected of all of {X} with {a}, {Y} with {b}, {Z} with {c}.'],
      B: ['If {Z} has fitness {c}, {X} {a} and {Y} {b}, what fitness is expected of all?', 'With {Z} at {c}, {Y} at {b} and {X} at {a}, what fitness is expected of all in one?'],
      C: ['Alone, {X} scores {a}, {Y} {b}, {Z} {c}. Give the fitness of all three.', 'State the fitness with {Z} ({c}), {Y} ({b}) and {X} ({a}).'],
    }, // prettier-ignore
    rewordings: [
      'The fitness of {X} is {a}, of {Y} {b} and of {Z} {c}. What fitness is expected of all?',
      'What fitness have all of {X}, {Y} and {Z} if they have {a}, {b} and {c}?',
      'Calculate the fitness expected of all, where {Z} has {c}, {Y} {b} and {X} {a}.',
    ],
    words: ['X', 'Y', 'Z'],
    draw(rng) {
      const [X, Y, Z] = mutations(rng, 3) as [string, string, string];
      return { X, Y, Z, a: tenths(rng, 2, 20), b: tenths(rng, 2, 20), c: String(rng.pick(range(2, 5))) };
    },
    solution: () => ['p=a*b', 'F=p*c'],
    mistakes: () => [['p=a+b', 'F=p+c'], ['p=a+b', 'F=p*c'], ['p=a*b', 'F=p+c'], ['p=a*b', 'F=p/c'], ['p=a+b', 'F=p/c'], ['p=a*b', 'F=p/3']], // prettier-ignore
    units: {},
    formats: { p: TWO_PLACES, F: TWO_PLACES },
  },
  {
    name: 'epistasis',
    stems: {
      A: ['{X} has fitness {a}, {Y} {b}, {X} with {Y} {w}. What is the epistasis as a ratio?', 'Find the epistasis as a ratio if {X} has {a}, {Y} {b} and {X} with {Y} {w}.'],
      B: ['If {X} with {Y} has fitness {w}, {Y} {b} and {X} {a}, what ratio is the epistasis?', 'What epistasis as a ratio have {X} with {a} and {Y} with {b} if both have {w}?'],
      C: ['Both {X} ({a}) and {Y} ({b}) give {w}. Give the epistasis as a ratio.', 'State by what ratio {w} for {X} plus {Y} beats what {a} and {b} alone predict.'],
    }, // prettier-ignore
    rewordings: [
      'The fitness of {X} is {a}, of {Y} {b} and of both {w}. What ratio is the epistasis?',
      'With {X} at {a}, {Y} at {b} and both at {w}, what is the epistasis as a ratio?',
      'Calculate the epistasis as a ratio, where {Y} has {b}, {X} {a} and {X} with {Y} {w}.',
    ],
    words: ['X', 'Y'],
    draw(rng) {
      const [X, Y] = mutations(rng, 2) as [string, string];
      for (;;) {
        const [a, b, ratio] = [rng.pick(range(2, 20)), rng.pick(range(2, 20)), rng.pick([2, 4, 5, 6, 8, 12, 15, 20, 25, 30, 40])];
        const expected = (a * b) / 10;
        const w = (expected * ratio) / 100;
        // All three fitnesses have at most four characters, and the ratio comes out in tenths.
        if (Number.isInteger(expected) && w < 10) return { X, Y, a: String(a / 10), b: String(b / 10), w: String(w) };
      }
    },
    solution: () => ['p=a*b', 'e=w/p'],
    mistakes: () => [['p=a+b', 'e=w/p'], ['p=a*b', 'e=p/w'], ['p=a*b', 'e=w-p'], ['p=a*b', 'e=w*p'], ['p=a+b', 'e=w-p'], ['p=a+b', 'e=p-w'], ['p=a/b', 'e=w/p'], ['p=b/a', 'e=w/p']], // prettier-ignore
    units: {},
    formats: { p: TWO_PLACES },
  },
  {
    name: 'stability',
    stems: {
      A: ['{X} costs {a} kcal/mol, {Y} {b}. The wild type is stable by {w}. What is the stability with both?', 'Find the stability in kcal/mol with {X} and {Y} if {X} costs {a}, {Y} {b} of {w}.'],
      B: ['If of {w} kcal/mol {Y} costs {b} and {X} {a}, what stability is left with both?', 'With {X} at a cost of {a} and {Y} of {b}, how many kcal/mol are left of {w}?'],
      C: ['Wild type has {w} kcal/mol; {X} takes {a}, {Y} {b}. Give what is left.', 'State the kcal/mol left of {w} after {Y} took {b} and {X} {a}.'],
    }, // prettier-ignore
    rewordings: [
      'The wild type is stable by {w} kcal/mol. What is left if {X} costs {a} and {Y} {b}?',
      'How many kcal/mol of stability are left of {w} if {Y} costs {b} and {X} {a}?',
      'Calculate the stability in kcal/mol with both, where {X} costs {a} and {Y} {b} of {w}.',
    ],
    words: ['X', 'Y'],
    draw(rng) {
      const [X, Y] = mutations(rng, 2) as [string, string];
      return { X, Y, a: tenths(rng, 3, 25), b: tenths(rng, 3, 25), w: tenths(rng, 52, 65) };
    },
    solution: () => ['d=a+b', 'G=w-d'],
    mistakes: () => [['d=a+b', 'G=w+d'], ['d=a*b', 'G=w-d'], ['d=a-b', 'G=w-d'], ['d=b-a', 'G=w-d'], ['d=a+b', 'G=d'], ['d=(a+b)/2', 'G=w-d'], ['d=a', 'G=w-d'], ['d=b', 'G=w-d']], // prettier-ignore
    units: { d: 'kcal/mol', G: 'kcal/mol' },
  },
  {
    name: 'enrichment',
    stems: {
      A: ['Reads of {X} go from {i} to {o}, of wild type from {I} to {O}. What is the fitness of {X}?', 'Find the fitness of {X} if its reads go from {i} to {o}, of wild type from {I} to {O}.'],
      B: ['If reads of wild type go from {I} to {O} and of {X} from {i} to {o}, what is its fitness?', 'What is the fitness of {X} with {i} to {o} reads if wild type has {I} to {O}?'],
      C: ['Reads of {X} go from {i} to {o}, of wild type from {I} to {O}. Give the fitness.', 'State how fit {X} is: {i} reads become {o}; {I} of wild type become {O}.'],
    }, // prettier-ignore
    rewordings: [
      'Reads of wild type go from {I} to {O}, of {X} from {i} to {o}. What fitness has {X}?',
      'With reads from {i} to {o}, what is the fitness of {X} if wild type goes from {I} to {O}?',
      'Calculate the fitness of {X}, where its reads go from {i} to {o} and of wild type from {I} to {O}.',
    ],
    words: ['X'],
    draw(rng) {
      const [X] = mutations(rng, 1) as [string];
      const [i, I, kept, fitness] = [
        rng.pick(range(2, 9)),
        rng.pick(range(2, 9)),
        rng.pick(range(2, 5)),
        rng.pick([0.5, 1.5, 2, 2.5, 3, 4]),
      ];
      return { X, i: String(10 * i), o: String(10 * i * kept * fitness), I: String(10 * I), O: String(10 * I * kept) };
    },
    solution: () => ['r=o/i', 'w=O/I', 'F=r/w'],
    mistakes: () => [['r=o/i', 'w=O/I', 'F=w/r'], ['r=o/i', 'w=O/I', 'F=r*w'], ['r=o/i', 'w=O/I', 'F=r-w'], ['r=o/i', 'w=O/I', 'F=w-r'], ['r=o-i', 'w=O-I', 'F=r/w'], ['r=i/o', 'w=O/I', 'F=w/r'], ['r=o/i', 'w=I/O', 'F=r+w']], // prettier-ignore
    units: {},
  },
];

export const gb1FitnessPrediction = taskOf({
  id: 'T1',
  // SciKnowEval's own spelling.
  name: 'GB1_ftness_prediction',
  title: 'GB1 fitness prediction',
  domain: 'Biology',
  source: 'generated; sites: Wu et al. 2016; the effects are drawn, not measured',
  difference:
    'Fitness, stability and epistasis worked out from the effects of single mutations given in the text; SciKnowEval asks for measured fitness from the sequence.',
  kinds,
});
