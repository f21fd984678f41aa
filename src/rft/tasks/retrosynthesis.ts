import type { Random } from '../../base/random.ts';
import { taskOf, type Kind, type Quantities } from './kinds.ts';
import { range } from './numbers.ts';

/**
 * The disconnections that undo a condensation (Warren and Wyatt, Organic Synthesis: The Disconnection Approach): an ester
 * R-CO-O-R' comes from the acid R-COOH and the alcohol R'-OH, an amide R-CO-NH-R' from the acid and the amine R'-NH2, and H2O is
 * lost. So each precursor keeps the carbon atoms of its side, and the masses of both exceed the product's by 18 g/mol.
 */

/** Carbon atoms of the groups of condensed formulas. */
const CARBONS: Readonly<Record<string, number>> = { CH3: 1, CH2: 1, CO: 1, CN: 1, OH: 0, NH2: 0 };

/** Molar masses in g/mol, by whole atomic masses. */
const PARTNERS: Readonly<Record<string, number>> = {
  methanol: 32,
  ethanol: 46,
  propanol: 60,
  butanol: 74,
  phenol: 94,
  aniline: 93,
  ammonia: 17,
};

/** Acetic, propionic, glycine, cyanoacetic, butyric, lactic, valeric, caproic, benzoic, phenylacetic, salicylic, cinnamic, anisic acid. */
const ACID_MASSES = [60, 74, 75, 85, 88, 90, 102, 116, 122, 136, 138, 148, 152];

const ACIDS = ['ethanoic', 'propanoic', 'butanoic', 'pentanoic'];
const ALCOHOLS = ['methanol', 'ethanol', 'propanol', 'butanol'];

const alkyl = (carbons: number): string[] => ['CH3', ...Array.from({ length: carbons - 1 }, () => 'CH2')];

/** A side of the molecule from its free end on. Two CH2 or more keep OH and NH2 from sharing a carbon with the new bond. */
function side(rng: Random): string[] {
  const end = rng.pick(['CH3', 'CH3', 'OH', 'NH2', 'CN']);
  return end === 'CH3' ? alkyl(1 + rng.int(5)) : [end, ...alkyl(3 + rng.int(3)).slice(1)];
}

/** An ester (link O) or amide (NH), written from either end. */
function condensed(rng: Random, acid: readonly string[], link: string, partner: readonly string[]): Quantities {
  const groups = [...acid, 'CO', link, ...[...partner].reverse()];
  return { X: (rng.float() < 0.5 ? groups : groups.reverse()).join('-') };
}

/** The groups of acid (with its CO) and partner, in the order of the text; empty for what is no ester or amide. */
function precursors({ X }: Quantities): { readonly acid: readonly string[]; readonly partner: readonly string[] } {
  const forward = /^(.+-CO)-(?:O|NH)-((?!CO-).+)$/.exec(X!);
  const backward = /^((?:(?!-CO-).)+)-(?:O|NH)-(CO-.+)$/.exec(X!);
  const [, acid, partner] = forward ?? (backward ? ['', backward[2], backward[1]] : []);
  return { acid: acid?.split('-') ?? [], partner: partner?.split('-') ?? [] };
}

interface Side {
  readonly name: string;
  readonly what: 'acid' | 'alcohol' | 'amine';
  /** The precursors by number of carbon atoms, from `first` on, where the options are names. */
  readonly named?: { readonly names: readonly string[]; readonly first: number };
}

function carbons({ name, what, named }: Side): Kind {
  const [own, other] = what === 'acid' ? (['acid', 'partner'] as const) : (['partner', 'acid'] as const);
  return {
    name,
    stems: named
      ? {
          A: [`Which ${what} gives {X}?`, `Find the ${what} that gives {X}.`],
          B: [`{X} is made from which ${what}?`, `From which ${what} is {X} made?`],
          C: [`Take {X} apart and name the ${what}.`, `State the ${what} to start {X} from.`],
        }
      : {
          A: [`How many C atoms has the ${what} that gives {X}?`, `Find how many C atoms the ${what} of {X} has.`],
          B: [`{X} is made from the ${what} with how many C atoms?`, `With how many C atoms is the ${what} that {X} is made from?`],
          C: [`Take {X} apart and count the C atoms of the ${what}.`, `State the number of C atoms in the ${what} to start {X} from.`],
        },
    rewordings: named
      ? [`Which ${what} is {X} made from?`, `{X} is made from an ${what}. Which is it?`, `What is the ${what} that gives {X}?`]
      : [
          `{X} is made from an ${what}. How many C atoms has it?`,
          `What number of C atoms has the ${what} of {X}?`,
          `Calculate how many C atoms has the ${what} that gives {X}.`,
        ],
    words: ['X'],
    draw(rng) {
      const link = what === 'acid' ? rng.pick(['O', 'NH']) : what === 'alcohol' ? 'O' : 'NH';
      if (!named) return condensed(rng, side(rng), link, side(rng));
      // Each name equally often.
      const count = named.first + rng.int(named.names.length);
      return what === 'acid' ? condensed(rng, alkyl(count - 1), link, side(rng)) : condensed(rng, side(rng), link, alkyl(count));
    },
    constants: () => CARBONS,
    solution: (q) => [`n=${precursors(q)[own].join('+')}`],
    mistakes(q) {
      const groups = precursors(q);
      const [right, wrong] = [groups[own], groups[other]];
      const lists = [wrong, right.slice(1), right.slice(0, -1), [...new Set(right)], [...right, 'CO'], [...right, ...wrong]];
      const texts = new Set(lists.map((list) => list.join('+')));
      return [...texts].filter((text) => text !== '' && text !== right.join('+')).map((text) => [`n=${text}`]);
    },
    units: {},
    ...(named && {
      classes: {
        names: named.names,
        // A wrong count beyond the four names is read as the nearest of them.
        of: (count: number) => named.names[Math.min(Math.max(count - named.first, 0), named.names.length - 1)]!,
      },
    }),
  };
}

