import { taskOf, type Kind } from './kinds.ts';
import { range } from './numbers.ts';

/**
 * Activation energies of diffusion in eV, one decimal, from the kJ/mol of Callister, Materials Science and Engineering, table 5.2
 * (96.485 kJ/mol are 1 eV), and the temperature in K below which the host is solid in that phase.
 */
const BARRIERS = [
  { X: 'Fe', H: 'Fe', Q: 2.6, below: 1185 },
  { X: 'C', H: 'Fe', Q: 0.8, below: 1185 },
  { X: 'Cu', H: 'Cu', Q: 2.2, below: 1358 },
  { X: 'Zn', H: 'Cu', Q: 2, below: 1358 },
  { X: 'Al', H: 'Al', Q: 1.5, below: 933 },
  { X: 'Cu', H: 'Al', Q: 1.4, below: 933 },
  { X: 'Cu', H: 'Ni', Q: 2.7, below: 1728 },
] as const;
type Barrier = (typeof BARRIERS)[number];

/**
 * The relations: Einstein's random walk in one dimension, mean x2 = 2 D t; Fick's first law, J = D dc/dx; and Arrhenius,
 * D = D0 exp(-Q / kT) = D0 / 10^(Q / h), so a barrier Q costs Q / h decades, with h = kT ln 10 = T / 5040 eV, here T / 5000.
 * These temperatures give an h of at most two places.
 */
const TEMPERATURES = [400, 450, 500, 550, 600, 650, 700, 750, 800, 900, 1000, 1100, 1200, 1250, 1500];

const TWO_PLACES = { places: 2, keepZeros: false } as const;

