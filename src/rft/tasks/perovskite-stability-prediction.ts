import type { Random } from '../../base/random.ts';
import { taskOf, type Kind, type Quantities } from './kinds.ts';

/**
 * Effective ionic radii in pm: Shannon, Acta Cryst. A32 (1976) 751, rounded half up. A site: coordination 12, or 8 for
 * Li and Mg, the highest in the table; B site: 6, high spin where there is a choice; anions: 6.
 * Goldschmidt, Naturwissenschaften 14 (1926) 477: t = (rA + rX) / (sqrt(2) (rB + rX)), here with 1.41 for sqrt(2), and the
 * octahedral factor rB / rX. Rule of thumb: no perovskite below 0.8, tilted octahedra up to 0.9,
 * cubic up to 1, hexagonal stacking above.
 */
const FAMILIES = [
  { A: { Mg: 89, Ca: 134, Sr: 144, Ba: 161, Pb: 149, Cd: 131 }, B: { Ti: 61, Zr: 72, Sn: 69, Hf: 71, Mn: 53, Ge: 53, Ce: 87, Ru: 62, Ir: 63, V: 58, Cr: 55, Mo: 65, Fe: 59 }, X: { O: 140 } },
  { A: { La: 136, Ce: 134, Nd: 127, Sm: 124 }, B: { Al: 54, Ga: 62, Cr: 62, Fe: 65, Mn: 65, V: 64, Sc: 75, In: 80, Ti: 67, Y: 90 }, X: { O: 140 } },
  { A: { Li: 92, Na: 139, K: 164, Rb: 172 }, B: { Nb: 64, Ta: 64 }, X: { O: 140 } },
  { A: { Li: 92, Na: 139, K: 164, Rb: 172, Cs: 188 }, B: { Mg: 72, Ca: 100, Mn: 83, Fe: 78, Co: 75, Ni: 69, Zn: 74, Cd: 95, Pb: 119 }, X: { F: 133, Cl: 181, Br: 196, I: 220 } },
] as const; // prettier-ignore

/** An ABX3 compound whose valences add up, with its three radii. */
function compound(rng: Random): Quantities {
  const family = rng.pick(FAMILIES);
  const [[A, a], [B, b], [X, x]] = [
    rng.pick(Object.entries(family.A)),
    rng.pick(Object.entries(family.B)),
    rng.pick(Object.entries(family.X)),
  ];
  return { A, B, X, a: String(a), b: String(b), x: String(x) };
}

const CLASSES = [
  { name: 'none', below: 0.8 },
  { name: 'tilted', below: 0.9 },
  { name: 'cubic', below: 1.005 },
  { name: 'hexagonal', below: Infinity },
] as const;

const classOf = (t: number) => CLASSES.find(({ below }) => t < below)!.name;

const TWO_PLACES = { places: 2, keepZeros: true } as const;
const WHOLE = { places: 0, keepZeros: false } as const;

