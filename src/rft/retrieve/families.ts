/** Questions that are one question in several wordings: whoever learns from one of them knows the others. */
import type { Question } from '../dataset.ts';

/** What a question shares with its family: the stem, and the family that its record names (`details.family`), if it names one. */
function keysOf({ question, details }: Question): string[] {
  const family = details?.family;
  const named = typeof family === 'string' || typeof family === 'number' ? [`family ${family}`] : [];
  return [`stem ${question.trim()}`, ...named];
}

/** The families among some questions: two with a key in common are family, and so are all who are family of either. */
export class Families {
  private readonly parents = new Map<string, string>();

  constructor(questions: readonly Question[]) {
    for (const question of questions) {
      const [first, ...others] = keysOf(question);
      for (const key of others) this.parents.set(this.root(key), this.root(first!));
    }
  }

  /** The family of one of those questions: the same for two of them exactly if they are family. */
  of(question: Question): string {
    return this.root(keysOf(question)[0]!);
  }

  private root(key: string): string {
    let at = key;
    for (let up = this.parents.get(at); up !== undefined && up !== at; up = this.parents.get(at)) at = up;
    return at;
  }
}

/** Indices of the questions, family by family, in order of each family's first question. */
export function familyGroups(questions: readonly Question[]): number[][] {
  const families = new Families(questions);
  const groups = new Map<string, number[]>();
  questions.forEach((question, i) => {
    const family = families.of(question);
    const group = groups.get(family);
    if (group) group.push(i);
    else groups.set(family, [i]);
  });
  return [...groups.values()];
}
