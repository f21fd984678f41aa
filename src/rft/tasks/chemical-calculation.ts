import type { Random } from '../../base/random.ts';
import { taskOf, type Kind, type Quantities } from './kinds.ts';
import { range } from './numbers.ts';

/**
 * Relative atomic masses: IUPAC 2021 abridged standard atomic weights, rounded to whole numbers, chlorine to 35.5, as schools
 * do. The second number is the atomic number, which a common mistake puts in the place of the mass.
 */
const ELEMENTS: Readonly<Record<string, readonly [mass: number, number: number]>> = {
  H: [1, 1], Li: [7, 3], C: [12, 6], N: [14, 7], O: [16, 8], F: [19, 9], Na: [23, 11], Mg: [24, 12], Al: [27, 13], Si: [28, 14],
  P: [31, 15], S: [32, 16], Cl: [35.5, 17], K: [39, 19], Ca: [40, 20], Fe: [56, 26], Cu: [64, 29], Zn: [65, 30], Br: [80, 35], Ag: [108, 47],
}; // prettier-ignore

const COMPOUNDS = (
  'H2O CO2 CO CH4 NH3 NaCl HCl SO2 SO3 NO NO2 N2O CaO MgO CuO ZnO FeO NaOH KOH KCl HF NaF KF LiF LiCl KBr NaBr HBr AgCl H2S FeS CuS ZnS ' +
  'CaS CaCl2 MgCl2 CaF2 MgF2 CaCO3 C2H6 C3H8 C2H4 C2H2 H2O2 PH3 SiO2 Al2O3 Fe2O3 Na2O K2O Li2O CS2 N2H4 MgS Na2S HNO3'
).split(' ');

type Part = readonly [element: string, count: number];

const parts = (formula: string): Part[] =>
  [...formula.matchAll(/([A-Z][a-z]?)(\d*)/g)].map(([, element, count]) => [element!, Number(count || 1)]);

const sum = (terms: readonly Part[], prefix = '') =>
  `M=${terms.map(([element, count]) => (count > 1 ? `${count}*${prefix}${element}` : prefix + element)).join('+')}`;

const molarMass = (formula: string) => sum(parts(formula));

/** Subscripts dropped, atomic numbers for masses, last element forgotten, subscript moved to the other element. */
function molarMassMistakes(formula: string): string[] {
  const terms = parts(formula);
  const counts = terms.map(([, count]) => count).reverse();
  const wrong = [
    sum(terms.map(([element]) => [element, 1])),
    sum(terms, 'Z'),
    sum(terms.slice(0, -1)),
    sum(terms.map(([element], i) => [element, counts[i]!])),
    sum(terms.map(([element, count], i) => [element, i === 0 ? count + 1 : count])),
  ];
  return [...new Set(wrong)].filter((text) => text !== sum(terms));
}

const NUMBERS = Object.fromEntries(Object.entries(ELEMENTS).flatMap(([element, [mass, number]]) => [[element, mass], [`Z${element}`, number]])); // prettier-ignore

/** Nothing for a text that isn't a formula, such as CO2x. */
const constants = ({ X }: Quantities) => (/^(?:[A-Z][a-z]?\d*)+$/.test(X!) ? NUMBERS : {});

const massOf = (formula: string) => parts(formula).reduce((total, [element, count]) => total + count * ELEMENTS[element]![0], 0);

