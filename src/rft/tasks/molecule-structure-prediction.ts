import type { Random } from '../../base/random.ts';
import { taskOf, type Kind, type Quantities } from './kinds.ts';

/**
 * Groups of condensed formulas: number of hydrogen atoms, of other (heavy) atoms, and of hydrogen-bond donors in PubChem's sense:
 * nitrogen and oxygen atoms that carry hydrogen, however many.
 */
const GROUPS: Readonly<Record<string, { readonly hydrogen: number; readonly heavy: number; readonly donors: number }>> = {
  CH3: { hydrogen: 3, heavy: 1, donors: 0 },
  CH2: { hydrogen: 2, heavy: 1, donors: 0 },
  OH: { hydrogen: 1, heavy: 1, donors: 1 },
  NH2: { hydrogen: 2, heavy: 1, donors: 1 },
  NH: { hydrogen: 1, heavy: 1, donors: 1 },
  CO: { hydrogen: 0, heavy: 2, donors: 0 },
  O: { hydrogen: 0, heavy: 1, donors: 0 },
  COOH: { hydrogen: 1, heavy: 3, donors: 1 },
  CHO: { hydrogen: 1, heavy: 2, donors: 0 },
  CN: { hydrogen: 0, heavy: 2, donors: 0 },
};

const ENDS = ['CH3', 'OH', 'NH2', 'CN', 'COOH', 'CHO'];

/** A chain with right valences: ends bind once, the inner groups twice; CO, O and NH have CH2 on both sides. */
function chain(rng: Random): string[] {
  const inner = Array.from({ length: 1 + rng.int(3) }, () => 'CH2');
  if (inner.length > 1 && rng.float() < 0.7) inner.splice(1 + rng.int(inner.length - 1), 0, rng.pick(['CO', 'O', 'NH']));
  return [rng.pick(ENDS), ...inner, rng.pick(ENDS)];
}

const groupsOf = ({ X }: Quantities) => X!.split('-');

function counting(
  name: string,
  symbol: string,
  what: string,
  count: (group: { hydrogen: number; heavy: number; donors: number }) => number,
): Kind {
  const counts = Object.fromEntries(Object.entries(GROUPS).map(([group, numbers]) => [group, count(numbers)]));
  return {
    name,
    stems: {
      A: [`How many ${what} are in {X}?`, `Find how many ${what} {X} has.`, `What is the number of ${what} in {X}?`],
      B: [`In {X}, how many ${what} are there?`, `{X} has what number of ${what}?`],
      C: [`Count the ${what} of {X}.`, `The molecule {X}: give its number of ${what}.`],
    },
    rewordings: [`Calculate how many ${what} {X} has.`, `What number of ${what} has {X}?`],
    words: ['X'],
    draw(rng) {
      for (;;) {
        const groups = chain(rng);
        if (groups.reduce((total, group) => total + counts[group]!, 0) > 0) return { X: groups.join('-') };
      }
    },
    constants: () => counts,
    solution: (q) => [`${symbol}=${groupsOf(q).join('+')}`],
    mistakes(q) {
      const groups = groupsOf(q);
      const lists = [groups.slice(1), groups.slice(0, -1), [...new Set(groups)], [...groups, groups[0]!], [...groups, groups.at(-1)!]];
      const right = groups.join('+');
      return [...new Set(lists.map((list) => list.join('+')))].filter((text) => text !== right).map((text) => [`${symbol}=${text}`]);
    },
    units: {},
  };
}

export const moleculeStructurePrediction = taskOf({
  id: 'T4',
  name: 'molecule_structure_prediction',
  title: 'Molecule structure prediction',
  domain: 'Chemistry',
  source: 'generated; condensed formulas, PubChem definition of donors',
  difference:
    'Atoms and hydrogen-bond donors counted in short condensed formulas; SciKnowEval asks it of SMILES and IUPAC names of large molecules.',
  kinds: [
    counting('hydrogen-atoms', 'H', 'H atoms', ({ hydrogen }) => hydrogen),
    counting('heavy-atoms', 'N', 'heavy atoms', ({ heavy }) => heavy),
    counting('all-atoms', 'T', 'atoms', ({ hydrogen, heavy }) => hydrogen + heavy),
    counting('hydrogen-bond-donors', 'D', 'hydrogen bond donors', ({ donors }) => donors),
  ],
});
