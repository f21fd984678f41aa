/**
 * Accuracies of the paper's own experiments (arXiv 2412.16849, Tables 1 and 2), as printed: an 8B model on SciKnowEval's questions. They
 * stand beside the lab's to show which row is which, and are not comparable with them.
 */

export const PAPER_TASKS = ['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7', 'T8'] as const;

export interface PaperRow {
  /** As the lab names the row; see rows.ts. */
  readonly name: string;
  readonly tasks: readonly number[];
  readonly average: number;
}

/** `SFT+` is of Table 2, which gives its average with two digits. */
export const PAPER_ROWS: readonly PaperRow[] = [
  { name: 'Vanilla', tasks: [0.28, 0.55, 0.52, 0.23, 0.45, 0.34, 0.41, 0.41], average: 0.403 },
  { name: 'ReFT', tasks: [0.27, 0.5, 0.52, 0.23, 0.44, 0.33, 0.41, 0.5], average: 0.402 },
  { name: 'ReFT+PRM', tasks: [0.3, 0.57, 0.49, 0.23, 0.44, 0.36, 0.37, 0.48], average: 0.405 },
  { name: 'SFT', tasks: [0.33, 0.53, 0.49, 0.2, 0.45, 0.37, 0.43, 0.49], average: 0.415 },
  { name: 'SFT+', tasks: [0.27, 0.45, 0.44, 0.12, 0.34, 0.25, 0.28, 0.3], average: 0.31 },
  { name: 'SFT+RL(PRM)', tasks: [0.29, 0.59, 0.52, 0.24, 0.47, 0.36, 0.46, 0.57], average: 0.437 },
  { name: '+DA', tasks: [0.29, 0.63, 0.53, 0.21, 0.47, 0.38, 0.48, 0.59], average: 0.447 },
  { name: '+DA+ICL', tasks: [0.33, 0.57, 0.52, 0.28, 0.46, 0.36, 0.49, 0.53], average: 0.443 },
];
