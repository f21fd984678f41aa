/** How each bundled model is trained. */
import { InputError } from '../../base/errors.ts';
import { READING_KINDS, type ReadingKind } from '../../rft/corpus.ts';
import { NANO_TASKS, PICO_TASKS, TASKS } from '../../rft/tasks/registry.ts';
import type { Task } from '../../rft/tasks/task.ts';

export interface Recipe {
  readonly tasks: readonly Task[];
  readonly seed: number;
  /** Steps on worked questions; reading practice (below) comes before them. */
  readonly steps: number;
  /** Sequences per step. */
  readonly batch: number;
  /** Documents of the corpus; training goes over them many times. */
  readonly documents: number;
  readonly learning_rate: number;
  readonly weight_decay: number;
  readonly reading: ReadingPractice;
  /** A bundled model whose token distribution it learns from worked questions on, and how much of the target stays the token of the text. */
  readonly teacher?: { readonly model: string; readonly token_share: number };
}

/** How a model practises finding an option (corpus.ts) before it sees worked questions. */
export interface ReadingPractice {
  /** Kinds of documents, phase by phase. */
  readonly phases: readonly (readonly ReadingKind[])[];
  /** A phase ends when its loss, in nats per token, falls below this … */
  readonly loss: number;
  /** … or after so many steps. */
  readonly most: number;
  /** Share of the documents that are reading practice among worked questions: when those begin, and at the end. */
  readonly share: readonly [begin: number, end: number];
  /**
   * Whether the learning rate warms up for each phase afresh. Adam's second moments are then those of the learned phase's small
   * gradients, and the first steps on new documents would otherwise wipe out what a small model has learned; `mini` gets by without.
   */
  readonly warm_up: 'once' | 'each phase';
}

/** What a text adapter learns: right solutions; right ones in another reasoner's steps; Figure 2's instruction and five variations. */
export type TextKind = 'clean' | 'foreign' | 'rewriting';

/** An adapter over a bundled base. */
export interface AdapterRecipe {
  readonly base: string;
  readonly kind: TextKind | 'prm';
  readonly seed: number;
  readonly rank: number;
  readonly alpha: number;
  readonly steps: number;
  /** Sequences per step. */
  readonly batch: number;
  /** Documents, or responses of the base that are judged. */
  readonly documents: number;
  readonly learning_rate: number;
}

const ADAPTER = { base: 'mini', seed: 1, rank: 8, alpha: 16, batch: 128 } as const;

const ADAPTERS: Readonly<Record<string, AdapterRecipe>> = {
  teacher: { ...ADAPTER, kind: 'clean', steps: 1200, documents: 30_000, learning_rate: 2e-3 },
  'foreign-teacher': { ...ADAPTER, kind: 'foreign', steps: 1200, documents: 30_000, learning_rate: 2e-3 },
  rewriter: { ...ADAPTER, kind: 'rewriting', rank: 16, alpha: 32, steps: 2500, batch: 64, documents: 30_000, learning_rate: 2e-3 },
  prm: { ...ADAPTER, kind: 'prm', steps: 800, documents: 24_000, learning_rate: 2e-3 },
};

const PLAINEST_FIRST: ReadingPractice['phases'] = READING_KINDS.map((_, i) => READING_KINDS.slice(0, i + 1));

const RECIPES: Readonly<Record<string, Recipe>> = {
  pico: {
    tasks: PICO_TASKS,
    seed: 1,
    steps: 4500,
    batch: 256,
    documents: 60_000,
    learning_rate: 4e-3,
    weight_decay: 0.01,
    reading: { phases: PLAINEST_FIRST, loss: 0.08, most: 5000, share: [0.8, 0.2], warm_up: 'each phase' },
  },
  nano: {
    tasks: NANO_TASKS,
    seed: 1,
    steps: 3000,
    batch: 384,
    documents: 120_000,
    learning_rate: 3e-3,
    weight_decay: 0.01,
    reading: { phases: PLAINEST_FIRST, loss: 0.08, most: 4000, share: [0.8, 0.2], warm_up: 'each phase' },
    teacher: { model: 'mini', token_share: 0.25 },
  },
  mini: {
    tasks: TASKS,
    seed: 1,
    steps: 2000,
    batch: 512,
    documents: 160_000,
    learning_rate: 2e-3,
    weight_decay: 0.01,
    reading: { phases: PLAINEST_FIRST, loss: 0.1, most: 400, share: [0.15, 0.15], warm_up: 'once' },
  },
};

/** All that can be made, each after what it needs. */
export const DISTILLED = ['pico', 'mini', 'nano', ...Object.keys(ADAPTERS)];

export type NamedRecipe = { readonly name: string } & ((Recipe & { readonly is: 'base' }) | (AdapterRecipe & { readonly is: 'adapter' }));

export function recipeOf(name: string): NamedRecipe {
  if (Object.hasOwn(RECIPES, name)) return { ...RECIPES[name]!, name, is: 'base' };
  if (Object.hasOwn(ADAPTERS, name)) return { ...ADAPTERS[name]!, name, is: 'adapter' };
  throw new InputError(`There is no recipe for a model called "${name}".`, `Name one of ${DISTILLED.join(', ')}, or all.`);
}