const kinds: readonly Kind[] = [
  {
    name: 'molar-mass',
    stems: {
      A: ['What is the molar mass of {X} in g/mol?', 'Find the molar mass of {X} in g/mol.', 'What is the mass in g of one mol of {X}?'],
      B: ['How many g/mol is the molar mass of {X}?', 'One mol of {X} has what mass in g?'],
      C: ['For {X}, give the mass of one mol in g.', 'State in g/mol what {X} has as its molar mass.'],
    },
    rewordings: ['Calculate the molar mass of {X} in g/mol.', 'In g/mol, what is the molar mass of {X}?'],
    words: ['X'],
    draw: (rng) => ({ X: rng.pick(COMPOUNDS) }),
    constants,
    solution: ({ X }) => [molarMass(X!)],
    mistakes: ({ X }) => molarMassMistakes(X!).map((wrong) => [wrong]),
    units: { M: 'g/mol' },
  },
  {
    name: 'mass',
    stems: {
      A: [
        'What is the mass in g of {n} mol of {X}?',
        'Find the mass in g of {n} mol of {X}.',
        'A sample has {n} mol of {X}. What is the mass in g?',
      ],
      B: ['How many g of {X} are in {n} mol?', 'In g, what is the mass of a {n} mol sample of {X}?'],
      C: ['For {X}, {n} mol have a mass of how many g?', '{n} mol of {X} are weighed. Give the mass in g.'],
    },
    rewordings: ['Calculate the mass in g of {n} mol of {X}.', 'How many g is the mass of {n} mol of {X}?'],
    words: ['X'],
    draw: (rng) => ({ n: String(rng.pick(range(2, 9))), X: rng.pick(COMPOUNDS) }),
    constants,
    solution: ({ X }) => [molarMass(X!), 'm=n*M'],
    mistakes: ({ X }) => [[molarMass(X!), 'm=M/n'], [molarMass(X!), 'm=M+n'], ...molarMassMistakes(X!).map((wrong) => [wrong, 'm=n*M'])],
    units: { M: 'g/mol', m: 'g' },
  },
  {
    name: 'moles',
    stems: {
      A: [
        'How many mol are in {m} g of {X}?',
        'A sample has {m} g of {X}. How many mol are in it?',
        'Find how many mol are in {m} g of {X}.',
      ],
      B: ['What is the amount in mol of a {m} g sample of {X}?', 'For {X}, how many mol have a mass of {m} g?'],
      C: ['{m} g of {X} are weighed. Give the amount in mol.', 'The mass of {X} is {m} g. State the amount in mol.'],
    },
    rewordings: ['Calculate how many mol are in {m} g of {X}.', 'With a mass of {m} g, how many mol of {X} are there?'],
    words: ['X'],
    draw(rng) {
      const X = rng.pick(COMPOUNDS);
      return { m: String(rng.pick(range(2, 12)) * massOf(X)), X };
    },
    constants,
    solution: ({ X }) => [molarMass(X!), 'n=m/M'],
    mistakes: ({ X }) => [[molarMass(X!), 'n=M/m'], [molarMass(X!), 'n=m-M'], ...molarMassMistakes(X!).map((wrong) => [wrong, 'n=m/M'])],
    units: { M: 'g/mol', n: 'mol' },
  },
  {
    name: 'concentration',
    stems: {
      A: ['{n} mol of {X} are in {V} L. What is the molarity in mol/L?', 'Find the molarity in mol/L of {n} mol of {X} in {V} L.', 'What is the molarity in mol/L of {n} mol of {X} in {V} L?'],
      B: ['In {V} L there are {n} mol of {X}. How many mol/L is the molarity?', 'How many mol/L of {X} are {n} mol in {V} L?'],
      C: ['{V} L hold {n} mol of {X}. Give the molarity in mol/L.', 'State the molarity in mol/L of {V} L with {n} mol of {X}.'],
    }, // prettier-ignore
    rewordings: [
      'With {n} mol of {X} in {V} L, how many mol/L is the molarity?',
      'Calculate the molarity in mol/L if {n} mol of {X} are in {V} L.',
    ],
    words: ['X'],
    draw(rng) {
      const V = rng.pick(range(2, 9));
      return {
        n: String(V * rng.pick(range(2, 9))),
        V: String(V),
        X: rng.pick(['NaCl', 'KCl', 'HCl', 'NaOH', 'KOH', 'NaBr', 'KBr', 'HNO3']),
      };
    },
    solution: () => ['c=n/V'],
    mistakes: () => [['c=n*V'], ['c=n-V'], ['c=n+V'], ['c=V/n']],
    units: { c: 'mol/L' },
  },
  {
    name: 'dilution',
    stems: {
      A: ['{V} L of {c} mol/L is made up to {W} L. What is the molarity in mol/L?', 'Water is added to {V} L of {c} mol/L to give {W} L. Find the molarity in mol/L.'],
      B: ['What molarity in mol/L has {V} L of {c} mol/L in {W} L of water?', 'With water added to give {W} L, how many mol/L has {V} L of {c} mol/L?'],
      C: ['{W} L are made of {V} L of {c} mol/L and water. Give the molarity in mol/L.', 'From {c} mol/L and {V} L, water makes {W} L. State the molarity in mol/L.'],
    }, // prettier-ignore
    rewordings: [
      'What is the molarity in mol/L if {V} L of {c} mol/L is made up to {W} L?',
      'How many mol/L is the molarity if water is added to {V} L of {c} mol/L to give {W} L?',
      'Calculate the molarity in mol/L of {W} L made up of {V} L of {c} mol/L.',
    ],
    draw: (rng) => dilution(rng),
    solution: () => ['n=c*V', 'd=n/W'],
    mistakes: () => [['n=c*V', 'd=n*W'], ['n=c+V', 'd=n/W'], ['n=c*W', 'd=n/V'], ['n=c*V', 'd=n-W']], // prettier-ignore
    units: { n: 'mol', d: 'mol/L' },
  },
];

/** Starting volume, molarity and final volume such that the new molarity is a whole number. */
function dilution(rng: Random): Quantities {
  const V = rng.pick(range(2, 6));
  const times = rng.pick(range(2, 4));
  const c = rng.pick(range(1, 4)) * times;
  return { V: String(V), c: String(c), W: String(V * times) };
}

export const chemicalCalculation = taskOf({
  id: 'T3',
  name: 'chemical_calculation',
  title: 'Chemical calculation',
  domain: 'Chemistry',
  source: 'generated; atomic masses: IUPAC 2021, rounded',
  difference:
    'Molar mass, amount, molarity and dilution only, with whole-number answers; SciKnowEval mixes open textbook questions from three collections.',
  kinds,
});
