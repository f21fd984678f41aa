/** The lab's own tables of ablations, which the page can show: docs/results/FILE.json, with what they are about. */
interface LabTables {
  readonly about: string;
  /** Several stand beside one another in one picture. */
  readonly files: readonly string[];
}

export const LAB_TABLES = {
  table1: { about: 'The paper’s rows (Table 1)', files: ['table1'] },
  teacher: { about: 'Who teaches in SFT (Table 2)', files: ['sweep-teacher'] },
  'data-size': {
    about: 'How many questions (Figure 3)',
    files: ['sweep-data-size-T1', 'sweep-data-size-T2', 'sweep-data-size-T5', 'sweep-data-size-T8'],
  },
  alpha: { about: 'The weight of the outcome, α', files: ['sweep-alpha'] },
  aggregation: { about: 'How step scores become one, f()', files: ['sweep-aggregation'] },
  prompts: { about: 'Examples in which prompts', files: ['sweep-prompts'] },
} as const satisfies Record<string, LabTables>;
export type LabTable = keyof typeof LAB_TABLES;
