import { taskOf, type Kind } from './kinds.ts';
import { range } from './numbers.ts';

/**
 * Densities (g/cm3, one decimal), Young's moduli (GPa) and linear expansion coefficients (1e-6 per K), rounded, near 20 degrees
 * Celsius: CRC Handbook of Chemistry and Physics; Callister, Materials Science and Engineering, appendix B.
 */
const DENSITY = { Mg: 1.7, Al: 2.7, Ti: 4.5, Zn: 7.1, Sn: 7.3, Fe: 7.9, Ni: 8.9, Ag: 10.5, Pb: 11.3, Au: 19.3 } as const;
const MODULUS = { Mg: 45, Al: 70, Ag: 80, Zn: 100, Ti: 110, Cu: 120, Fe: 210, W: 410 } as const;
const EXPANSION = { W: 4, Ti: 9, Fe: 12, Ni: 13, Au: 14, Cu: 17, Ag: 19, Al: 23, Mg: 25, Pb: 29, Zn: 30 } as const;

const kinds: readonly Kind[] = [
  {
    name: 'density',
    stems: {
      A: ['{V} cm3 of {X} have a mass of {m} g. What is the density in g/cm3?', 'Find the density in g/cm3 of {X} if {V} cm3 have a mass of {m} g.'],
      B: ['How many g/cm3 is the density of {X} if a mass of {m} g has {V} cm3?', 'What density in g/cm3 has {X} with {m} g in {V} cm3?'],
      C: ['{m} g of {X} fill {V} cm3. Give the density in g/cm3.', 'State in g/cm3 how dense {X} is when {V} cm3 weigh {m} g.'],
    }, // prettier-ignore
    rewordings: [
      'What is the density of {X} in g/cm3 if {m} g have {V} cm3?',
      'With a mass of {m} g in {V} cm3, how many g/cm3 is the density of {X}?',
      'Calculate the density in g/cm3 of {X}, where {V} cm3 have {m} g.',
    ],
    words: ['X'],
    draw(rng) {
      const [X, density] = rng.pick(Object.entries(DENSITY));
      const V = rng.pick(range(2, 20));
      return { X, V: String(V), m: String((density * 10 * V) / 10) };
    },
    solution: () => ['d=m/V'],
    mistakes: () => [['d=m*V'], ['d=V/m'], ['d=m-V'], ['d=m+V'], ['d=m/V/V']],
    units: { d: 'g/cm3' },
  },
  {
    name: 'mass',
    stems: {
      A: ['The density of {X} is {d} g/cm3. What is the mass in g of {V} cm3?', 'Find the mass in g of {V} cm3 of {X} with a density of {d} g/cm3.'],
      B: ['How many g is the mass of {V} cm3 if the density of {X} is {d} g/cm3?', 'With a density of {d} g/cm3, what mass in g have {V} cm3 of {X}?'],
      C: ['{X} of {d} g/cm3 fills {V} cm3. Give the mass in g.', 'State how many g a {V} cm3 block of {X} weighs at {d} g/cm3.'],
    }, // prettier-ignore
    rewordings: [
      'What is the mass in g of {V} cm3 of {X} if the density is {d} g/cm3?',
      'With a density of {d} g/cm3, how many g have {V} cm3 of {X}?',
      'Calculate the mass in g of {X} in {V} cm3 with a density of {d} g/cm3.',
    ],
    words: ['X'],
    draw(rng) {
      const [X, density] = rng.pick(Object.entries(DENSITY));
      return { X, d: String(density), V: String(rng.pick(range(2, 20))) };
    },
    solution: () => ['m=d*V'],
    mistakes: () => [['m=d+V'], ['m=V/d'], ['m=d/V'], ['m=V-d'], ['m=d*V*V']],
    units: { m: 'g' },
  },
  {
    name: 'stress',
    stems: {
      A: ['A force of {F} N acts on {S} mm2 of {X}. What is the stress in MPa?', 'Find the stress in MPa if {F} N act on {S} mm2 of {X}.'],
      B: ['How many MPa is the stress of {X} if on {S} mm2 a force of {F} N acts?', 'What stress in MPa has {X} with {F} N on {S} mm2?'],
      C: ['{S} mm2 of {X} carry {F} N. Give the stress in MPa.', 'State in MPa the stress when {F} N pull at {S} mm2 of {X}.'],
    },
    rewordings: [
      'What is the stress in MPa if on {S} mm2 of {X} a force of {F} N acts?',
      'With a force of {F} N on {S} mm2, how many MPa is the stress of {X}?',
      'Calculate the stress in MPa of {X} with {F} N on {S} mm2.',
    ],
    words: ['X'],
    draw(rng) {
      const S = rng.pick(range(2, 12));
      return { F: String(10 * S * rng.pick(range(2, 12))), S: String(S), X: rng.pick(Object.keys(MODULUS)) };
    },
    solution: () => ['s=F/S'],
    mistakes: () => [['s=F*S'], ['s=F-S'], ['s=S/F'], ['s=F+S'], ['s=F/S/S']],
    units: { s: 'MPa' },
  },
  {
    name: 'strain',
    stems: {
      A: ['{X} has a modulus of {E} GPa. What is the strain in 1/1000 if {F} N act on {S} mm2?', 'A force of {F} N acts on {S} mm2 of {X}. The modulus is {E} GPa. Find the strain in 1/1000.'],
      B: ['How many 1/1000 is the strain of {X} if on {S} mm2 a force of {F} N acts and the modulus is {E} GPa?', 'With a modulus of {E} GPa, what strain in 1/1000 has {X} with {F} N on {S} mm2?'],
      C: ['{S} mm2 of {X} carry {F} N at a modulus of {E} GPa. Give the strain in 1/1000.', 'State in 1/1000 the strain when {F} N pull at {S} mm2 of {X}, modulus {E} GPa.'],
    }, // prettier-ignore
    rewordings: [
      'What is the strain in 1/1000 if {F} N act on {S} mm2 of {X} and the modulus is {E} GPa?',
      'With {F} N on {S} mm2 and a modulus of {E} GPa, how many 1/1000 is the strain of {X}?',
      'Calculate the strain in 1/1000 of {X} with a modulus of {E} GPa if {F} N act on {S} mm2.',
    ],
    words: ['X'],
    draw(rng) {
      const [X, modulus] = rng.pick(Object.entries(MODULUS));
      const S = rng.pick(range(2, 9));
      return { X, E: String(modulus), F: String(modulus * S * rng.pick(range(2, 6))), S: String(S) };
    },
    solution: () => ['s=F/S', 'e=s/E'],
    mistakes: () => [['s=F*S', 'e=s/E'], ['s=F/S', 'e=E/s'], ['s=F/S', 'e=s-E'], ['s=F/S', 'e=s'], ['s=F/S', 'e=F/E'], ['s=F-S', 'e=s/E']], // prettier-ignore
    units: { s: 'MPa', e: '1/1000' },
  },
  {
    name: 'expansion',
    stems: {
      A: ['{X} expands by {a} µm per m and K. What is the expansion in µm of {L} m at {T} K more?', 'A rod of {L} m of {X} expands by {a} µm per m and K. Find the expansion in µm at {T} K more.'],
      B: ['How many µm is the expansion of {L} m of {X} at {T} K more if it expands by {a} µm per m and K?', 'At {T} K more, what expansion in µm has a rod of {L} m of {X} with {a} µm per m and K?'],
      C: ['By {T} K a rod of {X} is heated, {L} m long, with {a} µm per m and K. Give the expansion in µm.', 'State in µm how far {L} m of {X} stretch when heated by {T} K at {a} µm per m and K.'],
    }, // prettier-ignore
    rewordings: [
      'What is the expansion in µm at {T} K more if {L} m of {X} expands by {a} µm per m and K?',
      'With {a} µm per m and K, how many µm is the expansion of {L} m of {X} at {T} K more?',
      'Calculate the expansion in µm of a rod of {L} m of {X} with {a} µm per m and K at {T} K more.',
    ],
    words: ['X'],
    draw(rng) {
      const [X, a] = rng.pick(Object.entries(EXPANSION));
      return { X, a: String(a), L: String(rng.pick(range(2, 6))), T: String(10 * rng.pick(range(1, 5))) };
    },
    solution: () => ['b=a*L', 'x=b*T'],
    mistakes: () => [['b=a+L', 'x=b*T'], ['b=a*L', 'x=b+T'], ['b=a*L', 'x=a*T'], ['b=a/L', 'x=b*T'], ['b=a*L', 'x=T/b']], // prettier-ignore
    units: { b: 'µm/K', x: 'µm' },
  },
];

export const materialCalculation = taskOf({
  id: 'T6',
  name: 'material_calculation',
  title: 'Material calculation',
  domain: 'Material',
  source: 'generated; material data: CRC Handbook and Callister, rounded',
  difference:
    'Density, stress, strain and thermal expansion of metals; SciKnowEval has questions of an engineering entrance examination (MaScQA).',
  kinds,
});