const kinds: readonly Kind[] = [
  {
    name: 'octahedral-factor',
    stems: {
      A: ['In {A}{B}{X}3 the radius of {B} is {b} pm, of {X} {x} pm. What is the octahedral factor?', 'Find the octahedral factor of {A}{B}{X}3 with {B} {b} pm and {X} {x} pm.'],
      B: ['What octahedral factor has {A}{B}{X}3 if {X} has {x} pm and {B} {b} pm?', 'With {X} {x} pm and {B} {b} pm, what is the octahedral factor of {A}{B}{X}3?'],
      C: ['Radii: {B} {b} pm, {X} {x} pm. Give the octahedral factor of {A}{B}{X}3.', 'State the octahedral factor when {X} of {x} pm surrounds {B} of {b} pm in {A}{B}{X}3.'],
    }, // prettier-ignore
    rewordings: [
      'The radius of {X} is {x} pm, of {B} {b} pm. What octahedral factor has {A}{B}{X}3?',
      'In {A}{B}{X}3, {X} has {x} pm and {B} {b} pm. What is the octahedral factor?',
      'Calculate the octahedral factor of {A}{B}{X}3 if {B} has {b} pm and {X} {x} pm.',
    ],
    words: ['A', 'B', 'X'],
    draw(rng) {
      const { A, B, X, b, x } = compound(rng) as Record<string, string>;
      return { A: A!, B: B!, X: X!, b: b!, x: x! };
    },
    solution: () => ['u=b/x'],
    mistakes: () => [['u=x/b'], ['u=b/x/1.41'], ['u=(x-b)/x'], ['u=b/(b+x)'], ['u=1.41*b/x']],
    units: {},
    formats: { u: TWO_PLACES },
  },
  {
    name: 'tolerance-factor',
    stems: {
      A: ['The radii are {A} {a}, {B} {b}, {X} {x} pm. What is the tolerance factor of {A}{B}{X}3?', 'Find the tolerance factor of {A}{B}{X}3 with {A} {a}, {B} {b}, {X} {x} pm.'],
      B: ['What tolerance factor has {A}{B}{X}3 if {X} has {x}, {B} {b} and {A} {a} pm?', 'With {X} {x}, {B} {b}, {A} {a} pm, what is the tolerance factor of {A}{B}{X}3?'],
      C: ['Radii in pm: {A} {a}, {B} {b}, {X} {x}. Give the tolerance factor of {A}{B}{X}3.', 'State the tolerance factor for {A}{B}{X}3, where {X} has {x}, {A} {a}, {B} {b} pm.'],
    }, // prettier-ignore
    rewordings: [
      'The radii are {X} {x}, {B} {b}, {A} {a} pm. What tolerance factor has {A}{B}{X}3?',
      'In {A}{B}{X}3, {A} has {a}, {B} {b} and {X} {x} pm. What is the tolerance factor?',
      'Calculate the tolerance factor of {A}{B}{X}3 if {B} has {b}, {A} {a} and {X} {x} pm.',
    ],
    words: ['A', 'B', 'X'],
    draw: compound,
    solution: () => ['p=a+x', 'q=b+x', 't=p/q/1.41'],
    mistakes: () => [
      ['p=a+x', 'q=b+x', 't=p/q'],
      ['p=a+x', 'q=b+x', 't=q/p'],
      ['p=a+x', 'q=b+x', 't=1.41*q/p'],
      ['p=a+b', 'q=b+x', 't=p/q/1.41'],
      ['p=a+x', 'q=a+b', 't=p/q/1.41'],
    ],
    units: { p: 'pm', q: 'pm' },
    formats: { p: WHOLE, q: WHOLE, t: TWO_PLACES },
  },
  {
    name: 'structure',
    stems: {
      A: ['In {A}{B}{X}3 the bond {A}-{X} is {p} pm and {B}-{X} {q} pm. What structure is expected?', 'Find the expected structure of {A}{B}{X}3 with {A}-{X} {p} pm and {B}-{X} {q} pm.'],
      B: ['What structure is expected of {A}{B}{X}3 if {B}-{X} is {q} pm and {A}-{X} {p} pm?', 'With {B}-{X} {q} pm and {A}-{X} {p} pm, what structure has {A}{B}{X}3?'],
      C: ['Bonds: {A}-{X} {p} pm, {B}-{X} {q} pm. Give the likely structure of {A}{B}{X}3.', 'Which structure suits {A}{B}{X}3, where {A}-{X} measures {p} pm and {B}-{X} {q} pm?'],
    }, // prettier-ignore
    rewordings: [
      'The bond {B}-{X} is {q} pm and {A}-{X} {p} pm. What structure has {A}{B}{X}3?',
      'In {A}{B}{X}3, {A}-{X} has {p} pm and {B}-{X} {q} pm. What structure is expected?',
      'What is the expected structure of {A}{B}{X}3 if {A}-{X} is {p} pm and {B}-{X} {q} pm?',
    ],
    words: ['A', 'B', 'X'],
    draw(rng) {
      // Each class equally often: real radii alone would make half of all compounds tilted.
      const wanted = rng.pick(CLASSES).name;
      for (;;) {
        const { A, B, X, a, b, x } = compound(rng) as Record<string, string>;
        const [p, q] = [Number(a) + Number(x), Number(b) + Number(x)];
        if (classOf(Math.round((100 * p) / q / 1.41) / 100) === wanted) return { A: A!, B: B!, X: X!, p: String(p), q: String(q) };
      }
    },
    solution: () => ['r=p/q', 't=r/1.41'],
    mistakes: () => [['r=p/q', 't=r'], ['r=q/p', 't=r'], ['r=q/p', 't=r*1.41'], ['r=q/p', 't=r/1.41'], ['r=p/q', 't=r/2']], // prettier-ignore
    units: {},
    formats: { r: TWO_PLACES, t: TWO_PLACES },
    classes: { names: CLASSES.map(({ name }) => name), of: classOf },
  },
];

export const perovskiteStabilityPrediction = taskOf({
  id: 'T8',
  name: 'perovskite_stability_prediction',
  title: 'Perovskite stability prediction',
  domain: 'Material',
  source: 'generated; ionic radii: Shannon 1976',
  difference:
    'Stability from ionic radii by Goldschmidt factors; SciKnowEval ranks four compounds by computed energies or element averages.',
  kinds,
});
