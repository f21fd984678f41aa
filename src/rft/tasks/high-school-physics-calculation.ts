import { taskOf, type Kind } from './kinds.ts';
import { range } from './numbers.ts';

/** Relations of school mechanics and electricity in SI units; every quantity is a whole number. */
const kinds: readonly Kind[] = [
  {
    name: 'force',
    stems: {
      A: ['What force in N gives {m} kg an acceleration of {a} m/s2?', 'A mass of {m} kg has acceleration {a} m/s2. Find the force in N.', 'A car of {m} kg has acceleration {a} m/s2. What is the force in N?'],
      B: ['How many N give an acceleration of {a} m/s2 to a mass of {m} kg?', 'Find the force in N on a car of {m} kg with an acceleration of {a} m/s2.'],
      C: ['The acceleration is {a} m/s2 and the mass {m} kg. Give the force in N.', 'To accelerate {m} kg at {a} m/s2, a force of how many N must act?'],
    }, // prettier-ignore
    rewordings: [
      'Calculate the force in N on a mass of {m} kg with an acceleration of {a} m/s2.',
      'With an acceleration of {a} m/s2, what is the force in N on {m} kg?',
    ],
    draw: (rng) => ({ m: String(rng.pick(range(2, 12))), a: String(rng.pick(range(2, 12))) }),
    solution: () => ['F=m*a'],
    mistakes: () => [['F=m+a'], ['F=m/a'], ['F=a/m'], ['F=m-a'], ['F=m*a/2']],
    units: { F: 'N' },
  },
  {
    name: 'speed',
    stems: {
      A: ['A car starts from rest with acceleration {a} m/s2. What is the speed in m/s after {t} s?', 'From rest, a car has acceleration {a} m/s2 for {t} s. Find the speed in m/s.'],
      B: ['How many m/s is the speed of a car {t} s after rest with acceleration {a} m/s2?', 'After {t} s with acceleration {a} m/s2 from rest, what is the speed in m/s?'],
      C: ['For {t} s the acceleration is {a} m/s2, starting at rest. Give the final speed in m/s.', 'Starting at rest and gaining {a} m/s each s, how many m/s are reached in {t} s?'],
    }, // prettier-ignore
    rewordings: [
      'What speed in m/s has a car after {t} s from rest with acceleration {a} m/s2?',
      'With acceleration {a} m/s2, a car starts from rest. How many m/s is the speed after {t} s?',
      'Calculate the speed in m/s after {t} s if a car starts from rest with acceleration {a} m/s2.',
    ],
    draw: (rng) => ({ a: String(rng.pick(range(2, 12))), t: String(rng.pick(range(2, 12))) }),
    solution: () => ['v=a*t'],
    mistakes: () => [['v=a+t'], ['v=a/t'], ['v=t/a'], ['v=a*t*t'], ['v=a*t/2']],
    units: { v: 'm/s' },
  },
  {
    name: 'voltage',
    stems: {
      A: ['A current of {I} A flows in a resistor of {R} ohm. What is the voltage in V?', 'Find the voltage in V on a resistor of {R} ohm with a current of {I} A.'],
      B: ['How many V are on {R} ohm with a current of {I} A?', 'What voltage in V gives a current of {I} A in a resistor of {R} ohm?'],
      C: ['The resistor has {R} ohm and the current is {I} A. Give the voltage in V.', 'To drive {I} A through {R} ohm, how many V must act?'],
    }, // prettier-ignore
    rewordings: [
      'How many V give a current of {I} A in a resistor of {R} ohm?',
      'With a resistor of {R} ohm and a current of {I} A, what is the voltage in V?',
      'Calculate the voltage in V if a current of {I} A flows in {R} ohm.',
    ],
    draw: (rng) => ({ I: String(rng.pick(range(2, 12))), R: String(rng.pick(range(2, 12))) }),
    solution: () => ['U=I*R'],
    mistakes: () => [['U=I+R'], ['U=R/I'], ['U=I/R'], ['U=I*I*R'], ['U=R-I']],
    units: { U: 'V' },
  },
  {
    name: 'power',
    stems: {
      A: ['A resistor of {R} ohm is on {U} V. What is the power in W?', 'Find the power in W of a resistor of {R} ohm on {U} V.'],
      B: ['How many W has a resistor with {U} V on {R} ohm?', 'What power in W does a voltage of {U} V give in {R} ohm?'],
      C: ['The voltage is {U} V and the resistor {R} ohm. Give the power in W.', '{U} V act on {R} ohm. State how many W of power result.'],
    },
    rewordings: [
      'With {U} V on a resistor of {R} ohm, how many W is the power?',
      'What is the power in W if {U} V are on {R} ohm?',
      'Calculate the power in W of {U} V on a resistor of {R} ohm.',
    ],
    draw(rng) {
      const R = rng.pick(range(2, 12));
      return { R: String(R), U: String(R * rng.pick(range(2, 9))) };
    },
    solution: () => ['I=U/R', 'P=U*I'],
    mistakes: () => [['I=U/R', 'P=U/I'], ['I=U/R', 'P=I*R'], ['I=U/R', 'P=I*I'], ['I=U-R', 'P=U*I'], ['I=U/R', 'P=U+I'], ['I=U*R', 'P=U*I']], // prettier-ignore
    units: { I: 'A', P: 'W' },
  },
  {
    name: 'average-force',
    stems: {
      A: ['A car of {m} kg goes from rest to {v} m/s in {t} s. What is the force in N?', 'A mass of {m} kg goes from rest to {v} m/s in {t} s. Find the force in N.'],
      B: ['What force in N gives {m} kg a speed of {v} m/s from rest in {t} s?', 'In {t} s a car of {m} kg goes from rest to {v} m/s. How many N is the force?'],
      C: ['The speed of {m} kg grows from rest to {v} m/s within {t} s. Give the force in N.', 'Within {t} s, how many N bring {m} kg from rest to {v} m/s?'],
    }, // prettier-ignore
    rewordings: [
      'With a mass of {m} kg that goes from rest to {v} m/s in {t} s, what is the force in N?',
      'How many N is the force if {m} kg goes from rest to {v} m/s in {t} s?',
      'Calculate the force in N on a car of {m} kg that goes in {t} s from rest to {v} m/s.',
    ],
    draw(rng) {
      const t = rng.pick(range(2, 9));
      return { m: String(rng.pick(range(2, 9))), v: String(t * rng.pick(range(2, 9))), t: String(t) };
    },
    solution: () => ['a=v/t', 'F=m*a'],
    mistakes: () => [['a=v*t', 'F=m*a'], ['a=v/t', 'F=a/m'], ['a=v/t', 'F=m+a'], ['a=v/t', 'F=m*v'], ['a=v-t', 'F=m*a']], // prettier-ignore
    units: { a: 'm/s2', F: 'N' },
  },
  {
    name: 'distance',
    stems: {
      A: ['A car starts from rest with acceleration {a} m/s2. What distance in m does it go in {t} s?', 'From rest, a car has acceleration {a} m/s2 for {t} s. Find the distance in m.'],
      B: ['How many m does a car go in {t} s from rest with acceleration {a} m/s2?', 'In {t} s with acceleration {a} m/s2 from rest, what is the distance in m?'],
      C: ['For {t} s the acceleration is {a} m/s2, starting at rest. Give the distance in m.', 'Starting at rest, how many m are covered in {t} s at {a} m/s2?'],
    }, // prettier-ignore
    rewordings: [
      'What is the distance in m after {t} s if a car starts from rest with acceleration {a} m/s2?',
      'With acceleration {a} m/s2, a car starts from rest. How many m does it go in {t} s?',
      'Calculate the distance in m of a car {t} s after rest with acceleration {a} m/s2.',
    ],
    draw: (rng) => ({ a: String(2 * rng.pick(range(1, 6))), t: String(rng.pick(range(2, 12))) }),
    solution: () => ['v=a*t', 'd=v*t', 's=d/2'],
    mistakes: () => [['v=a*t', 'd=v*t', 's=d*2'], ['v=a*t', 's=v*t'], ['v=a*t', 's=v/2'], ['v=a+t', 'd=v*t', 's=d/2'], ['v=a*t', 'd=v+t', 's=d/2']], // prettier-ignore
    units: { v: 'm/s', s: 'm' },
  },
  {
    name: 'kinetic-energy',
    stems: {
      A: ['A car of {m} kg has speed {v} m/s. What is the kinetic energy in J?', 'Find the kinetic energy in J of a mass of {m} kg with speed {v} m/s.'],
      B: ['How many J is the kinetic energy of a car with speed {v} m/s and mass {m} kg?', 'What kinetic energy in J has {m} kg with a speed of {v} m/s?'],
      C: ['The speed is {v} m/s and the mass {m} kg. Give the kinetic energy in J.', 'State in J the kinetic energy that {m} kg carry at {v} m/s.'],
    }, // prettier-ignore
    rewordings: [
      'What is the kinetic energy in J if a mass of {m} kg has speed {v} m/s?',
      'With speed {v} m/s, how many J is the kinetic energy of {m} kg?',
      'Calculate the kinetic energy in J of a car of {m} kg with a speed of {v} m/s.',
    ],
    draw: (rng) => ({ m: String(2 * rng.pick(range(1, 6))), v: String(rng.pick(range(2, 12))) }),
    solution: () => ['p=m*v', 'q=p*v', 'E=q/2'],
    mistakes: () => [['p=m*v', 'q=p*v', 'E=q*2'], ['p=m*v', 'E=p*v'], ['p=m*v', 'E=p/2'], ['p=m+v', 'q=p*v', 'E=q/2'], ['p=m*v', 'q=p+v', 'E=q/2']], // prettier-ignore
    units: { E: 'J' },
  },
];

export const highSchoolPhysicsCalculation = taskOf({
  id: 'T5',
  name: 'high_school_physics_calculation',
  title: 'High-school physics calculation',
  domain: 'Physics',
  source: 'generated; SI relations of school physics',
  difference: 'Seven one- to three-step relations with whole numbers; SciKnowEval has longer exam questions from tiku.cn and AGIEval.',
  kinds,
});