const kinds: readonly Kind[] = [
  {
    name: 'mean-square-distance',
    stems: {
      A: ['Atoms diffuse with {D} nm2/s. What is the mean x2 in nm2 after {t} s?', 'Find the mean x2 in nm2 after {t} s if atoms diffuse with {D} nm2/s.'],
      B: ['How many nm2 is the mean x2 after {t} s of diffusion with {D} nm2/s?', 'After {t} s, what mean x2 in nm2 have atoms that diffuse with {D} nm2/s?'],
      C: ['For {t} s, atoms of {D} nm2/s spread along x. Give their mean x2 in nm2.', 'State in nm2 how large the mean x2 gets in {t} s at a diffusivity of {D} nm2/s.'],
    }, // prettier-ignore
    rewordings: [
      'What is the mean x2 in nm2 if atoms diffuse with {D} nm2/s for {t} s?',
      'With {D} nm2/s, how many nm2 is the mean x2 of atoms after {t} s?',
      'Calculate the mean x2 in nm2 of atoms that diffuse with {D} nm2/s after {t} s.',
    ],
    draw: (rng) => ({ D: String(rng.pick(range(2, 20))), t: String(rng.pick(range(2, 20))) }),
    solution: () => ['q=2*D*t'],
    mistakes: () => [['q=D*t'], ['q=4*D*t'], ['q=6*D*t'], ['q=2*D/t'], ['q=2*D+t'], ['q=D+t'], ['q=D*t/2']],
    units: { q: 'nm2' },
  },
  {
    name: 'diffusivity',
    stems: {
      A: ['The mean x2 is {q} nm2 after {t} s. What is the diffusivity in nm2/s?', 'Find the diffusivity in nm2/s if the mean x2 is {q} nm2 after {t} s.'],
      B: ['How many nm2/s is the diffusivity if after {t} s the mean x2 is {q} nm2?', 'With a mean x2 of {q} nm2 in {t} s, what is the diffusivity in nm2/s?'],
      C: ['In {t} s the mean x2 grows to {q} nm2. Give the diffusivity in nm2/s.', 'State in nm2/s how fast atoms diffuse whose mean x2 is {q} nm2 at {t} s.'],
    }, // prettier-ignore
    rewordings: [
      'What diffusivity in nm2/s have atoms if after {t} s the mean x2 is {q} nm2?',
      'After {t} s, the mean x2 is {q} nm2. How many nm2/s is the diffusivity?',
      'Calculate the diffusivity in nm2/s with a mean x2 of {q} nm2 after {t} s.',
    ],
    draw(rng) {
      const t = rng.pick(range(2, 15));
      return { q: String(2 * t * rng.pick(range(2, 20))), t: String(t) };
    },
    solution: () => ['r=q/t', 'D=r/2'],
    mistakes: () => [['r=q/t', 'D=r'], ['r=q/t', 'D=r*2'], ['r=q/t', 'D=r/6'], ['r=q/t', 'D=r/4'], ['r=q*t', 'D=r/2'], ['r=q-t', 'D=r/2']], // prettier-ignore
    units: { r: 'nm2/s', D: 'nm2/s' },
  },
  {
    name: 'flux',
    stems: {
      A: ['Over {x} nm, c falls by {c} per nm3. What is the flux per nm2 and s at {D} nm2/s?', 'Find the flux per nm2 and s at {D} nm2/s if c falls by {c} per nm3 over {x} nm.'],
      B: ['At {D} nm2/s, what is the flux per nm2 and s if over {x} nm c falls by {c} per nm3?', 'How many atoms per nm2 and s flow at {D} nm2/s if c falls by {c} per nm3 over {x} nm?'],
      C: ['Concentrations {x} nm apart differ by {c} per nm3, at {D} nm2/s. Give the flux per nm2 and s.', 'State the flux per nm2 and s where c drops {c} per nm3 in {x} nm, diffusing at {D} nm2/s.'],
    }, // prettier-ignore
    rewordings: [
      'What is the flux per nm2 and s at {D} nm2/s if c falls by {c} per nm3 over {x} nm?',
      'With {D} nm2/s, how many atoms flow per nm2 and s if over {x} nm c falls by {c} per nm3?',
      'Calculate the flux per nm2 and s if c falls by {c} per nm3 over {x} nm at {D} nm2/s.',
    ],
    draw(rng) {
      const x = rng.pick(range(2, 9));
      return { x: String(x), c: String(x * rng.pick(range(2, 9))), D: String(rng.pick(range(2, 9))) };
    },
    solution: () => ['g=c/x', 'J=D*g'],
    mistakes: () => [['g=c*x', 'J=D*g'], ['g=c-x', 'J=D*g'], ['g=c/x', 'J=g/D'], ['g=c/x', 'J=D+g'], ['g=c/x', 'J=D/g'], ['g=c/x', 'J=D*c'], ['g=x/c', 'J=D*g']], // prettier-ignore
    units: { g: '1/nm4', J: '1/nm2/s' },
  },
  {
    name: 'decades',
    stems: {
      A: ['At {T} K, how many decades does a barrier of {Q} eV cost {X} in {H}?', 'Find how many decades a barrier of {Q} eV costs {X} in {H} at {T} K.'],
      B: ['How many decades is {X} in {H} slower by a barrier of {Q} eV at {T} K?', 'With a barrier of {Q} eV at {T} K, how many decades does it cost {X} in {H}?'],
      C: ['{X} crosses {Q} eV in {H} at {T} K. Give the number of decades this costs.', 'State by how many decades {Q} eV slow {X} in {H} at {T} K.'],
    }, // prettier-ignore
    rewordings: [
      'How many decades does it cost {X} in {H} at {T} K if the barrier is {Q} eV?',
      'At {T} K, the barrier of {X} in {H} is {Q} eV. How many decades does it cost?',
      'Calculate how many decades a barrier of {Q} eV costs {X} at {T} K in {H}.',
    ],
    words: ['X', 'H'],
    draw(rng) {
      const { X, H, Q, below } = rng.pick(BARRIERS);
      return { X, H, Q: String(Q), T: String(rng.pick(TEMPERATURES.filter((T) => T < below))) };
    },
    solution: () => ['h=T/5000', 'n=Q/h'],
    mistakes: () => [['h=T/5000', 'n=h/Q'], ['h=T/5000', 'n=Q*h'], ['h=T/5000', 'n=Q-h'], ['h=T/5000', 'n=Q/h/2.3'], ['h=5000/T', 'n=Q/h'], ['h=5000/T', 'n=Q+h'], ['h=T/1000', 'n=Q/h']], // prettier-ignore
    units: { h: 'eV' },
    formats: { h: TWO_PLACES },
  },
  {
    name: 'comparison',
    stems: {
      A: ['How many decades of {h} eV are between barriers of {a} eV of {X} in {H} and {b} eV of {Y} in {K}?', 'Find how many decades of {h} eV {X} in {H} with {a} eV is behind {Y} in {K} with {b} eV.'],
      B: ['{Y} in {K} has a barrier of {b} eV, {X} in {H} {a} eV. How many decades of {h} eV is that?', 'With {b} eV of {Y} in {K} and {a} eV of {X} in {H}, how many decades of {h} eV are between them?'],
      C: ['{X} crosses {a} eV in {H}, {Y} {b} eV in {K}. Give the decades of {h} eV between them.', 'State how many decades of {h} eV {Y} ({b} eV in {K}) leads {X} ({a} eV in {H}).'],
    }, // prettier-ignore
    rewordings: [
      'How many decades of {h} eV is {X} in {H} with {a} eV slower than {Y} in {K} with {b} eV?',
      'If {X} in {H} has a barrier of {a} eV and {Y} in {K} {b} eV, how many decades of {h} eV are between them?',
      'Calculate how many decades of {h} eV {Y} in {K} with {b} eV and {X} in {H} with {a} eV have between them.',
    ],
    words: ['X', 'H', 'Y', 'K'],
    draw(rng) {
      const [low, high] = rng.shuffle([...BARRIERS]).slice(0, 2).sort((one, other) => one.Q - other.Q) as [Barrier, Barrier]; // prettier-ignore
      const T = rng.pick(TEMPERATURES.filter((temperature) => temperature < Math.min(low.below, high.below)));
      return { X: high.X, H: high.H, a: String(high.Q), Y: low.X, K: low.H, b: String(low.Q), h: String(T / 5000) };
    },
    solution: () => ['d=a-b', 'n=d/h'],
    mistakes: () => [['d=a-b', 'n=d*h'], ['d=a-b', 'n=h/d'], ['d=a+b', 'n=d/h'], ['d=a-b', 'n=d-h'], ['d=a-b', 'n=a/h'], ['d=a-b', 'n=b/h']], // prettier-ignore
    units: { d: 'eV' },
  },
];

export const diffusionRateAnalysis = taskOf({
  id: 'T7',
  name: 'diffusion_rate_analysis',
  title: 'Diffusion rate analysis',
  domain: 'Material',
  source: 'generated; activation energies: Callister, table 5.2, rounded',
  difference:
    'Random walk, Fick and Arrhenius in numbers, few metals, the prefactor left out; SciKnowEval asks for the lowest of four computed barriers.',
  kinds,
});
