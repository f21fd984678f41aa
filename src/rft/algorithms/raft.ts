import type { Algorithm } from './algorithm.ts';

export const raft: Algorithm = {
  title: 'RAFT',
  summary:
    'Best of n: fine-tunes on the best response to each question, and samples again. A question answered wrong every time is left out.',
  equation: '-log pi(best response) / its tokens',
  source: 'Dong et al. 2023 (arXiv 2304.06767), as OpenRLHF’s processor `rs`',
  step: 'imitation',
  defaults: { questions_per_update: 8, samples_per_question: 8, ppo_epochs: 1 },
};
