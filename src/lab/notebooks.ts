/** The notebooks that the lab brings along, in public/notebooks, in the order of a first tour. */

interface Bundled {
  readonly title: string;
  /** What it shows, in a sentence. */
  readonly about: string;
}

export const NOTEBOOKS = {
  quickstart: { title: 'Quickstart', about: 'The whole method on one task, and whether it helped.' },
  smoke: { title: 'Smoke run (short)', about: 'The same on the smallest model, for a computer without a graphics card.' },
  tour: { title: 'A tour of the paper', about: 'Every box of the paper’s Figure 1, in its order, all switched on.' },
  'reward-by-hand': {
    title: 'The reward by hand',
    about: 'Figure 4: right for the wrong reason. Pay outcome and steps yourself, and see who earns what.',
  },
  'prm-on-trial': { title: 'The reward model on trial', about: 'A judge of steps gets most of the say, and its errors show.' },
  'prm-in-the-loop': {
    title: 'The reward model in the loop',
    about: 'Policy and judge improve in turns, as the paper’s future work proposes.',
  },
  'grpo-against-ppo': { title: 'GRPO against PPO', about: 'Comparing responses with one another, in place of a critic.' },
  table1: { title: 'Table 1', about: 'The paper’s best row on one task, and all rows by one command.' },
  'teacher-misalignment': { title: 'A teacher that takes other steps', about: 'Table 2: why a stronger teacher can be a worse one.' },
  'icl-and-prompt-mismatch': {
    title: 'Examples in context',
    about: 'Similar questions in the prompts of RL alone, and what a difference between prompts costs.',
  },
  'failure-reward-for-nothing': { title: 'Failure: a reward for nothing', about: 'What a wrong answer earns when the rule is too kind.' },
  'failure-wrong-keys': { title: 'Failure: wrong keys', about: 'Training on a key that is often wrong, as a faulty lookup gives it.' },
  'failure-shortcut': { title: 'Failure: a shortcut', about: 'The right option always stands at B, and nobody needs to read.' },
  'failure-prm-separator': { title: 'Failure: steps cut at the wrong place', about: 'A judge of lines is handed whole responses.' },
} as const satisfies Readonly<Record<string, Bundled>>;

export type NotebookName = keyof typeof NOTEBOOKS;