const kinds: readonly Kind[] = [
  carbons({ name: 'acid-carbons', what: 'acid' }),
  carbons({ name: 'amine-carbons', what: 'amine' }),
  carbons({ name: 'which-acid', what: 'acid', named: { names: ACIDS, first: 2 } }),
  carbons({ name: 'which-alcohol', what: 'alcohol', named: { names: ALCOHOLS, first: 1 } }),
  {
    name: 'acid-mass',
    stems: {
      A: ['An acid with {X} gives H2O and a product of {p} g/mol. What is the molar mass in g/mol of the acid?', 'Find the molar mass in g/mol of the acid that gives H2O and {p} g/mol with {X}.'],
      B: ['With {X}, what molar mass in g/mol has the acid that gives {p} g/mol and H2O?', 'How many g/mol has the acid if with {X} it gives H2O and {p} g/mol?'],
      C: ['{X} condenses with an acid to {p} g/mol and H2O. Give the molar mass in g/mol of the acid.', 'State in g/mol the acid to take with {X} for {p} g/mol, as H2O leaves.'],
    }, // prettier-ignore
    rewordings: [
      'What is the molar mass in g/mol of an acid that gives {p} g/mol and H2O with {X}?',
      '{X} and an acid give H2O and {p} g/mol. How many g/mol has the acid?',
      'Calculate the molar mass in g/mol of the acid, which with {X} gives H2O and {p} g/mol.',
    ],
    words: ['X'],
    draw(rng) {
      const [X, mass] = rng.pick(Object.entries(PARTNERS));
      return { X, p: String(rng.pick(ACID_MASSES) + mass - 18) };
    },
    constants: () => ({ ...PARTNERS, H2O: 18 }),
    solution: ({ X }) => ['s=p+H2O', `M=s-${X}`],
    mistakes: ({ X }) => [['s=p-H2O', `M=s-${X}`], ['s=p+H2O', `M=s+${X}`], ['s=p', `M=s-${X}`], ['s=p-H2O', `M=s+${X}`], ['s=p', `M=s+${X}`], ['s=p+H2O', 'M=s/2'], ['s=p+H2O', 'M=s']], // prettier-ignore
    units: { s: 'g/mol', M: 'g/mol' },
  },
  {
    name: 'overall-yield',
    stems: {
      A: ['The steps of a route give {a}, {b} and {c} %. What is the yield of all in %?', 'Find the yield in % of a route with steps of {a}, {b} and {c} %.'],
      B: ['How many % is the yield of a route if its steps give {a}, {b} and {c} %?', 'With steps of {a}, {b} and {c} %, what yield in % has a route?'],
      C: ['A route runs through {a} %, then {b} %, then {c} %. Give its yield in %.', 'State what % is left after three steps of {a}, {b} and {c} % yield.'],
    }, // prettier-ignore
    rewordings: [
      'What is the yield in % of a route if the steps give {a}, {b} and {c} %?',
      'A route has steps of {a}, {b} and {c} %. How many % is the yield of all?',
      'Calculate the yield in % of all steps if they give {a}, {b} and {c} %.',
    ],
    draw(rng) {
      const [a, b, c] = Array.from({ length: 3 }, () => String(10 * rng.pick(range(3, 9)))) as [string, string, string];
      return { a, b, c };
    },
    solution: () => ['p=a*b/100', 'Y=p*c/100'],
    mistakes: () => [['p=a*b/100', 'Y=p'], ['p=a+b', 'Y=(p+c)/3'], ['p=a*b/100', 'Y=p*c/10'], ['p=a*c/100', 'Y=p'], ['p=b*c/100', 'Y=p'], ['p=a*b/100', 'Y=c-p'], ['p=a*b/100', 'Y=p*b/100']], // prettier-ignore
    units: { p: '%', Y: '%' },
  },
];

export const retrosynthesis = taskOf({
  id: 'T2',
  name: 'retrosynthesis',
  title: 'Retrosynthesis',
  domain: 'Chemistry',
  source: 'generated; disconnections: Warren and Wyatt, whole atomic masses',
  difference:
    'Precursors of short esters and amides by carbon atoms or mass, and yields of routes; SciKnowEval asks for the reactant of a large molecule in SMILES.',
  kinds,
});
