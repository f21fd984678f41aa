/** The lab's own tables of ablations, which the page can show: docs/results/NAME.json, with what each is about. */
export const LAB_TABLES = {
  table1: 'The paper’s rows (Table 1)',
  'sweep-teacher': 'Who teaches in SFT (Table 2)',
  'sweep-data-size': 'How many questions (Figure 3)',
  'sweep-alpha': 'The weight of the outcome, α',
  'sweep-aggregation': 'How step scores become one, f()',
  'sweep-prompts': 'Examples in which prompts',
} as const;
export type LabTable = keyof typeof LAB_TABLES;
